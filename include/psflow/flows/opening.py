"""
What was billed elsewhere before psflow: one opening balance a project, from a CSV that finance exports once.

Columns: project_code, as_of, hours, amount, currency. A row that is wrong is told with its place and skipped; the rest
goes in. A balance that is in stays as it is: a correction is a credit or an invoice, not another opening.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from psflow.contracts.values import Amount, Currency, Id, Record
from psflow.errors import ConfigurationError
from psflow.store.connection import Store


class OpeningBalance(Record):
    """Hours and money of one project billed before `as_of`. Owner: finance."""

    project_code: Id
    as_of: dt.date
    hours: Annotated[Decimal, Field(max_digits=12, decimal_places=4, ge=0)]
    amount: Amount
    currency: Currency


def load(store: Store, path: Path) -> tuple[int, list[str]]:
    """
    Load a file of opening balances; return how many are new and what is wrong, each as `file:line: column: …`.

    Raises ConfigurationError when the file cannot be read or lacks a column.
    """
    loaded, wrong = 0, list[str]()
    for line, row in enumerate(_rows(path), start=2):
        try:
            balance = OpeningBalance(**row)
        except ValidationError as error:
            wrong += [f"{path}:{line}: {e['loc'][0]}: {e['msg']} (got {e['input']!r})" for e in error.errors()]
            continue
        with store.transaction("opening.balance"):
            outcome = store.value(_LOAD, **balance.model_dump())
        loaded += outcome == "new"
        if outcome not in ("new", "same"):
            wrong.append(f"{path}:{line}: project_code: {balance.project_code}: {outcome}")
    return loaded, wrong


def _rows(path: Path) -> list[dict[str, Any]]:
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False, skip_blank_lines=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path}: cannot be read as CSV: {str(error).splitlines()[0]}") from None
    if lacking := set(OpeningBalance.model_fields) - set(frame.columns):
        raise ConfigurationError(f"{path}:1: lacks the columns {', '.join(sorted(lacking))}")
    return [{str(k): v.strip() for k, v in row.items()} for row in frame.to_dict("records")]


_LOAD = """
with project as (
    select project_code, currency from core.project where project_code = %(project_code)s
), known as (
    select (hours, amount, currency, as_of) = (%(hours)s, %(amount)s, %(currency)s, %(as_of)s) as is_same
    from billing.opening_balance where project_code = %(project_code)s
), added as (
    insert into billing.opening_balance (project_code, as_of, hours, amount, currency)
    select project_code, %(as_of)s, %(hours)s, %(amount)s, %(currency)s
    from project where currency = %(currency)s and not exists (select from known)
    returning 1
)
select case
    when exists (select from added) then 'new'
    when not exists (select from project) then 'no such project; activate its deal first, or correct the code'
    when (select is_same from known) then 'same'
    when exists (select from known) then 'was loaded before with other numbers; they stay'
    else 'the project is in ' || (select currency from project) || ', the balance in ' || %(currency)s end
"""

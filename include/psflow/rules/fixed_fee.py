"""A fixed fee: each instalment on its day, the last one takes the residue. Pure."""

from __future__ import annotations

import datetime as dt

from psflow.contracts.terms import BillableItem, FixedFeeTerms
from psflow.rules.split import shares


def items(terms: FixedFeeTerms, currency: str, until: dt.date) -> list[BillableItem]:
    """Return the instalments due up to a day; all of them add up to the price."""
    parts = shares(terms.price, [line.share for line in terms.lines], currency)
    return [
        BillableItem(
            part=str(number), label=f"{terms.title}, {number} of {len(parts)}", worked_on=line.due_on, amount=part,
            currency=currency,
        )
        for number, (line, part) in enumerate(zip(terms.lines, parts, strict=True), 1)
        if line.due_on <= until
    ]  # fmt: skip

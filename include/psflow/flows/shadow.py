"""
The shadow bill: what another system bills, priced again by the engine that prices ours, line by line.

Each line stands beside what `billing_difference` staged for the same entry; there is no second computation. A line that
differs is an exception with both sides. Of contracts whose number is the PSA's, only bills without a difference go on.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from psflow.config import Config, NumberOwner
from psflow.flows.reading import pull
from psflow.store import crosswalk, exceptions
from psflow.store.connection import Row, Store, sql
from psflow.systems.ports import Bill, MakesBills, System
from psflow.wording import money

_ENTITY = "bill_line"  # what its exceptions are about


def read_bills(store: Store, config: Config, system: System, made_by: NumberOwner) -> int:
    """Read the invoices that a system makes, changed since the last read; return how many. One that makes none: 0."""
    if not isinstance(system, MakesBills):
        return 0
    pages = system.bills(crosswalk.read_since(store, system, "invoice"))
    return pull(store, config, system, "invoice", pages, partial(keep_bill, made_by))


def keep_bill(made_by: NumberOwner, store: Store, system: System, _: str, bill: Bill) -> None:
    """Keep one bill with its lines, instead of what it was."""
    of = {"system": system.key, "instance": system.instance, "bill_id": bill.bill_id}
    head = bill._asdict()
    lines = head.pop("lines")
    store.run(sql("warehouse.shadow", "bill"), **of | head, made_by=made_by)
    store.run(
        "delete from core.bill_line where (system, instance, bill_id) = (%(system)s, %(instance)s, %(bill_id)s)", **of
    )
    store.run_many(sql("warehouse.shadow", "bill_line"), [of | line._asdict() for line in lines])


def leave_to_owners(store: Store, config: Config, legal_entity_id: str, until: dt.date | None) -> None:
    """
    Judge the bills that other systems make for a legal entity, and take what is theirs out of the staged difference.

    Inside the transaction that staged it (`stage_difference`), whole up to the day `until`; None when it is not whole:
    then what was judged before counts. Each line that differs becomes an exception.
    """
    tell(store, config)
    theirs = {contract: owner for contract, owner in owners(store, legal_entity_id).items() if owner != "psflow"}
    if until:
        _judge(store, config, legal_entity_id, list(theirs), until)
    if theirs:
        of = {who: [contract for contract, owner in theirs.items() if owner == who] for who in ("psa", "erp")}
        store.run(sql("warehouse.shadow", "leave"), **of)


def _judge(store: Store, config: Config, legal_entity_id: str, contracts: list[str], until: dt.date) -> None:
    before = _wrong(store, legal_entity_id)
    if not contracts and not before:
        return
    stage(store, contracts, until)
    store.run(sql("warehouse.shadow", "compare"))
    store.run("delete from billing.shadow_line where legal_entity_id = %(entity)s", entity=legal_entity_id)
    store.run(sql("warehouse.shadow", "keep"), entity=legal_entity_id)
    wrong = _wrong(store, legal_entity_id)
    exceptions.open_all(store, config, [finding(row) for row in wrong.values()])
    exceptions.resolve(store, "shadow", _ENTITY, sorted(before.keys() - wrong.keys()))


def tell(store: Store, config: Config) -> None:
    """Write down whose number is whose, where psflow.yaml says something new; inside a transaction."""
    rules = [rule.model_dump() for rule in config.number_owner]
    store.run(sql("warehouse.shadow", "tell"), rules=json.dumps(rules))


def owners(store: Store, legal_entity_id: str) -> dict[str, NumberOwner]:
    """Return contract -> whose number its invoices are, of a legal entity."""
    rows = store.rows(sql("warehouse.shadow", "contracts"), entity=legal_entity_id)
    return {row["contract_id"]: row["owner"] for row in rows}


def stage(
    store: Store, contracts: Sequence[str], until: dt.date, since: dt.date | None = None, *, anew: bool = False
) -> None:
    """
    Stage both sides of these contracts, to be compared: the bills of others, and what is staged for the same entries.

    `anew`: their charges since then were set aside when it was staged (`anew_from`), so decided credits count here.
    """
    scope: dict[str, Any] = {"contracts": list(contracts), "since": since, "until": until}
    store.run(sql("warehouse.shadow", "staging"))
    store.run(sql("warehouse.shadow", "should"), **scope, anew=anew)
    store.run(sql("warehouse.shadow", "bills"), **scope)
    store.run(sql("warehouse.shadow", "fees"))
    if store.run(sql("warehouse.shadow", "hours")):
        store.run(sql("warehouse.shadow", "groups"))


def shadow_differences(store: Store) -> int:
    """Return how many lines of other systems' bills differ from what psflow bills, as they were judged last."""
    found: int = store.value("select count(*) from billing.shadow_line where cause is not null")
    return found


def finding(row: Row) -> exceptions.Finding:
    """Return the exception of a line that differs: both computations side by side."""
    billed, should = row["billed_amount"], row["should_amount"]
    known = [amount for amount in (billed, should) if amount is not None]
    at_risk = abs(billed - should) if len(known) == 2 else max(map(abs, known), default=Decimal(0))
    value = None if row["difference"] is None else str(row["difference"])
    return exceptions.Finding(
        "shadow", _ENTITY, _record(row), "amount", value, message(row), row.get("engagement_id"), at_risk,
        row["currency"],
    )  # fmt: skip


def message(row: Row) -> str:
    """Return both computations of a line in one sentence, and why they differ."""
    where = f"{row['system']} bill {row['bill_id']}" if row["bill_id"] != "-" else "no bill"
    theirs = side(row["billed"]) if row["billed"] else f"does not have {row['entry_key']}"
    ours = side(row["should"]) if row["should"] else "bills nothing of it"
    return f"{row['cause']}: {where}: {theirs}; psflow: {ours}"


def side(said: dict[str, Any]) -> str:
    """Return one computation in words: hours worked and billed, rate and its row, what took from it, amount."""
    parts = [str(said["says"])] if "says" in said else []
    if "minutes" in said:
        worked, paid = _hours(said["minutes"]), _hours(said.get("billed_minutes", said["minutes"]))
        parts.append(f"{worked} h worked" if worked == paid else f"{worked} h worked, {paid} h billed")
    if "hourly_rate" in said:
        parts.append(f"at {_number(said['hourly_rate'])}" + (f" (rate {said['rate_id']})" if "rate_id" in said else ""))
    numbers = {"fx_rate": "exchange rate", "markup_pct": "markup %", "over_cap": "over the cap",
               "decided_away": "written off or credited"}  # fmt: skip
    parts += [f"{label} {_number(said[key])}" for key, label in numbers.items() if key in said]
    parts += [f"{label} {said[key]}" for key, label in {"cap_id": "cap", "reason": "held for"}.items() if key in said]
    amount = money(said["amount"], said["currency"]) if "amount" in said else "no amount"
    return f"{', '.join(parts)} = {amount}" if parts else amount


def _hours(minutes: int | str) -> str:
    return f"{Decimal(minutes) / 60:.2f}"


def _number(said: str) -> str:
    """Return a number without the zeros its column adds."""
    return f"{Decimal(said).normalize():f}"


def _record(row: Row) -> str:
    return f"{row['system']} {row['bill_id']} {row['line_id']}"


def _wrong(store: Store, legal_entity_id: str) -> dict[str, Row]:
    """Return the kept lines that differ, by the id of their exception."""
    rows = store.rows(sql("warehouse.shadow", "differences"), entity=legal_entity_id)
    return {_record(row): row for row in rows}

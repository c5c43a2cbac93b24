"""
Tryton's customer documents -> bills, for contracts whose invoices are made there. Pure.

A line names what it bills in its `note`, as `time:` or `expense:` and the PSA's id; without one it is hours of a
project at a price (a line of the hours product) or a fee. The project is the work it comes from, or the document's
description.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from psflow.systems.ports import Bill, BillLine, Pulled

FIELDS = [
    "reference", "number", "state", "currency.code", "invoice_date", "description", "create_date", "write_date",
]  # fmt: skip
LINE_FIELDS = ["invoice", "note", "description", "quantity", "unit_price", "amount", "product", "origin"]
_STATE: dict[str, Literal["open", "cancelled"]] = {"posted": "open", "paid": "open", "cancelled": "cancelled"}


def bill(found: Mapping[str, Any], lines: Sequence[Mapping[str, Any]], hours: int) -> Pulled[Bill]:
    """Return a document; one that is not posted is a draft. `hours` is the product that hours are sold as."""
    made = Bill(
        bill_id=str(found["id"]),
        number=found["reference"] or found["number"],
        state=_STATE.get(found["state"], "draft"),
        currency=found["currency."]["code"],
        billed_on=found["invoice_date"],
        balance=None,
        tax_pct=None,
        modified_at=found["write_date"] or found["create_date"],
        lines=tuple(_line(each, found["description"], hours) for each in lines),
    )
    return Pulled(made.bill_id, made, json.dumps({"bill": found, "lines": lines}, default=str), made.modified_at)


def _line(found: Mapping[str, Any], description: str | None, hours: int) -> BillLine:
    note, _, entry = (found["note"] or "").partition(":")
    model, _, work = (found["origin"] or "").partition(",")
    is_time = note == "time" or (note != "expense" and found["product"] == hours)
    named = entry if note in ("time", "expense") else None
    return BillLine(
        line_id=str(found["id"]),
        kind="time" if is_time else "expense" if named else "fee",
        entry_id=named,
        project_ref=work if model == "project.work" else description,
        minutes=round(Decimal(found["quantity"]) * 60) if is_time else None,
        hourly_rate=found["unit_price"] if is_time else None,
        amount=found["amount"],
        says=found["description"],
    )

"""Where an entry stands, billed or not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from psflow.explain_words import hours, money
from psflow.store.connection import Row

_REASONS = {
    "RATE_MISSING": "no price fits its role and day", "RATE_AMBIGUOUS": "two prices of one rank fit",
    "FX_MISSING": "there is no exchange rate of its day", "QUANTITY_MISSING": "its policy needs a quantity",
    "PURCHASE_ORDER_EXCEEDED": "no purchase order of its day has that much left",
    "PURCHASE_ORDER_NOT_VALID": "no purchase order is valid on its day",
    "PURCHASE_ORDER_MISSING": "its contract requires a purchase order and has none",
}  # fmt: skip


def entry(row: Row | None, charges: Sequence[Row], key: str) -> str:
    """Return what an entry is."""
    if row is None:
        return f"Contract item {charges[0]['category'] if charges else key}"
    who = f" by {row['resource']}" if row["resource"] else ""
    what = (
        hours(row["minutes"] or 0)
        if row["what"] == "time entry"
        else f"{row['cost']} {row['cost_currency']} for {row['of_what']}"
    )
    return f"{row['what'].capitalize()} {row['record_id']}, {what} on {row['worked_on']}{who}"


def state(row: Row | None, charges: Sequence[Row], live: Sequence[Row]) -> tuple[str, list[str]]:
    """Return where an entry stands, and why."""
    left = [_left_out(each) for each in (row["left_out"] if row else None) or ()]
    if live:
        total = money(sum((each["amount"] for each in live), Decimal()), live[0]["currency"])
        on = ", ".join(dict.fromkeys(each["invoice_key"] for each in live))
        return ("billed in part" if left else "billed") + f", {total} on {on}", left
    if row is None:
        return "not billed", ["its batch was not posted"]
    return _unbilled(row, charges, left)


def _unbilled(row: Row, charges: Sequence[Row], left: list[str]) -> tuple[str, list[str]]:
    before = ["what was billed of it was taken back"] if charges else []
    told = list(row["told"] or ())
    if row["is_gone"]:
        return "deleted in the PSA, not billed", before
    if row["gate"] == "held":
        return "held by the gate of its load", before + told
    if not row["is_approved"]:
        return "not approved in the PSA, not billed", before
    if not row["is_billable"]:
        return "not billable", before
    if row["billing_starts_on"] and row["worked_on"] < row["billing_starts_on"]:
        return f"from before {row['billing_starts_on']}, when psflow began to bill", ["it was billed elsewhere"]
    if row["batch"]:
        where = f"{row['batch']['batch_id']} ({row['batch']['state']})"
        return (
            (f"held in batch {where}", before + told)
            if row["batch"]["is_held"]
            else (f"in batch {where}, which waits for people", before + left)
        )
    if left:
        return "not billed", before + left + told
    if row["project_code"] is None:
        return "on no project of ours, not billed", told
    if row["what"] == "time entry" and row["contract_type"] not in (None, "time_and_materials"):
        return "not billed by the hour", [f"its contract bills {row['contract_type'].replace('_', ' ')}"]
    return "approved, and billed by the next batch", before + told


def _left_out(row: Row) -> str:
    amount = f"{money(row['amount'], row['currency'])} " if row["amount"] is not None else ""
    match row["reason"]:
        case "over_cap":
            return f"{amount}is over cap {row['cap_id']} and waits until there is room"
        case "written_off":
            return f"{amount}was written off"
        case "CREDIT_WAITS":
            return f"{amount}waits for a payer whose invoice alone would be at or below zero"
        case "credited":
            return f"{amount}was credited and is open again"
        case reason:
            return f"{amount}held: {_REASONS.get(reason, reason.replace('_', ' ').lower())}"


def entry_facts(row: Row) -> dict[str, str]:
    """Return the keys of an entry."""
    yes = {True: "yes", False: "no", None: "not said"}
    return {
        "Version": f"{row['version']}; passed its gate: {row['passed_version'] or 'none'}",
        "Project": row["project_code"] or "none of ours",
        "Role or category": row["of_what"] or "not said",
        "Approved": yes[row["is_approved"]],
        "Billable": yes[row["is_billable"]],
    }

"""The words of `explain` for money, hours, invoices, lines and decisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal

from psflow import wording
from psflow.rules.split import round_money
from psflow.store.connection import Row

TIMES = " \N{MULTIPLICATION SIGN} "


def money(amount: Decimal | str, currency: str) -> str:
    """Return e.g. `USD 2,000.00`; below zero `USD -2,000.00`."""
    return f"{currency} {wording.money(amount, currency).removesuffix(currency).strip()}"


def hours(minutes: Decimal | int) -> str:
    """Return e.g. `8.00 h`; as many digits as it takes."""
    exact = round(Decimal(minutes) / 60, 4).normalize()
    return f"{exact:.{max(2, -int(exact.as_tuple().exponent))}f} h"


def plain(number: Decimal) -> str:
    """Return a number without zeros at its end."""
    return f"{number.normalize():f}"


def quantity(row: Row, minutes: Decimal | int) -> str:
    """Return what is paid for in the unit of its price, e.g. `12.00 h` or `1.5 days of 8 h`."""
    if row["day_rate"] is None:
        return hours(minutes)
    days = round(minutes / (60 * row["hours_per_day"]), 4)
    return f"{plain(days)} day{'s' * (days != 1)} of {plain(row['hours_per_day'])} h"


def price(row: Row) -> str:
    """Return the price of one unit of `quantity`."""
    return money(row["hourly_rate"] if row["day_rate"] is None else row["day_rate"], row["currency"])


def invoice(head: Row, lines: int) -> str:
    """Return what an invoice is."""
    number = f" ({head['number']} in the ERP)" if head["number"] else ""
    return (
        f"Invoice {head['invoice_key']}{number} to {head['customer']} of {head['invoiced_on']}: "
        f"{money(head['amount'], head['currency'])} without tax, the sum of {lines} line{'s' * (lines != 1)}"
        f"{_gross(head)}"
    )


def why_invoice(head: Row) -> list[str]:
    """Return how an invoice came to be, and its tax."""
    found = [f"batch {head['batch_id']} had this of {head['project_code']}, worked up to the end of {head['period']}"]
    if head["shares"]:
        found.append(f"{head['project_code']} is paid by {head['shares']}; each payer has an invoice of its own")
    if head["voided_at"]:
        found.append("its draft was cancelled in the ERP before it was posted, so it counts as never made")
    said = "the contract says no tax treatment"
    if head["tax_treatment"]:
        said = f"tax treatment {head['tax_treatment']}, since the deal says “{head['said_of_tax']}”"
    taxes = [tax(each, head["currency"]) for each in head["taxes"] or ()] or ["taxes were not kept yet"]
    if head["erp_tax_amount"] is not None:
        taxes.append(f"the ERP worked out {money(head['erp_tax_amount'], head['currency'])} of tax by itself")
    return [*found, f"{said}, and the customer is in {head['country'] or 'no country that is known'}", *taxes]


def _gross(head: Row) -> str:
    return "" if head["gross_amount"] is None else f"; {money(head['gross_amount'], head['currency'])} with tax"


def tax(row: Mapping[str, str | None], currency: str) -> str:
    """Return one tax of an invoice: category, rate, and why it is none."""
    taxable, amount = money(row["taxable"] or "0", currency), money(row["tax"] or "0", currency)
    if row["category"] is None:
        return f"{taxable} was billed before taxes were kept"
    if row["reason_code"] is None:
        return f"tax category {row['category']}: {row['rate_pct']} % of {taxable} is {amount}, rounded once"
    buyer = f", customer's VAT id {row['buyer_vat_id']}" if row["category"] in ("AE", "K") else ""
    reason = f"{row['reason']} ({row['reason_code']})" if row["reason"] else row["reason_code"]
    return f"tax category {row['category']}: none on {taxable}, {reason}{buyer}"


def invoice_facts(head: Row) -> dict[str, str]:
    """Return where an invoice stands and what was signed for it."""
    return {
        "Customer": head["customer"],
        "Project": f"{head['project_code']} {head['project']}",
        "In the ERP": f"{head['state']} {head['number'] or ''}".strip() if head["state"] else "not read back yet",
        "Batch": head["batch_id"],
        "Content hash": head["content_hash"] or "none",
        "Plan hash": head["plan_hash"] or "none",
    }


def line(row: Row, charges: int) -> str:
    """Return what an invoice line is."""
    of = f"{charges} charge{'s' * (charges != 1)}"
    if row["hourly_rate"] is None:
        return f"{row['of_what']}: {money(row['amount'], row['currency'])}, the sum of {of}"
    each = f"{quantity(row, row['billed_minutes'])}{TIMES}{price(row)}"
    return f"{row['of_what']}: {each} = {money(row['amount'], row['currency'])}, the sum of {of}"


def why_line(row: Row) -> list[str]:
    """Return its purchase order, and why a line is not its quantity times its rate to the cent, when it is not."""
    order = [f"it is billed under purchase order {row['purchase_order']}"] if row["purchase_order"] else []
    if row["hourly_rate"] is None:
        return order
    rate, of = (row["hourly_rate"], 60) if row["day_rate"] is None else (row["day_rate"], 60 * row["hours_per_day"])
    at_once = round_money(row["billed_minutes"] * rate / of, row["currency"])
    if at_once == row["amount"]:
        return order
    once, unit = money(at_once, row["currency"]), "hours" if row["day_rate"] is None else "days"
    return [
        *order, f"each charge is rounded and the line is their sum; {unit} times rate rounded at once would be {once}"
    ]  # fmt: skip


def history(rows: Sequence[Row]) -> str:
    """Return every charge of one entry, oldest first."""
    return "; ".join(
        f"{row['charge_id']} {money(row['amount'], row['currency'])} on {row['invoice_key']}" for row in rows
    )


def decision(row: Row, names: Mapping[str, str]) -> tuple[str, str]:
    """Return a step and who decided it."""
    verb = "Rejected" if row["decision"] == "rejected" else "Submitted" if row["step"] == "submit" else "Approved"
    second = " second" if row["seat"] > 1 else ""
    said = f": {row['reason']}" if row["reason"] else ""
    return (
        f"{verb}{second}",
        f"{names.get(row['person'], row['airflow_user'])} ({row['person']}) on {moment(row['decided_at'])}{said}",
    )


def moment(at: dt.datetime) -> str:
    """Return e.g. `2026-11-24 08:15 UTC`."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"

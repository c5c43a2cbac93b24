"""What is agreed with five customers beside hours by the card, and what it bills: by hand, like the oracle."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from psflow.sandbox.meridian.deals import BILLING_START, CAPPED, MILESTONES, ORDERED, RETAINER, SHARED
from psflow.sandbox.meridian.plan import Firm
from psflow.sandbox.meridian.prices import hourly
from psflow.sandbox.meridian.work import Entry

AGREED_ON = dt.date(2026, 8, 28)
OVERAGE_RATE = 240  # four a minute: an overage is never rounded
FEE = Decimal("20000.00")
ORDER, ORDER_AMOUNT = "4500017342", Decimal("600000.00")  # more than two months of the work come to
PAYER, OTHER_PAYER, OTHER_PCT = "C-106", "C-105", 40  # customers 6 and 5; the first pays the rest, odd cents included
ACCEPTED = {"design": dt.date(2026, 9, 25), "go-live": dt.date(2026, 10, 23)}  # the pilot is not
_TITLES = {"design": "Design", "pilot": "Pilot with two dealers", "go-live": "Go-live"}


@dataclass(frozen=True, slots=True)
class Agreed:
    """The numbers of a firm's contracts: money in the currency of each deal."""

    cap: Decimal
    price: Decimal
    included_hours: int


def agreed(firm: Firm) -> Agreed:
    """Return what was agreed: about three fifths of the work, the deal's amount, and less hours than are needed."""
    used = sum(entry.minutes for entry in _work(firm, RETAINER))
    rates = [(e.minutes, hourly(firm.prices, "USD", str(e.role), e.worked_on)) for e in _work(firm, CAPPED)]
    worth = sum((minutes * rate / 60 for minutes, rate in rates if rate), Decimal())
    price = sum((hours * price for hours, price in firm.sold[MILESTONES]), Decimal())
    return Agreed(Decimal(int(worth * 3 / 5) // 100 * 100), price, used * 9 // 20 // 60)


def terms_yaml(firm: Firm, projects: Mapping[str, str]) -> str:
    """Return the file of terms that `psflow terms load` takes; `projects` is deal number -> our project code."""
    said = agreed(firm)

    def head(deal: str, reason: str) -> str:
        return (
            f"{projects[deal]}:\n  currency: {firm.deal(deal).currency}\n  agreed_on: {AGREED_ON}\n  reason: {reason}\n"
        )

    lines = "".join(
        f'        - {{milestone_id: {name}, title: "{title}", share: 1}}\n' for name, title in _TITLES.items()
    )
    return (
        head(CAPPED, "statement of work 16, section 4")
        + f"  caps:\n    - {{level: contract, limit_amount: {said.cap}, on_excess: split}}\n"
        + head(ORDERED, "order of Northwind")
        + f"  purchase_orders:\n    - {{number: '{ORDER}', amount: {ORDER_AMOUNT}, valid_from: {BILLING_START}}}\n"
        + head(SHARED, "funding agreement 6")
        + f"  payers:\n    - valid_from: {BILLING_START}\n      shares:\n"
        + f"        - {{customer: {PAYER}, share_pct: {100 - OTHER_PCT}, residue: true}}\n"
        + f"        - {{customer: {OTHER_PAYER}, share_pct: {OTHER_PCT}}}\n"
        + head(MILESTONES, "statement of work 15, annex B")
        + f"  terms:\n    portal:\n      kind: milestone\n      price: {said.price}\n      lines:\n{lines}"
        + head(RETAINER, "service agreement 8")
        + "  terms:\n    care:\n      kind: retainer\n"
        + f"      starts_on: {BILLING_START}\n      fee: {FEE}\n      included_hours: {said.included_hours}\n"
        + f"      overage_rate: {OVERAGE_RATE}\n      rollover_months: 1\n"
    )


def items(firm: Firm, until: dt.date) -> dict[tuple[str, str], tuple[dt.date, Decimal]]:
    """Return (deal, part) -> day and amount of what the terms bill up to a day."""
    made = {
        (MILESTONES, name): (ACCEPTED[name], amount)
        for name, amount in _thirds(agreed(firm).price).items()
        if name in ACCEPTED and ACCEPTED[name] <= until
    }
    return made | _retainer(firm, until)


def other_part(amount: Decimal) -> Decimal:
    """Return what the second payer pays of one charge: to the cent, half away from zero."""
    cents = int(amount * 100) * OTHER_PCT
    return Decimal((cents + 50) // 100).scaleb(-2)


def within(firm: Firm, priced: Iterable[tuple[int, dt.date, Decimal]]) -> dict[int, Decimal]:
    """Return entry -> what the cap lets through of its amount: by work day, then by number as text."""
    room, let = agreed(firm).cap, dict[int, Decimal]()
    for number, _, amount in sorted(priced, key=lambda each: (each[1], str(each[0]))):
        let[number] = min(amount, room)
        room -= let[number]
    return let


def _thirds(price: Decimal) -> dict[str, Decimal]:
    """Return each milestone's amount: a third to the cent, half away from zero, the last takes the rest."""
    third = Decimal((int(price * 100) * 2 + 3) // 6).scaleb(-2)
    return {"design": third, "pilot": third, "go-live": price - 2 * third}


def _retainer(firm: Firm, until: dt.date) -> dict[tuple[str, str], tuple[dt.date, Decimal]]:
    made, carried, included = dict[tuple[str, str], tuple[dt.date, Decimal]](), 0, agreed(firm).included_hours * 60
    used = Counter[int]()
    for entry in _work(firm, RETAINER):
        used[entry.worked_on.month] += entry.minutes
    for first, last in ((BILLING_START, dt.date(2026, 9, 30)), (dt.date(2026, 10, 1), dt.date(2026, 10, 31))):
        if first > until:
            break
        minutes, name = used[first.month], first.strftime("%Y-%m")
        over = max(0, minutes - carried - included)
        made[RETAINER, f"{name}.fee"] = first, FEE
        if over and last <= until:
            made[RETAINER, f"{name}.overage"] = last, Decimal(over * OVERAGE_RATE) / 60
        carried = min(included, max(0, carried + included - minutes))  # what is older than a month expires
    return made


def _work(firm: Firm, deal: str) -> Iterator[Entry]:
    """Yield the approved billable hours of a deal since we bill."""
    for entry in firm.entries:
        if entry.deal == deal and entry.is_billable and entry.is_approved and entry.worked_on >= BILLING_START:
            yield entry

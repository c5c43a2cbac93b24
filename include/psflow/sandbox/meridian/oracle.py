"""
What must come out of the firm, worked out by hand from its plan: no line here is shared with the pipeline.

Times are whole minutes; money is rounded once an entry, half away from zero, in whole numbers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from psflow.sandbox.meridian.agreed import items, other_part, within
from psflow.sandbox.meridian.deals import BILLING_START, CAPPED, ENTITIES, SHARED, TWO_GATES, TYPES, country_of
from psflow.sandbox.meridian.plan import Firm, current
from psflow.sandbox.meridian.prices import hourly
from psflow.sandbox.meridian.work import Entry, Expense

PERIODS = {"2026-09": dt.date(2026, 9, 30), "2026-10": dt.date(2026, 10, 31)}  # period -> its last day


class Run(NamedTuple):
    """One billing of an entity up to a period's end, before or after the late hour and the edits arrived."""

    legal_entity_id: str
    period: str
    is_corrected: bool = False


FIRST = tuple(Run(entity, period) for period in PERIODS for entity in ("MER-US", "MER-EU"))
CORRECTIONS = (Run("MER-US", "2026-10", True), Run("MER-EU", "2026-10", True))
CLOSED = FIRST[0]  # the month whose books are closed in the end
WAITING = CORRECTIONS[1]  # submitted and not approved: nothing of it is posted


class Price(NamedTuple):
    """One hour's amount: what it was billed as, and at which price."""

    deal: str
    worked_on: dt.date
    role: str
    minutes: int
    rate: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Billed:
    """
    What one run must make: ledger rows of hours and items, of expenses, documents, money by currency and deal.

    `other_payer` is what of it the second payer of the shared deal is invoiced.
    """

    charges: int
    expense_charges: int
    invoices: int
    amount: Mapping[str, Decimal]
    by_deal: Mapping[str, Decimal]
    other_payer: Decimal = Decimal()

    def taxes(self, firm: Firm) -> dict[str, tuple[str, Decimal]]:
        """Return deal -> category and tax of its invoice: German buyers pay 19 %, others none."""
        return {deal: _tax(country_of(firm.deal(deal).customer), net) for deal, net in self.by_deal.items()}


@dataclass(frozen=True, slots=True)
class Opening:
    """What was billed elsewhere for work before `as_of`, our first day."""

    as_of: dt.date
    hours: Decimal
    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Expected:
    """What the pipeline must find. Keys are deal and entry numbers of the plan."""

    won: int
    active: int
    blocked: Mapping[str, tuple[str, ...]]
    loaded: int
    held: Mapping[int, str]
    unrated: tuple[int, ...]
    expenses_loaded: int
    expenses_held: tuple[int, ...]
    billed: Mapping[Run, Billed]
    openings: Mapping[str, Opening]
    posted: Mapping[str, Decimal]
    unbilled: Mapping[str, Decimal]


def expected(runs: Sequence[Run] = (*FIRST, *CORRECTIONS), waiting: Run | None = WAITING) -> Expected:
    """Return what must come out of these billing runs, in this order; `waiting` is billed last and not posted."""
    return _expected(current(), tuple(runs), waiting)


@cache
def _expected(firm: Firm, runs: tuple[Run, ...], waiting: Run | None) -> Expected:
    billed = bill(firm, runs)
    won = [deal for deal in firm.deals if deal.is_won]
    held = {entry.number: entry.is_held for entry in firm.entries if entry.is_held}
    return Expected(
        won=len(won),
        active=len(won) - 1,
        blocked={TWO_GATES: ("legal_entity", "tax_treatment")},
        loaded=len(after(firm)),
        held=held,
        unrated=tuple(e.number for e in firm.entries if is_by_hours(e) and price(firm, e) is None),
        expenses_loaded=len(firm.expenses),
        expenses_held=tuple(e.number for e in firm.expenses if e.is_billable and e.is_approved and not e.has_receipt),
        billed=billed,
        openings=_openings(firm),
        posted=_by_currency((run, each) for run, each in billed.items() if run != waiting),
        unbilled=_unbilled(firm, billed, waiting),
    )


@cache
def after(firm: Firm) -> tuple[Entry, ...]:
    """Return all entries as they are once the corrections arrived."""
    changed = {entry.number: entry for entry in firm.corrections}
    return tuple(changed.pop(entry.number, entry) for entry in firm.entries) + tuple(changed.values())


def counts(entry: Entry) -> bool:
    """Whether an entry is work to bill: approved, billable and let through by the gate."""
    return entry.is_approved and entry.is_billable and entry.is_held is None


def is_by_hours(entry: Entry) -> bool:
    """Whether an entry is work that its hours bill; a milestone or a retainer pays for the others."""
    return counts(entry) and entry.deal not in TYPES


def price(firm: Firm, entry: Entry) -> Decimal | None:
    """Return the hourly price of an entry on its work date, None when the card has none."""
    if entry.deal is None or entry.role is None:
        return None
    return hourly(firm.prices, firm.deal(entry.deal).currency, entry.role, entry.worked_on)


def money(minutes: int, rate: Decimal) -> Decimal:
    """Return the amount of minutes at a rate, to the cent, half away from zero."""
    cents, rest = divmod(int(rate * 10_000) * abs(minutes), 60 * 100)
    cents += rest >= 3_000
    return Decimal(cents if minutes >= 0 else -cents).scaleb(-2)


def _tax(country: str, net: Decimal) -> tuple[str, Decimal]:
    if country != "DE":
        return {"US": "O", "GB": "O", "NL": "AE", "FR": "AE"}[country], Decimal()
    cents, rest = divmod(int(net * 100) * 19, 100)
    cents += rest > 50 or (rest == 50 and cents % 2)  # half a cent goes to the even one, as Tryton does
    return "S", Decimal(cents).scaleb(-2)


def bill(firm: Firm, runs: Sequence[Run]) -> dict[Run, Billed]:
    """Return what each run makes: what should be billed by then, less what the runs before it billed."""
    live, paid, done, found = dict[int, Price](), set[int](), dict[tuple[str, str], Decimal](), dict[Run, Billed]()
    for run in runs:
        deals = {deal.number for deal in firm.deals if deal.legal_entity_id == run.legal_entity_id}
        due = _due(firm, after(firm) if run.is_corrected else firm.entries, deals, PERIODS[run.period])
        spent = [e for e in firm.expenses if e.deal in deals and e.number not in paid and _is_cost(e, run.period)]
        fees = {
            key: amount for key, (_, amount) in items(firm, PERIODS[run.period]).items()
            if key[0] in deals and key not in done
        }  # fmt: skip
        found[run] = _billed(firm, live, due, spent, fees)
        done |= fees
        live |= {number: _at_invoiced_rate(live.get(number), each) for number, each in due.items()}
        paid |= {expense.number for expense in spent}
    return found


def _due(firm: Firm, entries: Iterable[Entry], deals: set[str], until: dt.date) -> dict[int, Price]:
    due = {}
    for entry in entries:
        if entry.deal in deals and is_by_hours(entry) and BILLING_START <= entry.worked_on <= until:
            rate = price(firm, entry)
            if rate is not None:
                amount = money(entry.minutes, rate)
                due[entry.number] = Price(entry.deal, entry.worked_on, str(entry.role), entry.minutes, rate, amount)
    let = within(firm, ((number, p.worked_on, p.amount) for number, p in due.items() if p.deal == CAPPED))
    return {
        number: each._replace(amount=let.get(number, each.amount)) for number, each in due.items() if let.get(number, 1)
    }


def _is_cost(expense: Expense, period: str) -> bool:
    is_ours = expense.is_billable and expense.is_approved and expense.has_receipt
    return is_ours and BILLING_START <= expense.spent_on <= PERIODS[period]


def _at_invoiced_rate(was: Price | None, now: Price) -> Price:
    """Return an hour at the price it was invoiced at, as long as it is on the same deal, day and role."""
    if (
        was is None
        or was.rate == now.rate
        or (was.deal, was.worked_on, was.role) != (now.deal, now.worked_on, now.role)
    ):
        return now
    return now._replace(rate=was.rate, amount=money(now.minutes, was.rate))


def _billed(
    firm: Firm, live: Mapping[int, Price], due: Mapping[int, Price], spent: Sequence[Expense],
    fees: Mapping[tuple[str, str], Decimal],
) -> Billed:  # fmt: skip
    charges, by_deal, other = len(fees), dict[str, Decimal](), list[Decimal]()
    for (deal, _), fee in fees.items():
        by_deal[deal] = by_deal.get(deal, Decimal()) + fee
    for number, now in due.items():
        was = live.get(number)
        now = _at_invoiced_rate(was, now)
        if was == now:
            continue
        charges += 1 if was is None else 2  # a change is a reversal and a replacement
        by_deal[now.deal] = by_deal.get(now.deal, Decimal()) + now.amount
        if was is not None:
            by_deal[was.deal] = by_deal.get(was.deal, Decimal()) - was.amount
        if now.deal == SHARED:  # none of its hours is ever corrected
            charges += 1
            other.append(other_part(now.amount))
    for expense in spent:
        by_deal[expense.deal] = by_deal.get(expense.deal, Decimal()) + expense.amount
        if expense.deal == SHARED:
            other.append(other_part(expense.amount))
    amount: dict[str, Decimal] = {}
    for deal, total in by_deal.items():
        currency = firm.deal(deal).currency
        amount[currency] = amount.get(currency, Decimal()) + total
    costs = len(spent) + sum(expense.deal == SHARED for expense in spent)
    return Billed(charges, costs, len(by_deal) + bool(other), amount, by_deal, sum(other, Decimal()))


def _openings(firm: Firm) -> dict[str, Opening]:
    """Return deal -> approved billable work before our first day, each hour at the price of its day."""
    minutes, amount = dict[str, int](), dict[str, Decimal]()
    for entry in firm.entries:
        if entry.deal and counts(entry) and entry.worked_on < BILLING_START:
            rate = price(firm, entry)
            minutes[entry.deal] = minutes.get(entry.deal, 0) + entry.minutes
            worth = Decimal() if rate is None else money(entry.minutes, rate)
            amount[entry.deal] = amount.get(entry.deal, Decimal()) + worth
    return {
        deal: Opening(BILLING_START, round(Decimal(count) / 60, 4), amount[deal], firm.deal(deal).currency)
        for deal, count in minutes.items()
    }


def _by_currency(billed: Iterable[tuple[Run, Billed]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for _, each in billed:
        for currency, amount in each.amount.items():
            found[currency] = found.get(currency, Decimal()) + amount
    return found


def _unbilled(firm: Firm, billed: Mapping[Run, Billed], waiting: Run | None) -> dict[str, Decimal]:
    """Return deal -> work done since our first day that no posted invoice has, expenses included."""
    everything = set(ENTITIES.values())
    done: dict[str, Decimal] = {}
    deals = {deal.number for deal in firm.deals if deal.legal_entity_id in everything}
    for each in _due(firm, after(firm), deals, dt.date.max).values():
        done[each.deal] = done.get(each.deal, Decimal()) + each.amount
    for (deal, _), (_, amount) in items(firm, PERIODS["2026-10"]).items():
        done[deal] = done.get(deal, Decimal()) + amount
    for expense in firm.expenses:
        if _is_cost(expense, "2026-10"):
            done[expense.deal] = done.get(expense.deal, Decimal()) + expense.amount
    for run, made in billed.items():
        for deal, amount in made.by_deal.items() if run != waiting else ():
            done[deal] = done.get(deal, Decimal()) - amount
    return {deal: amount for deal, amount in done.items() if amount}

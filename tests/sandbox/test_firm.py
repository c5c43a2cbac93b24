"""The whole firm, whatever its seed: the plan keeps its own rules, the story is in it, and the oracle's sums close."""

from __future__ import annotations

import ast
import datetime as dt
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from rapidfuzz import fuzz

from psflow.sandbox import meridian
from psflow.sandbox.meridian import agreed, deals, exchange, oracle, people, prices, story
from psflow.sandbox.meridian.plan import Firm, current, firm

WORKSPACES = {deal.number: f"{500 + int(deal.number)}" for deal in deals.deals()}


@pytest.fixture(params=range(1, 21), scope="module")
def plan(request: pytest.FixtureRequest) -> Iterator[Firm]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SEED", str(request.param))
        environment.delenv("SIZE", raising=False)
        yield current()


# -- the plan


def test_the_same_seed_is_the_same_firm_and_another_seed_another_one() -> None:
    again = firm.__wrapped__(1, 40)
    assert (again.people, again.entries, again.expenses, again.demands, again.story) == (
        (one := firm(1, 40)).people, one.entries, one.expenses, one.demands, one.story,
    )  # fmt: skip
    assert firm(2, 40).entries != one.entries


def test_a_size_below_the_story_and_a_seed_that_is_no_number_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="SIZE 12 is too small: the firm needs at least 24 people"):
        firm(1, 12)
    monkeypatch.setenv("SEED", "one")
    with pytest.raises(ValueError, match="SEED 'one' is not a whole number"):
        current()


@pytest.mark.parametrize("size", [24, 90])
def test_a_smaller_and_a_larger_firm_tell_the_same_story(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIZE", str(size))
    result = meridian.expected()
    assert (len(current().people), result.won, result.active) == (size, 19, 18)
    assert deals.NO_CAPACITY in {demand.deal for demand in meridian.staffing().unstaffed}


def test_the_default_is_as_large_as_the_screens_are_made_for(plan: Firm) -> None:
    assert len(plan.people) == 40
    assert 15_000 < len(plan.entries) < 25_000
    assert len(deals.CUSTOMERS) == 12
    assert {deal.currency for deal in plan.deals} == {"USD", "EUR", "GBP"}


def test_names_and_addresses_tell_people_apart(plan: Firm) -> None:
    emails = [person.email for person in plan.people]
    assert len(set(emails)) == 40
    alike = [
        (one.name, other.name)
        for one in plan.people
        for other in plan.people
        if one.number < other.number and fuzz.token_sort_ratio(one.name.casefold(), other.name.casefold()) >= 75
    ]
    assert alike == []  # else a person would have to say who is who


def test_nobody_logs_more_than_a_day_holds_or_outside_their_employment_or_the_deal(plan: Firm) -> None:
    by_day = Counter[tuple[int, dt.date]]()
    for entry in plan.entries[: plan.story.too_long - 1]:
        by_day[entry.person, entry.worked_on] += entry.minutes
        deal = plan.deal(entry.deal) if entry.deal else None
        assert deal is None or (deal.worked_to and deal.starts <= entry.worked_on <= deal.worked_to)
        assert entry.minutes > 0
        assert entry.role == plan.person(entry.person).role
    assert not [key for key, minutes in by_day.items() if minutes > plan.person(key[0]).capacity(key[1]) * 60]


def test_leave_takes_no_day_twice(plan: Firm) -> None:
    for person in plan.people:
        for one, other in zip(person.leave, person.leave[1:], strict=False):
            assert one.last < other.first


def test_every_priced_role_has_a_price_in_every_currency_on_every_day_and_each_version_is_dearer(plan: Firm) -> None:
    for currency in prices.CURRENCIES:
        for role in people.ROLES:
            rates = [plan.prices[currency, role, day] for day in prices.VERSIONS]
            assert rates == sorted(set(rates))
        assert prices.hourly(plan.prices, currency, prices.UNPRICED, dt.date(2026, 10, 1)) is None


def test_every_demand_starts_on_a_working_day_of_its_own(plan: Firm) -> None:
    starts = [demand.starts for demand in plan.demands if demand.deal != deals.NO_CAPACITY]
    assert len(set(starts)) == len(starts)
    assert all(day.weekday() < 5 and day > people.STORY_DAY for day in starts)
    assert {demand.deal for demand in plan.demands} == {deal.number for deal in plan.deals if deal.is_won}


def test_a_rate_is_known_for_every_month_of_work() -> None:
    for known in exchange.rates().values():
        assert (min(known), max(known), len(known)) == (dt.date(2025, 5, 1), dt.date(2026, 11, 1), 19)
    assert exchange.worth("EUR", "EUR", people.STORY_DAY) == 1
    assert exchange.worth("GBP", "EUR", people.STORY_DAY) > 1


# -- the story


def test_the_clean_deal_is_staffed_and_the_one_without_capacity_is_not(plan: Firm) -> None:
    result = meridian.staffing()
    clean = [number for demand, number in result.assigned.items() if demand.deal == deals.CLEAN]
    assert len(clean) == 2
    (lacking,) = (demand for demand in result.unstaffed if demand.deal == deals.NO_CAPACITY)
    fits = [p for p in plan.people if p.role == lacking.role and set(lacking.skills) <= set(p.skills)]
    assert [person.number for person in fits] == [people.SCARCE_MANAGER]
    assert all(fits[0].capacity(day) == 0 for day in people.days(people.AWAY.first, people.AWAY.last))


def test_nobody_is_assigned_beyond_their_capacity(plan: Firm) -> None:
    booked = Counter[tuple[int, dt.date]]()
    for demand, number in meridian.staffing().assigned.items():
        assert plan.person(number).role == demand.role
        for day in people.days(demand.starts, demand.ends):
            booked[number, day] += demand.hours if day.weekday() < 5 else 0
    assert not [key for key, hours in booked.items() if hours > plan.person(key[0]).capacity(key[1])]


def test_the_planted_records_are_what_their_names_say(plan: Firm) -> None:
    told, entries = plan.story, {entry.number: entry for entry in plan.entries}
    expenses = {expense.number: expense for expense in plan.expenses}
    assert entries[told.too_long].minutes == 26 * 60
    assert entries[told.unsold].deal is None and entries[told.unsold].is_billable
    assert entries[told.no_role].role is None and plan.person(entries[told.no_role].person).role is None
    assert oracle.price(plan, entries[told.no_rate]) is None and oracle.counts(entries[told.no_rate])
    assert not oracle.counts(entries[told.not_billable]) and not oracle.counts(entries[told.not_approved])
    assert told.late not in entries and entries[told.edited].deal == story.EDITED_DEAL
    assert expenses[told.expense].has_receipt and not expenses[told.expense_without_receipt].has_receipt
    by_deal = {entry.number: plan.deal(str(entry.deal)).legal_entity_id for entry in plan.corrections}
    assert by_deal == {told.late: "MER-US", told.edited: "MER-US", told.waiting: "MER-EU"}


def test_the_foreign_project_is_billed_in_another_currency_than_its_entity_keeps_books_in(plan: Firm) -> None:
    foreign = plan.deal(deals.FOREIGN)
    assert (foreign.legal_entity_id, foreign.currency) == ("MER-EU", "GBP")


# -- what each vendor holds


def test_the_record_delivered_again_differs_in_its_stamp_alone(plan: Firm) -> None:
    (again,) = meridian.crm_again()["Opportunity"]
    (first,) = (deal for deal in meridian.crm_records()["Opportunity"] if deal["Id"] == again["Id"])
    assert {name for name in first if first[name] != again[name]} == {"SystemModstamp"}


def test_a_deals_amount_is_the_sum_of_its_lines(plan: Firm) -> None:
    records = meridian.crm_records()
    for deal in records["Opportunity"]:
        lines = [line for line in records["OpportunityLineItem"] if line["OpportunityId"] == deal["Id"]]
        total = sum(Decimal(str(line["Quantity"])) * Decimal(str(line["UnitPrice"])) for line in lines)
        assert total == Decimal(str(deal["Amount"]))


def test_one_person_is_known_to_hr_only_and_one_placeholder_to_the_planner_only(plan: Firm) -> None:
    hr = {employee["workEmail"] for employee in meridian.hr_records()["employees"]}
    psa = {user["email_address"] for user in meridian.psa_records()["users"]}
    planner = {person["email"] for person in meridian.planner_records()["people"] if person["people_type_id"] == 1}
    assert hr - psa == hr - planner == {plan.person(people.HR_ONLY).email}
    assert [p["people_id"] for p in meridian.planner_records()["people"] if p["people_type_id"] == 3] == [3999]


def test_people_of_each_company_work_for_the_other_and_one_of_them_moves(plan: Firm) -> None:
    owed = meridian.owed()
    assert {key[:3] for key in owed} == {
        ("MER-EU", "MER-US", "2026-09"), ("MER-EU", "MER-US", "2026-10"),
        ("MER-US", "MER-EU", "2026-09"), ("MER-US", "MER-EU", "2026-10"),
    }  # fmt: skip
    assert min(owed.values()) > 1000
    (moved,) = [p for p in plan.people if p.employer(people.FIRST_DAY) != p.employer(people.LAST_DAY)]
    assert moved.role == "Partner"


def test_approved_leave_in_hr_is_what_the_pattern_loses(plan: Firm) -> None:
    asked = meridian.hr_records()["time_off_requests"]
    for person in plan.people:
        mine = [each for each in asked if each["employeeId"] == meridian.employee_id(person.number)]
        hours = Counter[str]()
        for request in mine:
            assert sum(map(int, request["dates"].values())) == int(request["amount"]["amount"])
            if request["status"]["status"] == "approved":
                hours.update({day: int(count) for day, count in request["dates"].items()})
        for day in people.days(dt.date(2026, 11, 1), people.PLANNED_TO):
            assert person.capacity(day) == person.pattern(day) - hours[day.isoformat()]


def test_the_psa_holds_every_price_and_every_hour_of_the_plan(plan: Firm) -> None:
    records, time = meridian.psa_records(), meridian.time_records(WORKSPACES)
    assert len(records["rate_card_roles"]) == len(plan.prices)
    assert sum(each["time_in_minutes"] for each in time) == sum(entry.minutes for entry in plan.entries)
    assert len({each["id"] for each in time}) == len(time)
    known = {each["id"] for each in time}
    corrected = [each["id"] for each in meridian.corrected_records(WORKSPACES)]
    assert [number for number in corrected if number not in known] == [str(plan.story.late)]
    expenses = meridian.expense_records(WORKSPACES)
    assert [e["active_submission_id"] for e in expenses["expenses"]] == [
        r["id"] for r in expenses["expense_report_submissions"]
    ]


# -- the oracle


def test_approved_work_is_invoiced_waiting_unbilled_or_without_a_price(plan: Firm) -> None:
    result = meridian.expected()
    ours = [e for e in oracle.after(plan) if oracle.is_by_hours(e) and e.worked_on >= deals.BILLING_START]
    worth = Counter[str]()
    for entry in ours:
        rate = oracle.price(plan, entry)
        if rate is not None:
            worth[str(entry.deal)] += oracle.money(entry.minutes, rate)  # type: ignore[assignment]
    costs = [e for e in plan.expenses if e.is_billable and e.is_approved and e.has_receipt]
    for expense in costs:
        worth[expense.deal] += expense.amount  # type: ignore[assignment]
    posted = Counter[str]()
    for run, made in result.billed.items():
        if run != meridian.WAITING:
            posted.update(made.by_deal)  # type: ignore[arg-type]
    said = agreed.agreed(plan)
    over = worth[deals.CAPPED] - sum(e.amount for e in costs if e.deal == deals.CAPPED) - said.cap
    assert 0 < over < said.cap  # October reaches the limit, and something is below it
    worth[deals.CAPPED] -= over  # type: ignore[assignment]
    for (deal, _), (_, fee) in agreed.items(plan, people.LAST_DAY).items():
        worth[deal] += fee  # type: ignore[assignment]
    assert {deal: posted[deal] + result.unbilled.get(deal, Decimal()) for deal in worth} == worth
    assert result.unrated == (plan.story.no_rate,)
    shared = sum(expense.deal == deals.SHARED for expense in costs)
    assert sum(made.expense_charges for made in result.billed.values()) == len(costs) + shared


def test_two_milestones_are_billed_and_a_retainer_carries_its_hours_for_a_month(plan: Firm) -> None:
    said, billed = agreed.agreed(plan), agreed.items(plan, people.LAST_DAY)
    milestones = [amount for (deal, _), (_, amount) in billed.items() if deal == deals.MILESTONES]
    assert len(milestones) == 2 and abs(sum(milestones) - said.price * 2 / 3) < Decimal("0.02")
    minutes = sum(e.minutes for e in plan.entries if e.deal == deals.RETAINER and oracle.counts(e))
    fees = [amount for (deal, part), (_, amount) in billed.items() if deal == deals.RETAINER and part.endswith("fee")]
    over = sum(amount for (deal, part), (_, amount) in billed.items() if part.endswith("overage"))
    assert fees == [agreed.FEE] * 2 and over / agreed.OVERAGE_RATE * 60 >= minutes - 2 * said.included_hours * 60 > 0


def test_two_customers_share_a_deal_and_an_odd_cent_is_the_residue_payers(plan: Firm) -> None:
    us = {run.period: made for run, made in meridian.expected().billed.items() if made.other_payer}
    assert us.keys() == {"2026-09", "2026-10"}
    for made in us.values():
        whole = made.by_deal[deals.SHARED]
        assert made.other_payer != whole * agreed.OTHER_PCT / 100  # rounded charge by charge, not once
        assert abs(made.other_payer - whole * agreed.OTHER_PCT / 100) < made.charges * Decimal("0.005")
    assert agreed.other_part(Decimal("75.21")) == Decimal("30.08")


def test_openings_and_revenue_agree_on_every_month_before_the_first_day(plan: Firm) -> None:
    earned, result = meridian.revenue(), meridian.expected()
    for deal, opening in result.openings.items():
        before = sum(amount for (number, month), amount in earned.items() if number == deal and month < "2026-09")
        assert opening.amount == before
    assert result.openings.keys() == {number for number, month in earned if month < "2026-09"}


def test_late_and_edited_hours_change_only_what_they_touch(plan: Firm) -> None:
    result, told = meridian.expected(), plan.story
    us, eu = (result.billed[run] for run in meridian.CORRECTIONS)
    assert (us.charges, us.invoices, set(us.by_deal)) == (3, 2, {story.LATE_DEAL, story.EDITED_DEAL})
    assert (eu.charges, eu.invoices, set(eu.by_deal)) == (2, 1, {story.WAITING_DEAL})
    late = next(entry for entry in plan.corrections if entry.number == told.late)
    rate = oracle.price(plan, late)
    assert rate is not None and us.by_deal[story.LATE_DEAL] == oracle.money(late.minutes, rate)
    entries = {entry.number: entry for entry in plan.entries}
    for number, made in ((told.edited, us), (told.waiting, eu)):
        was, now = entries[number], next(entry for entry in plan.corrections if entry.number == number)
        price = oracle.price(plan, was)
        assert price is not None
        more = oracle.money(now.minutes, price) - oracle.money(was.minutes, price)
        assert made.by_deal[str(was.deal)] == more > 0
    november = entries[told.next_month]
    worth = oracle.price(plan, november)
    assert worth is not None
    open_work = {story.LATE_DEAL: oracle.money(november.minutes, worth), **eu.by_deal}
    assert result.unbilled == open_work


def test_an_hour_that_arrives_between_two_months_is_billed_with_the_second(plan: Firm) -> None:
    one, later = meridian.Run("MER-US", "2026-09"), meridian.Run("MER-US", "2026-10", True)
    split, whole = oracle.bill(plan, [one, later]), meridian.expected().billed
    entire = [made for run, made in whole.items() if run.legal_entity_id == "MER-US"]
    assert sum(made.amount["USD"] for made in split.values()) == sum(made.amount["USD"] for made in entire)
    assert split[later].charges == entire[1].charges + entire[2].charges


def test_the_documents_stay_small_enough_to_post_live(plan: Firm) -> None:
    assert 20 < sum(made.invoices for made in meridian.expected().billed.values()) <= 40
    lines = Counter[tuple[str, str]]()
    seen = set[tuple[str, str, str | None, Decimal | None]]()
    for entry in oracle.after(plan):
        if oracle.counts(entry) and entry.deal and entry.worked_on >= deals.BILLING_START:
            seen.add((entry.deal, entry.worked_on.strftime("%Y-%m"), entry.role, oracle.price(plan, entry)))
    lines.update((deal, month) for deal, month, *_ in seen)
    lines.update((expense.deal, expense.spent_on.strftime("%Y-%m")) for expense in plan.expenses)
    assert max(lines.values()) <= 20


def test_hours_of_utilization_are_the_hours_of_approved_billable_work(plan: Firm) -> None:
    total = sum((hours for hours, _ in meridian.utilization().values()), Fraction())
    assert total * 60 == sum(entry.minutes for entry in oracle.after(plan) if oracle.counts(entry))
    assert not [key for key, (hours, capacity) in meridian.utilization().items() if hours and not capacity]


def test_something_is_left_of_every_active_deal_and_nobody_knows_what_of_the_one_with_an_hour_without_a_price(
    plan: Firm,
) -> None:
    left = meridian.backlog()
    unpriced = next(entry.deal for entry in plan.entries if entry.number == plan.story.no_rate)
    assert len(left) == meridian.expected().active
    assert {number for number, amount in left.items() if amount is None} == {unpriced}
    assert min(amount for amount in left.values() if amount is not None) > 0


def test_capacity_is_unknown_of_whom_the_planner_does_not_have(plan: Firm) -> None:
    unknown = [number for (_, number), (_, capacity) in meridian.utilization().items() if capacity is None]
    assert (
        set(unknown) == {people.HR_ONLY} and len(unknown) == 80
    )  # every week of the eighteen months and the story day


@pytest.mark.parametrize(
    ("minutes", "rate", "amount"),
    [(20, "180.50", "60.17"), (3, "0.10", "0.01"), (-3, "0.10", "-0.01"), (3, "0.50", "0.03"), (60, "120", "120.00")],
)
def test_money_is_rounded_once_half_away_from_zero(minutes: int, rate: str, amount: str) -> None:
    assert oracle.money(minutes, Decimal(rate)) == Decimal(amount)


def test_plan_and_oracle_share_no_code_with_the_pipeline() -> None:
    for path in Path(str(meridian.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("psflow"):
                assert str(node.module).startswith("psflow.sandbox.meridian"), f"{path.name} imports {node.module}"

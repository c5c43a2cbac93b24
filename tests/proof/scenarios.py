"""What firms do, step by step: each scenario is run once to record its ledger and again on every later version."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from psflow.errors import GateFailed, NeedsReview, Rejected
from psflow.flows import activation, billing, billing_posting
from tests.flows.conftest import CARDS, PassGate
from tests.flows.test_staffing import Desk, anywhere

LATER = "2026-11-02T00:00:00Z"


def activates(desk: Desk) -> None:
    """One deal, won and activated."""
    desk.firm.start()


def activates_twice(desk: Desk) -> None:
    """The run of an active deal is cleared and runs again."""
    engagement = desk.firm.start()
    desk.firm.activate(engagement)


def activates_two_deals_of_one_customer(desk: Desk) -> None:
    """The customer is made once."""
    desk.firm.win(1)
    desk.firm.win(2)
    for run in desk.firm.sync()["start"]:
        desk.firm.activate(**run)


def activates_a_deal_that_was_blocked(desk: Desk) -> None:
    """Its contract type was missing."""
    desk.firm.win(1, Contract_Type__c=None)
    desk.firm.sync()
    desk.firm.win(1)
    runs = desk.firm.sync()
    for run in [*runs["start"], *runs["restart"]]:
        desk.firm.activate(**run)


def activates_with_demand(desk: Desk) -> None:
    """The planner gets the project and its requests."""
    desk.start()


def _refused(desk: Desk) -> dict[str, Any]:
    firm = desk.firm
    firm.win()
    (run,) = firm.sync()["start"]
    activation.check(firm.store, firm.config, **run)
    activation.create_in_erp(firm.store, firm.config, firm.erp, **run)
    firm.kantata.control("reset")  # the rate card is gone there
    with suppress(Rejected):
        activation.create_in_psa(firm.store, firm.config, firm.psa, firm.erp, firm.crm, **run)
    return dict(run)


def compensates(desk: Desk) -> None:
    """The PSA refuses the project, and the ERP's is closed."""
    _refused(desk)


def compensates_and_is_run_again(desk: Desk) -> None:
    """A compensated epoch makes nothing any more."""
    run = _refused(desk)
    desk.firm.kantata.load(CARDS)
    with suppress(NeedsReview):
        desk.firm.activate(**run)


def activates_the_epoch_after_a_compensation(desk: Desk) -> None:
    """The next epoch has projects of its own."""
    run = _refused(desk)
    desk.firm.kantata.load(CARDS)
    desk.firm.activate(run["engagement_id"], 2)


def _demanded(desk: Desk, *people: str) -> None:
    for number, name in enumerate(people, 8):
        desk.hire(number, name)
    desk.start()
    anywhere(desk)
    desk.read()


def staffs(desk: Desk) -> None:
    """One request, one person."""
    _demanded(desk, "Ben")
    desk.staff()


def staffs_twice(desk: Desk) -> None:
    """The second run finds everybody booked."""
    _demanded(desk, "Ben")
    desk.staff()
    desk.read()
    desk.staff()


def staffs_once_somebody_is_hired(desk: Desk) -> None:
    """Nobody fits at first."""
    _demanded(desk)
    desk.staff()
    desk.hire(8, "Ben")
    desk.read()
    desk.staff()


def staffs_one_of_two(desk: Desk) -> None:
    """Two fit, one is taken, always the same."""
    _demanded(desk, "Ben", "Cleo")
    desk.staff()


def _working(desk: Desk, *minutes: int) -> None:
    desk.firm.start()
    for number, each in enumerate(minutes, 1):
        desk.firm.log(number, each)
    desk.firm.load_time()


def bills_an_hour(desk: Desk) -> None:
    """One line, one invoice."""
    _working(desk, 60)
    desk.firm.bill()


def bills_three_times_twenty_minutes(desk: Desk) -> None:
    """One hour, to the cent."""
    _working(desk, 20, 20, 20)
    desk.firm.bill()


def bills_at_two_rates(desk: Desk) -> None:
    """The price changed in the middle of the month."""
    _working(desk, 60)
    desk.firm.log(2, 60, date_performed="2026-10-20")
    desk.firm.load_time()
    desk.firm.bill()


def bills_two_roles(desk: Desk) -> None:
    """One role has no price, so its hours wait."""
    _working(desk, 60)
    desk.firm.log(2, 60, role_id="1")
    desk.firm.load_time()
    desk.firm.bill()


def posts_twice(desk: Desk) -> None:
    """The run of a posted batch is cleared and runs again."""
    _working(desk, 60)
    desk.firm.post(desk.firm.bill())


def bills_two_projects(desk: Desk) -> None:
    """One batch, an invoice a project."""
    activates_two_deals_of_one_customer(desk)
    for number in (1, 2):
        desk.firm.log(number, 60, workspace_id=str(number))
    desk.firm.load_time()
    desk.firm.bill()


def corrects_an_hour_after_invoicing(desk: Desk) -> None:
    """Reversed and billed again."""
    _working(desk, 60, 60)
    desk.firm.bill()
    desk.firm.log(1, 120, updated_at=LATER)
    desk.firm.load_time()
    desk.firm.bill()


def corrects_until_a_credit_is_used_up(desk: Desk) -> None:
    """A credit waits until hours exceed it."""
    _working(desk, 60)
    desk.firm.bill()
    desk.firm.log(1, 60, approved=False, updated_at=LATER)
    desk.firm.load_time()
    desk.firm.freeze()
    desk.firm.log(2, 120, updated_at="2026-11-03T00:00:00Z")
    desk.firm.load_time()
    desk.firm.bill()


def bills_a_late_hour_in_the_next_month(desk: Desk) -> None:
    """October's hour comes in November."""
    _working(desk, 60)
    desk.firm.bill()
    desk.firm.log(2, 90, updated_at=LATER)
    desk.firm.load_time()
    desk.firm.bill("2026-11")


def bills_after_a_reject(desk: Desk) -> None:
    """The next batch holds everything."""
    _working(desk, 60)
    batch = desk.firm.freeze()
    assert batch is not None
    shown = str(billing.check(desk.firm.store, desk.firm.config, PassGate(), batch)["content_hash"])
    with suppress(GateFailed):
        desk.firm.decide(batch, "submit", "fiona", shown, approved=False)
    desk.firm.bill()


def bills_again_what_was_cancelled_as_a_draft(desk: Desk) -> None:
    """Somebody cancels the draft in the ERP before it is posted."""
    _working(desk, 60)
    firm = desk.firm
    run = (firm.store, firm.config, firm.erp, firm.approve())
    billing_posting.release(*run)
    billing_posting.draft(*run)
    firm.erp.documents["1"]["state"] = "cancelled"
    with suppress(Rejected):
        billing_posting.read_back(*run)
    with suppress(Rejected):
        billing_posting.post(*run)
    firm.bill()


def _spent(desk: Desk, *cents: int) -> None:
    for number, each in enumerate(cents, 1):
        desk.firm.spend(number, each)
    desk.firm.load_expenses()


def bills_an_expense(desk: Desk) -> None:
    """At cost."""
    desk.firm.start()
    _spent(desk, 10055)
    desk.firm.bill()


def bills_hours_and_expenses(desk: Desk) -> None:
    """On one invoice."""
    _working(desk, 60, 30)
    _spent(desk, 10055, 2500)
    desk.firm.bill()


def corrects_an_expense_after_invoicing(desk: Desk) -> None:
    """Reversed and billed again."""
    _working(desk, 600)
    _spent(desk, 10055)
    desk.firm.bill()
    desk.firm.spend(1, 12000, updated_at=LATER)
    desk.firm.load_expenses()
    desk.firm.bill()


SCENARIOS: dict[str, Callable[[Desk], None]] = {
    each.__name__: each
    for each in (
        activates, activates_twice, activates_two_deals_of_one_customer, activates_a_deal_that_was_blocked,
        activates_with_demand, compensates, compensates_and_is_run_again, activates_the_epoch_after_a_compensation,
        staffs, staffs_twice, staffs_once_somebody_is_hired, staffs_one_of_two, bills_an_hour,
        bills_three_times_twenty_minutes, bills_at_two_rates, bills_two_roles, posts_twice, bills_two_projects,
        corrects_an_hour_after_invoicing, corrects_until_a_credit_is_used_up, bills_a_late_hour_in_the_next_month,
        bills_after_a_reject, bills_again_what_was_cancelled_as_a_draft, bills_an_expense, bills_hours_and_expenses,
        corrects_an_expense_after_invoicing,
    )
}  # fmt: skip

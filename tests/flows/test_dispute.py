"""What comes back after posting: a dispute is explained and ends, a payment shows, a cancelled bill is made anew."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from psflow.errors import GateFailed
from psflow.flows import dispute, reconciliation
from tests.flows.conftest import ENTITY, Firm, Ledger, _document
from tests.flows.test_period import close

INVOICE = "MER-US.2026-10.1.P-1001"


@pytest.fixture
def invoiced(firm: Firm) -> Firm:
    """A firm that invoiced two hours of October."""
    firm.start()
    firm.log(1, 60)
    firm.log(2, 60)
    firm.load_time()
    firm.bill()
    return firm


def tied(firm: Firm) -> list[dict[str, Any]]:
    reconciliation.read_erp(firm.store, firm.erp)
    assert reconciliation.tie_out(firm.store, firm.config)["breaks"] == 0
    return firm.store.rows(
        "select status, difference, disputed, explained from finance.invoice_tie_out where step like '4 invoices%%'"
    )


def note(firm: Firm, amount: str = "90.25", **more: Any) -> int:
    return dispute.note(
        firm.store, firm.config, INVOICE, Decimal(amount), "half an hour was a coffee", "frank", "fiona", **more
    )


def credit(firm: Firm, number: int, entries: dict[str, Decimal | None], asked: str = "fiona") -> Decimal:
    return dispute.credit(
        firm.store, firm.config, number, entries, "agreed by phone", asked_by=asked, airflow_user="frank",
        on=dt.date(2026, 11, 3),
    )  # fmt: skip


def test_a_disputed_invoice_still_ties_and_says_what_is_disputed(invoiced: Firm) -> None:
    number = note(invoiced)
    (row,) = tied(invoiced)
    assert (row["status"], row["difference"], row["disputed"]) == ("tied", Decimal(0), Decimal("90.25"))
    assert row["explained"] == f"90.25 USD disputed, #{number}: half an hour was a coffee (P-102)"
    (found,) = invoiced.exceptions("dispute")
    assert (found["assignee"], found["amount_at_risk"], found["owner_team"]) == ("P-102", Decimal("90.25"), "finance")
    assert invoiced.store.value("select disputed from finance.invoice") == Decimal("90.25")


def test_a_dispute_ends_in_a_credit_that_the_next_batch_makes(invoiced: Firm) -> None:
    number = note(invoiced)
    tied(invoiced)
    assert credit(invoiced, number, {"1": Decimal(30)}) == Decimal("90.25")
    assert invoiced.exceptions("dispute") == []
    invoiced.log(3, 120)
    invoiced.load_time()
    invoiced.bill("2026-11")
    charged = invoiced.store.value("select sum(amount) from billing.charge where entry_key = '1'")
    assert charged == Decimal("90.25")
    assert {(row["disputed"], row["explained"]) for row in tied(invoiced)} == {(None, None)}
    (ended,) = invoiced.store.rows("select outcome, credited, decided_by from finance.dispute")
    assert (ended["outcome"], ended["credited"], ended["decided_by"]) == ("credited", Decimal("90.25"), "P-102")


def test_a_rejected_dispute_leaves_the_invoice_as_it_is(invoiced: Firm) -> None:
    number = note(invoiced)
    dispute.reject(invoiced.store, invoiced.config, number, "the minutes were signed off", "frank")
    assert tied(invoiced)[0]["disputed"] is None and invoiced.exceptions("dispute") == []
    assert invoiced.freeze("2026-11") is None
    with pytest.raises(GateFailed, match="was rejected before"):
        dispute.reject(invoiced.store, invoiced.config, number, "again", "frank")


@pytest.mark.parametrize(
    ("entries", "asked", "why"),
    [
        ({"1": Decimal(60)}, "fiona", "credits of 180.500 exceed its 90.25"),
        ({"9": None}, "fiona", "9 is not on what is disputed"),
        ({"1": Decimal(30)}, "frank", "adjustment_check"),
        ({"1": Decimal(30)}, "paula", "paula is not of finance"),
    ],
)
def test_a_credit_that_is_not_what_was_disputed_is_refused_whole(
    invoiced: Firm, entries: dict[str, Decimal | None], asked: str, why: str
) -> None:
    number = note(invoiced)
    with pytest.raises(GateFailed, match=why):
        credit(invoiced, number, entries, asked)
    assert invoiced.store.value("select count(*) from billing.adjustment") == 0
    assert [row["dispute_id"] for row in dispute.open_disputes(invoiced.store)] == [number]


def test_no_more_is_disputed_than_was_invoiced(invoiced: Firm) -> None:
    note(invoiced, "300.00")
    with pytest.raises(GateFailed, match=r"has 61.000 USD left to dispute"):
        note(invoiced, "61.01")
    line = invoiced.store.value("select line_key from billing.invoice_line")
    note(invoiced, "61.00", line_key=line)
    with pytest.raises(GateFailed, match="paula is not of finance"):
        dispute.note(invoiced.store, invoiced.config, INVOICE, Decimal(1), "x", "frank", "paula")


class Paid(Ledger):
    """Books that say what is still owed."""

    def invoices(self, references: Any) -> list[Any]:
        return list(self._told(references))

    def _told(self, references: Any) -> Iterator[Any]:
        from dataclasses import replace

        for number, document in self.documents.items():
            if document["invoice_key"] in references:
                owed = document.get("owed", Decimal("361.00"))
                yield replace(_document(number, document), to_pay=owed, paid_on=None if owed else dt.date(2026, 11, 20))


def test_what_the_customer_paid_comes_back_from_the_erp(invoiced: Firm) -> None:
    books = Paid(invoiced.erp.profile, documents=invoiced.erp.documents)
    for owed, paid_on in ((Decimal("361.00"), None), (Decimal("61.00"), None), (Decimal(0), dt.date(2026, 11, 20))):
        books.documents["1"]["owed"] = owed
        reconciliation.read_erp(invoiced.store, books)
        row = invoiced.store.row("select to_pay, paid_on from finance.invoice")
        assert row == {"to_pay": owed, "paid_on": paid_on}


def test_a_posted_document_that_the_erp_cancelled_is_billed_anew(invoiced: Firm) -> None:
    invoiced.erp.documents["1"]["state"] = "cancelled"
    reconciliation.read_erp(invoiced.store, invoiced.erp)
    assert reconciliation.tie_out(invoiced.store, invoiced.config)["breaks"] == 0
    (found,) = invoiced.exceptions("billing")
    assert (found["record_id"], found["value"]) == (INVOICE, "cancelled") and "after it was posted" in found["message"]
    invoiced.bill()
    live = invoiced.store.rows("select invoice_key, amount from billing.live_invoice")
    assert [(row["invoice_key"], row["amount"]) for row in live] == [("MER-US.2026-10.2.P-1001", Decimal("361.000"))]
    tied(invoiced)
    assert invoiced.exceptions("billing") == []


def test_a_document_cancelled_in_a_closed_month_waits_for_a_person(invoiced: Firm) -> None:
    close(invoiced)
    invoiced.erp.documents["1"]["state"] = "cancelled"
    reconciliation.read_erp(invoiced.store, invoiced.erp)
    reconciliation.tie_out(invoiced.store, invoiced.config)
    (found,) = invoiced.exceptions("billing")
    assert "its month is closed: re-open the month" in found["message"]
    assert invoiced.store.value("select count(*) from billing.void_invoice") == 0
    assert invoiced.store.value("select state from core.period where legal_entity_id = %(e)s", e=ENTITY) == "closed"

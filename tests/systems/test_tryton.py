"""Tryton as our ERP: the adapter over HTTP against a real Tryton, with a proxy that fails on demand."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import itertools
import os
import signal
import stat
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import requests

from psflow.errors import ConfigurationError, NeedsReview, Rejected, TransientError, UncertainOutcome
from psflow.sandbox.postgres import Server
from psflow.sandbox.processes import marked
from psflow.sandbox.tryton import TrytonServer
from psflow.systems.ports import ErpInvoice
from psflow.systems.transport import Transport
from psflow.systems.tryton import mapping
from psflow.systems.tryton.client import Tryton
from psflow.systems.tryton.mapping import Currency, erp_amount
from psflow.systems.tryton.rpc import Warned
from tests.effects import open_effect
from tests.systems.tryton_fixture import CACHE, adapter

NUMBER = itertools.count(1)
# one for all, since Tryton numbers no invoice dated before the last one posted; long past, so it always warns
DATE = "2025-01-31"


@pytest.fixture(scope="module")
def erp(tryton_server: TrytonServer) -> Tryton:
    return adapter(tryton_server)


@pytest.fixture
def customer(erp: Tryton) -> str:
    return erp.perform(create_customer())


def effect(capability: str, payload: dict[str, Any], key: str | None = None) -> Any:
    key = key or f"tryton:{capability}:{next(NUMBER)}"
    return open_effect(system="tryton", capability=capability, payload=payload, key=key)


def create_customer(**overrides: Any) -> Any:
    fields = {"customer_id": f"C-books-{next(NUMBER)}", "name": "Acme Corp", "street": "1 Main St"}
    return effect("create_customer", fields | {"city": "Springfield", "country": "United States"} | overrides)


def create_project(customer: str, key: str) -> Any:
    fields = {"project_code": "P-1", "name": "Rollout", "customer_ref": customer, "currency": "USD"}
    return effect("create_project", fields | {"engagement_id": "E-1", "epoch": 1, "starts_on": None}, key)


def line(hours: str, rate: str, amount: str, role: str = "Consultant") -> dict[str, str]:
    return {"line_key": f"L-{next(NUMBER)}", "role": role, "hours": hours, "hourly_rate": rate, "amount": amount}


def draft(customer: str, *lines: dict[str, str], **overrides: Any) -> Any:
    fields = {
        "invoice_key": f"I-{next(NUMBER)}",
        "project_code": "P-1",
        "customer_ref": customer,
        "legal_entity_id": "MER-US",
        "currency": "USD",
        "invoiced_on": DATE,
        "lines": list(lines) or [line("7.50", "180.50", "1353.75")],
    }
    return effect("draft_invoice", fields | overrides)


def on(drafted: Any, capability: str, invoice: str) -> Any:
    return effect(capability, {"invoice_key": drafted.payload["invoice_key"], "erp_invoice_id": invoice})


def strict(server: TrytonServer) -> Tryton:
    erp = adapter(server)
    erp.accepted_warnings = ()
    return erp


def posted(erp: Tryton, drafted: Any) -> ErpInvoice:
    erp.perform(on(drafted, "post_invoice", erp.perform(drafted)))
    return only(erp, drafted)


def only(erp: Tryton, drafted: Any) -> ErpInvoice:
    (found,) = erp.invoices([drafted.payload["invoice_key"], "nobody's"])
    return found


# -- customers and projects


def test_a_repeated_customer_is_one_party(erp: Tryton) -> None:
    wanted = create_customer()
    assert erp.find(wanted) is None
    made = erp.perform(wanted)
    assert erp.perform(wanted) == made == erp.find(wanted)


@pytest.mark.parametrize("country", [None, "DE", "Germany", "Atlantis"])
def test_a_customer_is_found_again_whatever_its_country(erp: Tryton, country: str | None) -> None:
    wanted = create_customer(country=country, street=None)
    assert erp.perform(wanted) == erp.find(wanted)


def test_another_customer_under_our_code_is_refused(erp: Tryton) -> None:
    first = create_customer()
    erp.perform(first)
    other = create_customer(customer_id=first.payload["customer_id"], name="Somebody else")
    assert erp.find(other) is None
    with pytest.raises(Rejected, match="must be unique"):
        erp.perform(other)


def test_a_project_is_found_by_its_whole_key_and_by_no_pattern(erp: Tryton, customer: str) -> None:
    number = next(NUMBER)
    wanted = create_project(customer, f"tryton:create_project:E_{number}.1")
    assert erp.find(wanted) is None
    assert erp.perform(wanted) == erp.find(wanted)
    assert erp.find(create_project(customer, f"tryton:create_project:EX{number}.1")) is None
    assert erp.find(create_project(customer, "tryton:create_project:%")) is None


def test_a_closed_project_is_still_there(erp: Tryton, customer: str) -> None:
    wanted = create_project(customer, f"project-{next(NUMBER)}")
    close = effect("close_project", {"erp_project_id": erp.perform(wanted)})
    assert erp.find(close) is None
    assert erp.perform(close) == erp.perform(close) == erp.find(close) == erp.find(wanted)


def test_two_projects_with_one_key_need_a_person(erp: Tryton, customer: str) -> None:
    wanted = create_project(customer, f"project-{next(NUMBER)}")
    ids = [erp.perform(wanted), erp.perform(wanted)]
    with pytest.raises(NeedsReview, match=", ".join(ids)):
        erp.find(wanted)


# -- documents


def test_a_draft_carries_our_keys_and_our_amounts(erp: Tryton, customer: str) -> None:
    wanted = draft(customer, line("7.50", "180.50", "1353.75"), line("2", "200", "400.00", "Partner"))
    assert erp.find(wanted) is None
    assert erp.perform(wanted) == erp.find(wanted)
    found = only(erp, wanted)
    assert (found.state, found.number, found.currency, found.ledger) == ("draft", None, "USD", ())
    assert found.total_amount == Decimal("1753.75")
    assert [each.line_key for each in found.lines] == [each["line_key"] for each in wanted.payload["lines"]]
    assert [(each.quantity, each.unit_price) for each in found.lines] == [
        (Decimal("7.5"), Decimal("180.50")),
        (Decimal(2), Decimal(200)),
    ]


@pytest.mark.parametrize(
    ("hours", "rate", "amount", "sold"),
    [
        ("0.25", "100.10", "25.02", "0.25"),  # 25.025: Tryton rounds half to even, and so does this line
        ("0.25", "100.10", "25.03", "1"),  # ours rounds up: sold as a fee of that amount
        ("0.75", "100.10", "75.08", "0.75"),
        ("0.333", "100", "33.30", "1"),  # an hour has two digits in the ERP
        ("1", "33.33333", "33.33", "1"),
        ("-2.00", "180.50", "-361.00", "-2"),
        ("-0.25", "100.10", "-25.03", "1"),
        ("0", "180.50", "0.00", "0"),
    ],
)  # fmt: skip
def test_a_line_has_our_amount_however_the_erp_rounds(
    erp: Tryton, customer: str, hours: str, rate: str, amount: str, sold: str
) -> None:
    wanted = draft(customer, line(hours, rate, amount))
    erp.perform(wanted)
    (found,) = only(erp, wanted).lines
    assert (found.amount, found.quantity) == (Decimal(amount), Decimal(sold))


def test_a_line_by_the_day_is_one_piece_that_says_its_days(erp: Tryton, customer: str) -> None:
    daily = line("12.0000", "125.0000", "1500.000") | {"days": "1.5000", "day_rate": "1000.0000"}
    wanted = draft(customer, daily)
    erp.perform(wanted)
    (found,) = only(erp, wanted).lines
    assert (found.amount, found.quantity, found.unit_price) == (Decimal(1500), Decimal(1), Decimal(1500))
    books = mapping.Books(1, 1, 1, 1, mapping.Product(1, 1, 2, 1), mapping.Product(2, 2, 0, 1))
    made = mapping.line(daily, books, Currency(1, "USD", Decimal("0.01")))
    assert made["description"] == "Consultant: 1.5000 d at 1000.0000 USD"


def test_a_line_says_the_customers_purchase_order() -> None:
    books = mapping.Books(1, 1, 1, 1, mapping.Product(1, 1, 2, 1), mapping.Product(2, 2, 0, 1))
    usd, order = Currency(1, "USD", Decimal("0.01")), {"purchase_order": "PO-7"}
    worked = mapping.line(line("1.0000", "180.5000", "180.500") | order, books, usd)
    spent = mapping.expenses({"line_key": "2", "category": "Travel", "amount": "50.250"} | order, books, usd)
    assert worked["description"] == "Consultant: 1.0000 h at 180.5000 USD, purchase order PO-7"
    assert spent["description"] == "Expenses: Travel, purchase order PO-7"


def test_an_amount_the_currency_does_not_have_is_refused(erp: Tryton, customer: str) -> None:
    with pytest.raises(Rejected, match=r"USD has no amount of 10\.005"):
        erp.perform(draft(customer, line("1", "10.005", "10.005")))


def test_a_currency_without_cents_rounds_to_whole_units() -> None:
    assert erp_amount(Decimal("0.5"), Decimal(5), Currency(1, "JPY", Decimal(1))) == 2
    assert erp_amount(Decimal(1), Decimal("0.13"), Currency(1, "CHF", Decimal("0.05"))) == Decimal("0.15")


@pytest.mark.parametrize("currency", ["USD", "EUR"])
def test_the_ledger_of_a_posted_document_equals_its_lines_to_the_cent(
    erp: Tryton, customer: str, currency: str
) -> None:
    lines = [line("7.50", "180.55", "1354.13"), line("0.333", "100", "33.30"), line("-2.00", "180.50", "-361.00")]
    found = posted(erp, draft(customer, *lines, currency=currency))
    assert (found.state, found.number is not None, found.currency) == ("posted", True, currency)
    revenue = {each.erp_line_id: each.credit - each.debit for each in found.ledger if each.account_kind == "revenue"}
    assert {each.erp_line_id: each.amount for each in found.lines} == {k: v for k, v in revenue.items() if k}
    owed = sum(each.debit - each.credit for each in found.ledger if each.account_kind == "receivable")
    assert owed == found.total_amount == Decimal("1026.43")
    assert {each.erp_move_id for each in found.ledger} == {found.erp_move_id}


def test_a_document_below_zero_posts_as_a_credit_note(erp: Tryton, customer: str) -> None:
    found = posted(erp, draft(customer, line("-2.00", "180.50", "-361.00")))
    assert (found.state, found.total_amount) == ("posted", Decimal("-361.00"))
    assert found.number is not None
    assert found.number.startswith("CN-2025-")


def test_what_a_posted_document_still_owes_comes_back(erp: Tryton, customer: str) -> None:
    drafted = draft(customer)
    erp.perform(drafted)
    assert (only(erp, drafted).to_pay, only(erp, drafted).paid_on) == (None, None)
    erp.perform(on(drafted, "post_invoice", only(erp, drafted).erp_invoice_id))
    found = only(erp, drafted)
    assert found.to_pay == found.total_amount > 0 and found.paid_on is None


def test_a_paid_document_owes_nothing_since_a_day() -> None:
    head = {
        "id": 1, "reference": "r", "number": "1", "state": "paid", "currency": 1, "currency.": {"code": "USD"},
        "company.": {"currency": 1}, "untaxed_amount": Decimal(9), "tax_amount": Decimal(0),
        "total_amount": Decimal(9), "move": None,
        "amount_to_pay": None, "reconciled": dt.date(2026, 11, 20),
    }  # fmt: skip
    paid = mapping.erp_invoice(head, [], [])
    assert (paid.to_pay, paid.paid_on) == (Decimal(0), dt.date(2026, 11, 20))


def test_posting_twice_posts_once(tryton_server: TrytonServer, erp: Tryton, customer: str) -> None:
    wanted = draft(customer)
    post = on(wanted, "post_invoice", erp.perform(wanted))
    assert erp.find(post) is None
    assert erp.perform(post) == erp.perform(post) == adapter(tryton_server).perform(post) == erp.find(post)
    before = only(erp, wanted)
    assert before.state == "posted"
    erp.perform(post)
    assert only(erp, wanted) == before


def test_a_document_posted_by_another_worker_meanwhile_is_done(
    tryton_server: TrytonServer, erp: Tryton, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = draft(customer)
    post = on(wanted, "post_invoice", erp.perform(wanted))
    honest = Tryton._confirmed

    def late(self: Tryton, *args: Any) -> None:
        monkeypatch.setattr(Tryton, "_confirmed", honest)
        adapter(tryton_server).perform(post)
        honest(self, *args)

    monkeypatch.setattr(Tryton, "_confirmed", late)
    assert erp.perform(post) == erp.find(post)


def test_a_document_that_is_not_ours_is_never_posted(erp: Tryton, customer: str) -> None:
    mine, other = draft(customer), draft(customer)
    erp.perform(mine)
    wrong = on(mine, "post_invoice", erp.perform(other))
    with pytest.raises(Rejected, match="does not carry"):
        erp.perform(wrong)
    with pytest.raises(NeedsReview, match="does not carry"):
        erp.find(wrong)
    assert only(erp, other).state == "draft"


def test_a_warning_nobody_accepted_is_a_refusal_in_the_erps_words(tryton_server: TrytonServer, customer: str) -> None:
    erp = strict(tryton_server)
    wanted = draft(customer)
    post = on(wanted, "post_invoice", erp.perform(wanted))
    with pytest.raises(Rejected, match="payment date") as caught:
        erp.perform(post)
    assert caught.value.code == "invoice_payment_term"
    assert erp.find(post) is None


def test_a_date_to_come_posts_as_approved(erp: Tryton, customer: str) -> None:
    assert posted(erp, draft(customer, invoiced_on="2027-12-31")).state == "posted"


def test_a_refusal_carries_the_erps_message(erp: Tryton, customer: str) -> None:
    wanted = draft(customer, invoiced_on="2031-01-01")  # no fiscal year
    with pytest.raises(Rejected, match=r"period|fiscal") as caught:
        erp.perform(on(wanted, "post_invoice", erp.perform(wanted)))
    assert caught.value.code == "UserError"


def test_a_draft_is_cancelled_and_a_posted_document_never(erp: Tryton, customer: str) -> None:
    wanted = draft(customer)
    invoice = erp.perform(wanted)
    cancel = on(wanted, "cancel_invoice", invoice)
    assert erp.find(cancel) is None
    assert erp.perform(cancel) == erp.perform(cancel) == erp.find(cancel) == erp.find(wanted)
    with pytest.raises(Rejected, match="cancelled"):
        erp.perform(on(wanted, "post_invoice", invoice))

    final = draft(customer)
    number = posted(erp, final).erp_invoice_id
    with pytest.raises(Rejected, match="credit memo"):
        erp.perform(on(final, "cancel_invoice", number))
    assert only(erp, final).state == "posted"


def test_two_documents_with_one_reference_need_a_person(erp: Tryton, customer: str) -> None:
    wanted = draft(customer)
    first, second = erp.perform(wanted), erp.perform(wanted)
    with pytest.raises(NeedsReview, match=f"{first}, {second}"):
        erp.find(wanted)
    erp.perform(on(wanted, "cancel_invoice", second))
    assert erp.find(wanted) == first
    assert len(erp.invoices([wanted.payload["invoice_key"]])) == 2


def test_many_references_are_read_in_chunks(erp: Tryton, customer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts = [draft(customer) for _ in range(3)]
    for each in drafts:
        erp.perform(each)
    keys = [each.payload["invoice_key"] for each in drafts]
    monkeypatch.setattr("psflow.systems.tryton.client._CHUNK", 2)
    assert sorted(each.reference or "" for each in erp.invoices([*keys, *keys])) == sorted(keys)
    assert erp.invoices([]) == []


# -- failures


def test_a_time_out_after_commit_on_a_draft_is_found_again_and_not_doubled(
    tryton_server: TrytonServer, customer: str
) -> None:
    hasty = adapter(tryton_server, deadline_s=1.5)
    wanted = draft(customer)
    hasty._masters.books()
    before = tryton_server.state()["faults"].get("timeout_after_commit", 0)
    tryton_server.arm("model.account.invoice.create", "timeout_after_commit")
    with pytest.raises(UncertainOutcome):
        hasty.perform(wanted)
    assert hasty.find(wanted) == only(hasty, wanted).erp_invoice_id
    assert tryton_server.state()["faults"]["timeout_after_commit"] == before + 1


@pytest.mark.parametrize(
    ("fault", "landed"), [("e500_after", True), ("reset_after", True), ("e503_before", False)]
)  # fmt: skip
def test_a_broken_answer_leaves_the_outcome_unknown(
    tryton_server: TrytonServer, erp: Tryton, customer: str, fault: str, landed: bool
) -> None:
    wanted = draft(customer)
    tryton_server.arm("model.account.invoice.create", fault)
    with pytest.raises(UncertainOutcome):
        erp.perform(wanted)
    assert (erp.find(wanted) is not None) == landed
    assert len(erp.invoices([wanted.payload["invoice_key"]])) == landed


def test_a_lost_answer_to_a_post_is_settled_by_the_state(
    tryton_server: TrytonServer, erp: Tryton, customer: str
) -> None:
    wanted = draft(customer)
    post = on(wanted, "post_invoice", erp.perform(wanted))
    with pytest.raises(Warned) as asked:
        strict(tryton_server).perform(post)
    erp._rpc.read("model.res.user.warning.skip", asked.value.name, True)
    tryton_server.arm("model.account.invoice.post", "e500_after")
    with pytest.raises(UncertainOutcome):
        erp.perform(post)
    assert erp.find(post) == erp.perform(post)


def test_a_row_that_is_locked_is_proof_that_nothing_was_posted(
    tryton_server: TrytonServer, erp: Tryton, customer: str, postgres: Server
) -> None:
    wanted = draft(customer)
    post = on(wanted, "post_invoice", erp.perform(wanted))
    with psycopg.connect(postgres.url(tryton_server.database)) as other:
        other.execute("SELECT id FROM ir_sequence_strict FOR UPDATE")
        with pytest.raises(TransientError, match="answered 503: .*could not obtain lock") as caught:
            erp.perform(post)
    assert 0 < (caught.value.retry_after_s or 0) < 1  # whoever holds it is through in a moment
    assert erp.find(post) is None
    assert erp.perform(post) == erp.find(post)


def test_an_ended_session_is_renewed_for_a_read_and_for_a_write(
    tryton_server: TrytonServer, erp: Tryton, customer: str, postgres: Server
) -> None:
    wanted = draft(customer)
    post = on(wanted, "post_invoice", erp.perform(wanted))
    end_sessions(postgres, tryton_server)
    assert erp.find(post) is None
    end_sessions(postgres, tryton_server)
    with pytest.raises(Warned):  # the application itself answers, so the write came there in a new session
        erp._rpc.write(post, "model.account.invoice.post", [int(post.payload["erp_invoice_id"])])
    assert erp.perform(post) == erp.find(post)


def end_sessions(postgres: Server, server: TrytonServer) -> None:
    with psycopg.connect(postgres.url(server.database), autocommit=True) as db:
        db.execute("DELETE FROM ir_session")


def test_a_wrong_password_says_what_to_correct_and_is_not_tried_again(tryton_server: TrytonServer) -> None:
    before = tryton_server.state()["requests"]
    wrong = adapter(tryton_server, password="hunter2")
    with pytest.raises(ConfigurationError, match=r"refuses login 'psflow'.* correct login and password") as caught:
        wrong.invoices(["I-1"])
    assert tryton_server.state()["requests"] == before + 1
    assert "hunter2" not in f"{caught.value!r} {wrong!r}"
    assert adapter(tryton_server).invoices(["nobody's"]) == []


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"company": "Nobody Ltd"}, "company.company are 'Nobody Ltd'"),
        ({"hours_product": "Gold"}, "product.product are 'Gold'"),
    ],
)
def test_what_the_erp_does_not_have_is_named(
    tryton_server: TrytonServer, customer: str, setting: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        adapter(tryton_server, **setting).perform(draft(customer))


def test_an_answer_from_before_the_application_refuses_no_write(
    tryton_server: TrytonServer, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Transport._send
    lost = {"status": 404, "body": b"<html>nginx</html>"}
    monkeypatch.setattr(Transport, "_send", lambda *a, **k: dataclasses.replace(honest(*a, **k), **lost))
    with pytest.raises(ConfigurationError, match="answered 404: nginx; check address and database of the connection"):
        adapter(tryton_server).perform(draft(customer))


def test_secrets_never_reach_an_error_or_a_repr(tryton_server: TrytonServer, erp: Tryton, customer: str) -> None:
    wanted = draft(customer)
    tryton_server.arm("model.account.invoice.create", "e500_after")
    with pytest.raises(UncertainOutcome) as caught:
        erp.perform(wanted)
    session = erp._rpc._session._value
    assert session
    shown = f"{erp!r} {erp._rpc!r} {caught.value!r} {caught.value.__cause__!r}"
    for secret in (tryton_server.password, session, *tryton_server.admin[1:]):
        assert secret not in shown


def test_an_answer_that_is_no_json_rpc_is_no_success(
    erp: Tryton, customer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = draft(customer)
    erp.invoices(["nobody's"])
    honest = Transport._send
    monkeypatch.setattr(
        Transport, "_send", lambda *a, **k: dataclasses.replace(honest(*a, **k), body=b"<html>maintenance</html>")
    )
    with pytest.raises(UncertainOutcome, match="not JSON-RPC"):
        erp._rpc.write(wanted, "model.party.party.create", [])
    with pytest.raises(TransientError, match="not JSON-RPC"):
        erp.invoices(["nobody's"])


def test_a_record_somebody_changed_meanwhile_is_not_written(erp: Tryton, customer: str) -> None:
    wanted = create_project(customer, f"project-{next(NUMBER)}")
    project = erp.perform(wanted)
    careful = effect("close_project", {"erp_project_id": project})
    erp._rpc.context["_timestamp"] = {f"project.work,{project}": "1.0"}
    try:
        with pytest.raises(TransientError, match="changed the record meanwhile"):
            erp.perform(careful)
    finally:
        del erp._rpc.context["_timestamp"]
    assert erp.find(careful) is None


def test_a_failure_inside_the_server_proves_nothing_about_a_write(erp: Tryton) -> None:
    with pytest.raises(UncertainOutcome, match="the server failed"):
        erp._rpc.write(effect("x", {}), "model.party.nope.create", [{}])
    with pytest.raises(TransientError, match="the server failed"):
        erp._rpc.read("model.party.nope.search", [])


def test_an_old_ticket_does_not_even_sign_in(tryton_server: TrytonServer) -> None:
    before = tryton_server.state()["requests"]
    old = open_effect(system="tryton", capability="post_invoice", payload={}, send_before=0.0)
    with pytest.raises(TransientError, match="nothing was sent"):
        adapter(tryton_server)._rpc.write(old, "model.account.invoice.post", [1])
    assert tryton_server.state()["requests"] == before


def test_an_unknown_capability_and_an_unknown_page_are_configuration_errors(erp: Tryton) -> None:
    with pytest.raises(ConfigurationError, match="create_customer"):
        erp.perform(effect("delete_customer", {}))
    with pytest.raises(ConfigurationError, match="invoice"):
        erp.url("opportunity", "1")


# -- what the demo relies on


def test_reading_and_repeating_change_nothing_and_a_write_does(erp: Tryton, customer: str) -> None:
    wanted = draft(customer)
    posted(erp, wanted)
    before = erp.newest_write()
    assert before["account.move.line"][0] > 0
    erp.find(wanted)
    erp.perform(on(wanted, "post_invoice", only(erp, wanted).erp_invoice_id))
    assert erp.newest_write() == before
    erp.perform(draft(customer))
    after = erp.newest_write()
    assert {model for model in after if after[model] != before[model]} == {"account.invoice", "account.invoice.line"}


def test_a_record_opens_in_a_browser_after_a_login(tryton_server: TrytonServer, erp: Tryton, customer: str) -> None:
    wanted = draft(customer)
    page = erp.url("invoice", erp.perform(wanted))
    unknown = requests.get(page, timeout=5)
    assert (unknown.status_code, unknown.headers["WWW-Authenticate"]) == (401, 'Basic realm="Tryton"')
    shown = requests.get(page, auth=(tryton_server.login, tryton_server.password), timeout=5)
    assert shown.status_code == 200
    assert wanted.payload["invoice_key"] in shown.text
    assert "Acme Corp" in requests.get(erp.url("customer", customer), auth=tryton_server.admin, timeout=5).text


def test_psflows_login_is_no_administrator(erp: Tryton) -> None:
    with pytest.raises(Rejected, match="not allowed"):
        erp._rpc.write(effect("x", {}), "model.res.user.create", [{"name": "x", "login": "x"}])
    with pytest.raises(Rejected, match="not allowed"):
        erp._rpc.write(effect("x", {}), "model.account.journal.create", [{"name": "x", "type": "revenue"}])


def test_secrets_of_the_server_are_in_files_of_their_owner_only(tryton_server: TrytonServer) -> None:
    lines = [" ".join(process.cmdline()) for process in marked("PSFLOW_TRYTON", str(tryton_server.folder))]
    config = (tryton_server.folder / "trytond.conf").read_text()
    secrets = [tryton_server.password, *tryton_server.admin[1:], config.split("://")[1].split("@")[0].split(":")[1]]
    assert len(lines) == 3  # server, its worker, proxy
    assert not [line for line in lines for secret in secrets if secret in line]
    for name in ("trytond.conf", "passwords.json"):
        assert stat.S_IMODE((tryton_server.folder / name).stat().st_mode) == 0o600
    kept = list(CACHE.glob("*.json"))
    assert [stat.S_IMODE(path.stat().st_mode) for path in kept] == [0o600] * len(kept)
    assert not [secret for secret in secrets if secret in tryton_server.log.read_text()]


def test_a_killed_server_comes_back_with_its_records_at_the_same_address(
    tryton_server: TrytonServer, erp: Tryton, customer: str
) -> None:
    wanted = draft(customer)
    invoice = erp.perform(wanted)
    url = tryton_server.url
    for process in marked("PSFLOW_TRYTON", str(tryton_server.folder)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    while tryton_server.running:
        time.sleep(0.05)
    with pytest.raises(TransientError):
        adapter(tryton_server).find(wanted)
    tryton_server.start()
    assert (tryton_server.url, tryton_server.built) == (url, True)
    assert adapter(tryton_server).find(wanted) == invoice


def test_a_database_of_somebody_else_is_not_touched(tmp_path: Path, postgres: Server) -> None:
    name = f"theirs_{os.getpid()}"
    postgres.ensure_database(name, "psflow_tryton")
    with psycopg.connect(postgres.url(name, "psflow_tryton"), autocommit=True) as db:
        db.execute("CREATE TABLE precious (id int)")
    with pytest.raises(ConfigurationError, match="not made by psflow"):
        TrytonServer(tmp_path, postgres, CACHE, name).start()
    with psycopg.connect(postgres.url(name, "psflow_tryton"), autocommit=True) as db:
        assert db.execute("SELECT count(*) FROM precious").fetchone() == (0,)


def test_a_fault_nobody_knows_is_not_armed(tryton_server: TrytonServer) -> None:
    with pytest.raises(ValueError, match="throttle"):
        tryton_server.arm("model.party.party.create", "throttle")


def test_what_the_company_bills_is_read_with_the_entries_that_its_lines_name(erp: Tryton, customer: str) -> None:
    before = max((row.modified_at for page in erp.bills(None) for row in page.rows if row.modified_at), default=None)
    named = line("7.50", "180.50", "1353.75") | {"line_key": "time:901"}
    drafted = draft(customer, named, line("0.333", "100.00", "33.33"))
    document = erp.perform(drafted)
    found = {row.record_id: row.record for page in erp.bills(before) for row in page.rows}
    bill = found[document]
    assert (bill.state, bill.number, bill.currency) == ("draft", drafted.payload["invoice_key"], "USD")
    hours, fee = bill.lines
    assert (hours.kind, hours.entry_id, hours.minutes, hours.hourly_rate) == ("time", "901", 450, Decimal("180.50"))
    assert (hours.amount, hours.project_ref) == (Decimal("1353.75"), "P-1")
    assert (fee.kind, fee.entry_id, fee.minutes, fee.amount) == ("fee", None, None, Decimal("33.33"))
    erp.perform(on(drafted, "cancel_invoice", document))
    again = {row.record_id: row.record.state for page in erp.bills(before) for row in page.rows}
    assert again[document] == "cancelled"

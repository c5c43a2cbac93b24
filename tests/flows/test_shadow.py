"""Another system's bill is priced again by our engine, and only what both price alike goes on."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from psflow.config import Config, NumberRule
from psflow.errors import GateFailed
from psflow.flows import shadow
from psflow.flows.shadow import shadow_differences
from psflow.systems import Bill, BillLine, Page, Pulled
from tests.flows.conftest import ENTITY, Firm

HOUR = {"currency": "USD", "currency_base_unit": 100, "rate_in_cents": 18050}


def owned(config: Config, owner: Any) -> Config:
    return config.model_copy(update={"number_owner": (NumberRule(owner=owner, legal_entity_id=ENTITY),)})


@pytest.fixture
def billed_by_psa(firm: Firm) -> Firm:
    """A firm with one active project whose invoices Kantata makes."""
    firm.config = owned(firm.config, "psa")
    firm.start()
    return firm


def invoice(firm: Firm, number: int, hours: list[int], **fields: Any) -> None:
    """Kantata invoices these entries of the first project."""
    made = {
        "id": str(number), "updated_at": "2036-11-02T09:00:00Z", "invoice_date": "2026-11-01", "currency": "USD",
        "currency_base_unit": 100, "draft": False, "status": "new", "user_invoice_number": str(1000 + number),
        "workspace_ids": ["1"], "time_entry_ids": [str(hour) for hour in hours],
    }  # fmt: skip
    firm.kantata.load({"invoices": [made | fields]})


def read(firm: Firm) -> None:
    firm.load_time()
    shadow.read_bills(firm.store, firm.config, firm.psa, "psa")


def told(firm: Firm) -> list[tuple[str, str]]:
    """Return record and cause of each open difference."""
    return [(e["record_id"], e["message"].partition(":")[0]) for e in firm.exceptions("shadow")]


def posted(firm: Firm) -> list[str]:
    return [line["amount"] for d in firm.erp.documents.values() for line in d["lines"]]


def test_a_bill_that_the_engine_prices_alike_goes_to_the_erp(billed_by_psa: Firm) -> None:
    firm = billed_by_psa
    firm.log(1, 90, **HOUR)
    firm.log(2, 20, date_performed="2026-10-20", **HOUR | {"rate_in_cents": 20000})
    invoice(firm, 7, [1, 2], balance_in_cents=27075 + 6667)
    read(firm)
    firm.bill()
    assert sorted(posted(firm)) == ["270.750", "66.670"]
    assert told(firm) == [] and shadow_differences(firm.store) == 0


def test_a_line_at_another_rate_holds_its_whole_bill_and_shows_both_computations(billed_by_psa: Firm) -> None:
    firm = billed_by_psa
    firm.log(1, 90, **HOUR | {"rate_in_cents": 20000})
    firm.log(2, 60, **HOUR)
    firm.log(3, 60, **HOUR)
    invoice(firm, 7, [1, 2])
    invoice(firm, 8, [3])
    read(firm)
    firm.bill()
    assert posted(firm) == ["180.500"]  # of the other bill
    (found,) = firm.exceptions("shadow")
    assert (found["owner_team"], found["amount_at_risk"], found["currency"]) == ("finance", Decimal("29.25"), "USD")
    assert "kantata bill 7: 1.50 h worked, at 200 = 300.00 USD" in found["message"]
    assert "psflow: Consultant, 1.50 h worked, at 180.5 (rate 5|Consultant|2026-01-01)" in found["message"]
    assert "= 270.75 USD" in found["message"] and shadow_differences(firm.store) == 1


def test_the_difference_is_over_when_the_psa_corrects_its_bill(billed_by_psa: Firm) -> None:
    firm = billed_by_psa
    firm.log(1, 90, **HOUR | {"rate_in_cents": 20000})
    invoice(firm, 7, [1])
    read(firm)
    assert firm.freeze() is None and told(firm) == [("kantata 7 time:1", "rate")]
    firm.log(1, 90, **HOUR)
    invoice(firm, 7, [1], updated_at="2036-11-03T09:00:00Z")
    read(firm)
    firm.bill()
    assert posted(firm) == ["270.750"] and told(firm) == []


def test_an_unknown_a_doubled_and_a_forgotten_hour_are_differences(billed_by_psa: Firm) -> None:
    firm = billed_by_psa
    for number in (1, 2):
        firm.log(number, 60, **HOUR)
    firm.log(3, 60, billable=False, **HOUR)
    invoice(firm, 7, [1, 404, 3])
    invoice(firm, 8, [1])
    read(firm)
    assert firm.freeze() is None
    assert set(told(firm)) == {
        ("kantata 7 time:404", "unknown"), ("kantata 7 time:3", "not billable"), ("kantata 8 time:1", "billed twice"),
        ("- - 2", "missing"),
    }  # fmt: skip


def test_an_hour_of_a_month_that_is_not_billed_yet_is_not_forgotten(billed_by_psa: Firm) -> None:
    firm = billed_by_psa
    firm.log(1, 60, **HOUR, date_performed="2026-09-30")
    firm.log(2, 60, **HOUR)
    invoice(firm, 7, [1])
    read(firm)
    firm.freeze()
    assert told(firm) == []


def test_what_a_bill_asks_for_beyond_its_lines_is_a_difference(billed_by_psa: Firm) -> None:
    firm = billed_by_psa
    firm.log(1, 60, **HOUR)
    invoice(firm, 7, [1], balance_in_cents=20000)
    read(firm)
    assert firm.freeze() is None
    (found,) = firm.exceptions("shadow")
    assert (found["record_id"], found["amount_at_risk"]) == ("kantata 7 -", Decimal("19.50"))


def test_a_bill_in_draft_is_priced_and_waits_and_a_cancelled_one_is_none(billed_by_psa: Firm) -> None:
    firm = billed_by_psa
    firm.log(1, 60, **HOUR)
    firm.log(2, 60, **HOUR | {"rate_in_cents": 1})
    invoice(firm, 7, [1], draft=True)
    invoice(firm, 8, [2], status="cancelled")
    read(firm)
    assert firm.freeze() is None
    assert told(firm) == [("- - 2", "missing")]  # the draft is right, and bills its month


def test_an_increment_the_psa_does_not_know_is_named(billed_by_psa: Firm) -> None:
    firm = billed_by_psa
    with firm.store.transaction("test"):
        firm.store.run(
            "insert into core.increment (customer_id, valid_from, minutes) select customer_id, '2026-01-01', 30 "
            "from core.customer"
        )
    firm.log(1, 50, **HOUR)
    invoice(firm, 7, [1])
    read(firm)
    assert firm.freeze() is None and told(firm) == [("kantata 7 time:1", "increment")]


def test_a_cap_the_psa_billed_through_is_named(billed_by_psa: Firm) -> None:
    firm = billed_by_psa
    with firm.store.transaction("test"):
        firm.store.run(
            "insert into billing.cap (cap_id, level, scope_id, limit_amount, currency) "
            "select 'CAP', 'contract', contract_id, 100, 'USD' from core.contract"
        )
    firm.log(1, 60, **HOUR)
    invoice(firm, 7, [1])
    read(firm)
    assert firm.freeze() is None
    (found,) = firm.exceptions("shadow")
    assert found["message"].startswith("cap: ") and "over the cap 80.5, cap CAP = 100.00 USD" in found["message"]


def test_where_the_erp_owns_the_number_psflow_bills_nothing(firm: Firm) -> None:
    firm.config = owned(firm.config, "erp")
    firm.start()
    firm.log(1, 60)
    firm.load_time()
    assert firm.freeze() is None


def test_an_approved_batch_whose_number_became_anothers_is_not_posted(firm: Firm) -> None:
    firm.start()
    firm.log(1, 60)
    firm.load_time()
    batch = firm.approve()
    firm.config = owned(firm.config, "erp")
    with pytest.raises(GateFailed, match="stale"):
        firm.post(batch)
    assert firm.erp.documents == {}


def test_an_approved_batch_whose_bill_the_psa_changed_is_not_posted(billed_by_psa: Firm) -> None:
    firm = billed_by_psa
    firm.log(1, 60, **HOUR)
    invoice(firm, 7, [1])
    read(firm)
    batch = firm.approve()
    invoice(firm, 7, [1], updated_at="2036-11-03T09:00:00Z", status="cancelled")
    read(firm)
    with pytest.raises(GateFailed, match="stale"):
        firm.post(batch)
    assert firm.erp.documents == {} and firm.freeze() is None


def test_postgres_refuses_lines_of_anothers_number(firm: Firm) -> None:
    firm.start()
    firm.log(1, 60)
    firm.load_time()
    firm.freeze()
    with (
        pytest.raises(psycopg.errors.CheckViolation, match=r"another system's.*\(psa\)"),
        firm.store.transaction("test"),
    ):
        shadow.tell(firm.store, owned(firm.config, "psa"))
        firm.store.run("update billing.batch set state = 'stale'")
        firm.store.run(
            "insert into billing.batch (batch_id, legal_entity_id, period, number, invoiced_on) "
            "select 'another', legal_entity_id, period, 9, invoiced_on from billing.batch"
        )
        firm.store.run(
            "insert into billing.batch_line (batch_id, charge_id, kind, time_entry_id, version, project_code, "
            "worked_on, role, minutes, hourly_rate, amount, currency) select 'another', charge_id, kind, "
            "time_entry_id, version, project_code, worked_on, role, minutes, hourly_rate, amount, currency "
            "from billing.batch_line"
        )


def test_a_rule_for_one_contract_leaves_the_others_alone(firm: Firm) -> None:
    firm.start()
    rule = NumberRule(owner="erp", contract_id="C-another")
    firm.config = firm.config.model_copy(update={"number_owner": (rule,)})
    firm.log(1, 60)
    firm.load_time()
    firm.bill()
    assert posted(firm) == ["180.500"]


def test_what_was_told_cannot_be_changed(firm: Firm) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), firm.store.transaction("test"):
        firm.store.run("update ops.number_owner set rules = '[]'")


class Documents:
    """An ERP that makes invoices of its own."""

    key, instance = "tryton", "books"
    profile: Any = None

    def __init__(self, *rows: Bill) -> None:
        self.rows = rows

    def bills(self, since: Any) -> Iterator[Page[Bill]]:
        yield Page([Pulled(row.bill_id, row, "{}", row.modified_at) for row in self.rows], [])

    def find(self, effect: Any) -> None: ...
    def perform(self, effect: Any) -> str: ...
    def url(self, kind: str, external_id: str) -> str: ...


def document(firm: Firm, *hours: tuple[int, str, str]) -> Documents:
    """Hours of the first project, each line (minutes, rate, amount), without a word which entries they are."""
    code = firm.store.value("select project_code from core.project")
    lines = tuple(
        BillLine(str(n), "time", None, code, minutes, Decimal(rate), Decimal(amount), "Consultant")
        for n, (minutes, rate, amount) in enumerate(hours, 1)
    )
    day = dt.date(2026, 10, 31)
    return Documents(Bill("31", None, "draft", "USD", day, None, None, dt.datetime(2036, 1, 1, tzinfo=dt.UTC), lines))


@pytest.fixture
def billed_by_erp(firm: Firm) -> Firm:
    """A firm whose ERP makes the invoices; 90 and 30 minutes at 180.50 are worked, and an hour at 200.00."""
    firm.config = owned(firm.config, "erp")
    firm.start()
    firm.log(1, 90)
    firm.log(2, 30)
    firm.log(3, 60, date_performed="2026-10-20")
    firm.load_time()
    return firm


def test_a_draft_of_the_erp_is_priced_by_project_and_price_and_psflow_posts_nothing(billed_by_erp: Firm) -> None:
    firm = billed_by_erp
    right = document(firm, (90, "180.50", "270.75"), (30, "180.50", "90.25"), (60, "200", "200"))
    assert shadow.read_bills(firm.store, firm.config, right, "erp") == 1
    assert firm.freeze() is None and told(firm) == []
    rows = firm.store.rows("select billed_amount, should_amount from billing.shadow_line order by 1")
    assert [tuple(row.values()) for row in rows] == [(Decimal(200),) * 2, (Decimal(361),) * 2]


def test_a_draft_of_the_erp_with_an_hour_less_or_another_price_is_named_with_its_entries(billed_by_erp: Firm) -> None:
    firm = billed_by_erp
    wrong = document(firm, (90, "180.50", "270.75"), (60, "210", "210"))
    shadow.read_bills(firm.store, firm.config, wrong, "erp")
    assert firm.freeze() is None
    assert {cause for _, cause in told(firm)} == {"hours", "rate"}
    said = " ".join(e["message"] for e in firm.exceptions("shadow"))
    assert "entries 1, 2, 2.00 h worked" in said and "entries 3, 1.00 h worked, at 200" in said
    assert sum(e["amount_at_risk"] for e in firm.exceptions("shadow")) == Decimal("90.25") + 10


def test_an_hour_after_the_date_of_the_erps_document_is_not_forgotten_and_one_before_it_is(billed_by_erp: Firm) -> None:
    firm = billed_by_erp
    firm.log(4, 60, date_performed="2026-11-03")
    firm.load_time()
    shadow.read_bills(firm.store, firm.config, document(firm, (120, "180.50", "361")), "erp")
    assert firm.freeze("2026-11") is None
    (found,) = firm.exceptions("shadow")
    assert "missing" in found["message"] and "entries 3, 1.00 h worked, at 200" in found["message"]


def test_a_system_that_makes_no_invoices_is_asked_for_none(firm: Firm) -> None:
    assert shadow.read_bills(firm.store, firm.config, firm.erp, "erp") == 0

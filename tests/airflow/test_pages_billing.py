"""The pages of finance: one stored plan with who decided, a workbook of it, and each printed amount explained."""

from __future__ import annotations

import io
import zipfile

import pytest

from psflow.errors import GateFailed
from psflow.flows import billing, billing_plan
from tests.airflow.pages import Browse, browse, manager
from tests.airflow.test_pages_entities import both, policy
from tests.flows.conftest import Firm, PassGate

__all__ = ["both", "browse", "manager", "policy"]
INVOICE = "MER-US.2026-10.1.P-1001"


@pytest.fixture
def working(firm: Firm) -> Firm:
    firm.start()
    firm.log(88, 90)
    firm.load_time()
    firm.spend(9)
    firm.load_expenses()
    return firm


def plan_of(browse: Browse, batch: str, user: str = "petra") -> str:
    answer = browse(user).get(f"/plan/{batch}")
    assert answer.status_code == 200, answer.text
    return answer.text


def test_the_plan_shows_what_is_stored_and_its_hash(browse: Browse, working: Firm) -> None:
    batch = working.approve()
    shown = plan_of(browse, batch)
    plan = billing_plan.of(working.store, batch)
    for text in (plan.plan_hash, plan.content_hash, "371.30 USD", "270.75 USD", "Acme", "us_services", "fiona (P-101)"):
        assert str(text) in shown, text
    assert "frank (P-102)" in shown and f'href="/psflow/trace?id={"P-1001"}"' in shown
    assert "/explain/" not in shown.partition("<main")[2]  # nothing of it is an invoice yet
    working.post(batch)
    assert f'href="/psflow/explain/{INVOICE}"' in plan_of(browse, batch)


def test_the_list_of_batches_leads_to_their_plans(browse: Browse, working: Firm) -> None:
    assert "No batch yet" in browse("petra").get("/plan").text
    batch = working.approve()
    page = browse("petra").get("/plan").text
    assert f'href="/psflow/plan/{batch}"' in page and "371.30 USD" in page


def test_a_reject_says_its_reason_on_its_plan_and_on_the_next(browse: Browse, working: Firm) -> None:
    batch = working.freeze()
    assert batch
    shown = str(billing.check(working.store, working.config, PassGate(), batch)["content_hash"])
    with pytest.raises(GateFailed):
        billing.decide(
            working.store, working.config, batch, "submit", airflow_user="fiona", approved=False, content_hash=shown,
            run_id="r", reason="<b>Ann</b> was on leave",
        )  # fmt: skip
    again = str(working.freeze())
    billing.check(working.store, working.config, PassGate(), again)
    for each in (batch, again):
        assert "&lt;b&gt;Ann&lt;/b&gt; was on leave" in plan_of(browse, each)
    assert "was on leave" in browse("petra").get("/plan").text


def test_a_batch_before_its_gate_says_that_nothing_is_kept(browse: Browse, working: Firm) -> None:
    assert "Nothing is kept yet" in plan_of(browse, str(working.freeze()))


def test_the_workbook_is_the_same_plan(browse: Browse, working: Firm) -> None:
    batch = working.approve()
    answer = browse("petra").get(f"/plan/{batch}/xlsx")
    assert answer.headers["content-disposition"] == 'attachment; filename="plan-MER-US.2026-10.1.xlsx"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as parts:
        text = "".join(parts.read(name).decode() for name in parts.namelist())
    assert str(billing_plan.of(working.store, batch).plan_hash) in text and "371.3" in text


def test_an_invoice_is_explained_down_to_its_charges(browse: Browse, working: Firm) -> None:
    batch = working.bill()
    page = browse("petra").get(f"/explain/{INVOICE}").text
    for text in (
        "USD 371.30 without tax, the sum of 2 lines", "1.50 h on 2026-10-05 by Ann Lee", "USD 180.50 = USD 270.75",
        "rate card Standard", "frank (P-102)", f'href="/psflow/plan/{batch}"', "/psflow/explain/88.1?kind=charge",
    ):  # fmt: skip
        assert text in page, text
    entry = browse("petra").get("/explain/88?kind=entry").text
    assert "billed, USD 270.75 on" in entry
    assert "What it cost us is not known: no cost rate of the day." in browse("frank").get("/explain/88.1").text
    assert "cost us" not in browse("petra").get("/explain/88.1").text  # of the PMO


def test_an_id_that_is_two_things_is_chosen(browse: Browse, working: Firm) -> None:
    working.log(1, 60, date_performed="2026-11-02")
    working.load_time()
    working.bill()
    from psflow.flows import reconciliation

    reconciliation.read_erp(working.store, working.erp)
    page = browse("petra").get("/explain/1").text
    assert "2 things are called so" in page and "?kind=invoice" in page
    assert "billed by the next batch" in browse("petra").get("/explain/1?kind=entry").text


def test_what_is_put_in_leads_to_its_page_and_what_is_unknown_is_said(browse: Browse, working: Firm) -> None:
    petra = browse("petra")
    assert petra.get("/explain?id=+88.1/2+").headers["location"] == "/psflow/explain/88.1/2"
    assert petra.get("/explain?id=//evil.example").headers["location"] == "/psflow/explain///evil.example"
    assert "Put in an invoice or its number" in petra.get("/explain").text
    answer = petra.get("/explain/<script>")
    assert answer.status_code == 404 and "<script>" not in answer.text.partition("<main")[2]
    assert petra.get("/plan/nowhere").status_code == 404


def test_a_plan_and_an_amount_are_seen_by_people_of_their_legal_entity(browse: Browse, both: Firm) -> None:
    for user, sees in {"petra": "US EU", "frank": "US", "engineer": "EU", "paula": "EU", "stranger": ""}.items():
        for entity, entry in (("US", "1"), ("EU", "2")):
            expected = 200 if entity in sees else 404
            batch = f"MER-{entity}.2026-10.1"
            for address in (f"/plan/{batch}", f"/plan/{batch}/xlsx", f"/explain/{entry}"):
                assert browse(user).get(address).status_code == expected, f"{user} {address}"
            assert (batch in browse(user).get("/plan").text) == (expected == 200)

"""One id, from whatever system, leads to the whole history of its engagement."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.rows import dict_row

from psflow import trace
from psflow.flows import reconciliation
from tests.flows.conftest import Firm


@pytest.fixture
def billed(firm: Firm, app_url: str) -> Iterator[psycopg.Connection[dict[str, object]]]:
    firm.start()
    firm.log(1)
    firm.log(2, role_id="1")
    firm.load_time()
    firm.bill()
    reconciliation.read_erp(firm.store, firm.erp)
    firm.store.close()
    with psycopg.connect(app_url, row_factory=dict_row) as db:
        yield db


def test_every_id_leads_to_its_engagement(billed: psycopg.Connection[dict[str, object]]) -> None:
    ids = ["E-1001", "P-1001", "006000000000001AAA", "006000000000001", "C-77", "1", "MER-US.2026-10.1"]
    ids += ["MER-US.2026-10.1.P-1001", "INV-1", "kantata:create_project:E-1001.1"]
    assert {i: trace.engagements(billed, i) for i in ids} == {i: ["E-1001"] for i in ids}
    assert trace.engagements(billed, "nobody") == []


def test_the_history_tells_deal_effects_hours_gate_people_invoice_and_what_is_open(
    billed: psycopg.Connection[dict[str, object]],
) -> None:
    rows = trace.history(billed, "E-1001")
    told = {str(row["what"]) for row in rows}
    assert told >= {
        "deal won", "now active", "effect registered", "effect done", "hours loaded", "batch frozen", "gate passed",
        "submit approved", "approve approved", "invoice", "exception open",
    }  # fmt: skip
    assert any("fiona (P-101)" in str(row["says"]) for row in rows)
    assert [row["at"] for row in rows] == sorted(row["at"] for row in rows)  # type: ignore[type-var]

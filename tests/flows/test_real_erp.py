"""The same line against a real ERP: lost answers and killed workers end with one posted document that ties out."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from psflow.contracts import VendorProfile
from psflow.flows import reconciliation
from psflow.sandbox.tryton import TrytonServer
from psflow.store.connection import Store
from tests.crash.points import killed_at
from tests.database import REGION
from tests.flows.conftest import Firm
from tests.systems.tryton_fixture import adapter

QUICK = VendorProfile(lookup="search", deadline_s=2, late_landing_s=0.2, search_lag_s=0, lease_s=4)
FIRST = itertools.count(2000 + os.getpid() % 1000 * 100)


@pytest.fixture
def real(firm: Firm, config: Any, admin_url: str, tryton_server: TrytonServer) -> Iterator[Firm]:
    """The firm with Tryton as its ERP, one active project and two entries; ids no other test used."""
    with psycopg.connect(admin_url) as owner:
        owner.execute(f"alter sequence core.engagement_number restart with {next(FIRST)}")
    erp = adapter(tryton_server, QUICK.deadline_s)
    erp.profile = QUICK
    firm.erp = erp  # type: ignore[assignment]
    firm.config = config.model_copy(update={"systems": config.systems | {"tryton": QUICK}})
    firm.start()
    firm.log(1, 100)
    firm.log(2, 20, date_performed="2026-10-20")
    firm.load_time()
    yield firm
    tryton_server.reset_faults()


def documents(firm: Firm) -> list[tuple[str, Decimal]]:
    keys = [row["invoice_key"] for row in firm.store.rows("select invoice_key from billing.invoice")]
    return [(d.state, d.untaxed_amount) for d in firm.erp.invoices(keys)]


def proven(firm: Firm) -> None:
    """One posted document of 300.83 + 66.67 dollars, and every record ties."""
    assert documents(firm) == [("posted", Decimal("367.50"))]
    reconciliation.read_erp(firm.store, firm.erp)
    assert reconciliation.tie_out(firm.store, firm.config) == {"comparisons": 2 + 2 + 2 + 3 + 2, "breaks": 0}
    assert firm.store.value("select count(*) from ops.effect where state <> 'done'") == 0


def test_a_won_deal_ends_as_a_posted_invoice_whose_ledger_ties_to_the_cent(real: Firm) -> None:
    real.bill()
    proven(real)


def test_expenses_are_posted_beside_the_hours_as_one_fee_a_category(real: Firm) -> None:
    real.spend(1, 10055)
    real.spend(2, 2010, category="Lodging")
    real.spend(3, 5)
    real.load_expenses()
    real.bill()
    assert documents(real) == [("posted", Decimal("367.50") + Decimal("120.70"))]
    reconciliation.read_erp(real.store, real.erp)
    assert reconciliation.tie_out(real.store, real.config) == {"comparisons": 5 + 4 + 4 + 3 + 2, "breaks": 0}
    fees = "select quantity, unit_price from core.erp_invoice_line order by line_key desc limit 2"
    assert [tuple(row.values()) for row in real.store.rows(fees)] == [(1, Decimal("100.60")), (1, Decimal("20.10"))]


def test_a_time_out_after_commit_on_the_draft_ends_with_one_document(real: Firm, tryton_server: TrytonServer) -> None:
    tryton_server.arm("model.account.invoice.create", "timeout_after_commit", hang_s=3)
    real.bill()
    assert tryton_server.state()["faults"] == {"timeout_after_commit": 1}
    proven(real)


@pytest.mark.parametrize(
    "point",
    [
        "billing.release:after-commit",
        "tryton.draft_invoice:answered",
        "billing.read_back:after-commit",
        "tryton.post_invoice:answered",
    ],
)
def test_a_worker_killed_anywhere_between_release_and_post_ends_with_one_document(
    real: Firm, app_url: str, point: str
) -> None:
    batch = real.approve()
    real.store.close()

    def work() -> None:
        with Store.open(app_url, REGION) as store:
            real.store = store
            real.post(batch)

    killed_at(point, work)
    work()
    with Store.open(app_url, REGION) as store:
        real.store = store
        proven(real)

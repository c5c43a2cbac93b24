"""Operators on their own: what they choose when the run does not say, and what they make of a flow's answer."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from psflow.errors import ConfigurationError, GateFailed, NeedsReview
from psflow.flows import billing, reconciliation
from psflow_airflow.operators.activation import ActivationRunsOperator
from psflow_airflow.operators.billing import BillingFreezeOperator, BillingReleaseOperator
from psflow_airflow.operators.reconciliation import TieOutOperator
from tests.airflow.conftest import context
from tests.flows.conftest import Firm


def freeze(**fields: Any) -> str:
    given = {"legal_entity_id": "MER-US"} | fields
    return BillingFreezeOperator(task_id="freeze", **given).execute(context())


@pytest.fixture
def worked(firm: Firm, connections: None) -> Firm:
    """A firm with an hour in September and one in October that nobody billed."""
    firm.start()
    firm.log(1, date_performed="2026-09-30")
    firm.log(2, date_performed="2026-10-31")
    firm.load_time()
    return firm


def test_a_batch_is_of_the_month_before_the_run_and_dated_its_last_day(worked: Firm) -> None:
    batch = billing.find(worked.store, freeze())
    assert (batch["batch_id"], str(batch["invoiced_on"])) == ("MER-US.2026-10.1", "2026-10-31")
    assert billing.summary(worked.store, batch["batch_id"])["charges"] == 2


def test_a_run_may_name_period_and_day(worked: Firm) -> None:
    batch = billing.find(worked.store, freeze(period="2026-09", invoiced_on="2026-10-05"))
    assert (batch["period"], str(batch["invoiced_on"])) == ("2026-09", "2026-10-05")
    assert billing.summary(worked.store, batch["batch_id"])["charges"] == 1


def test_nothing_to_bill_skips_the_rest(worked: Firm) -> None:
    with pytest.raises(AirflowSkipException, match="nothing to bill for MER-US up to 2026-08-31"):
        freeze(period="2026-08")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"period": "October"}, "'October' is not YYYY-MM"),
        ({"invoiced_on": "31.10.2026"}, "'31.10.2026' is not YYYY-MM-DD"),
        ({"legal_entity_id": "ACME"}, "'ACME' is not in psflow.yaml"),
    ],
)
@pytest.mark.usefixtures("connections")
def test_what_a_run_says_wrongly_is_named(fields: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        freeze(**fields)
    assert says in str(caught.value)


def test_a_batch_nobody_approved_is_not_released(checked: tuple[Firm, str, str]) -> None:
    with pytest.raises(GateFailed, match="is checked, not approved"):
        BillingReleaseOperator(task_id="release", batch_id=checked[1]).execute(context())


def test_a_break_is_red_only_after_all_rows_are_written(worked: Firm) -> None:
    worked.bill()
    reconciliation.read_erp(worked.store, worked.erp)
    tied = TieOutOperator(task_id="tie_out").execute(context())
    assert tied["breaks"] == 0 and tied["comparisons"] > 5
    worked.erp.documents["1"]["lines"][0]["amount"] = "0.01"
    reconciliation.read_erp(worked.store, worked.erp)
    with pytest.raises(NeedsReview, match=f"of {tied['comparisons']} comparisons do not tie"):
        TieOutOperator(task_id="tie_out").execute(context())
    assert worked.store.value("select count(*) from finance.invoice_tie_out where status <> 'tied'") > 0
    assert worked.exceptions("tie_out")


def test_new_deals_start_once_and_corrected_ones_again() -> None:
    one, two = {"engagement_id": "E-1", "epoch": 1}, {"engagement_id": "E-2", "epoch": 3}
    assert ActivationRunsOperator(task_id="due", due={"start": [one], "restart": [two]}).execute({}) == [
        {"trigger_run_id": "E-1.1", "conf": one, "reset_dag_run": False, "skip_when_already_exists": True},
        {"trigger_run_id": "E-2.3", "conf": two, "reset_dag_run": True, "skip_when_already_exists": False},
    ]


def test_more_deals_than_airflow_maps_start_at_the_next_sync() -> None:
    many = [{"engagement_id": f"E-{n}", "epoch": 1} for n in range(1500)]
    assert len(ActivationRunsOperator(task_id="due", due={"start": many, "restart": []}).execute({})) == 1000

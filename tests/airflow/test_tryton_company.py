"""Operators work in the books of the company that signed, whatever company the connection names."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from psflow.config import NumberRule
from psflow.errors import NeedsReview
from psflow.flows import activation
from psflow.sandbox import tryton_seed
from psflow.sandbox.tryton import TrytonServer
from psflow_airflow.hooks.tryton import TrytonHook
from psflow_airflow.operators.tryton import (
    TrytonCreateProjectOperator,
    TrytonDraftInvoicesOperator,
    TrytonPostTimeOperator,
    TrytonReadInvoicesOperator,
)
from tests.airflow.conftest import context, set_connection
from tests.flows.conftest import Firm
from tests.systems.tryton_fixture import adapter

US, EU = (company.name for company in tryton_seed.COMPANIES)


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch, connections: None, tryton_server: TrytonServer) -> TrytonServer:
    """The connection to a real Tryton; it names the American company."""
    set_connection(
        monkeypatch, "psflow_tryton", conn_type="psflow_tryton", host=tryton_server.url, login=tryton_server.login,
        password=tryton_server.password, extra={"database": tryton_server.database, "company": US},
    )  # fmt: skip
    return tryton_server


@pytest.mark.usefixtures("connections")
def test_a_hook_works_in_the_company_it_is_told_else_in_that_of_its_connection() -> None:
    assert TrytonHook(company=EU).get_conn().company == EU
    assert TrytonHook().get_conn().company == "Meridian"


@pytest.mark.parametrize(("signs", "company", "other"), [("Meridian EU", EU, US), ("Meridian US", US, EU)])
def test_the_project_of_a_deal_is_made_in_the_company_that_signed(
    firm: Firm, books: TrytonServer, signs: str, company: str, other: str
) -> None:
    firm.win(Legal_Entity__c=signs)
    (run,) = firm.sync()["start"]
    activation.check(firm.store, firm.config, **run)
    made = TrytonCreateProjectOperator(task_id="create", **run).execute(context())
    assert _has(books, company, made)
    assert not _has(books, other, made)


def _has(server: TrytonServer, company: str, project: str) -> bool:
    erp = adapter(server, company=company)
    ours = erp._masters.ours("project.work")
    return bool(erp._search("project.work", [["id", "=", int(project)], *ours], []))


def test_documents_of_all_companies_are_read(firm: Firm, books: TrytonServer) -> None:
    assert TrytonReadInvoicesOperator(task_id="read").execute(context()) == {"documents": 0}


def test_hours_go_to_the_company_whose_invoices_the_erp_makes_and_nowhere_else(
    firm: Firm, books: TrytonServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    post = TrytonPostTimeOperator(task_id="post_time")
    with pytest.raises(AirflowSkipException, match="no contract's invoices are Tryton's"):
        post.execute(context())
    firm.start(Legal_Entity__c="Meridian EU")
    theirs = firm.config.model_copy(update={"number_owner": (NumberRule(owner="erp", legal_entity_id="MER-EU"),)})
    monkeypatch.setattr("psflow.config.load", lambda *_, **__: theirs)
    asked: list[str] = []
    monkeypatch.setattr("psflow.flows.erp_time.post_time", lambda _, __, erp, entity: asked.append(erp.company) or {})
    assert post.execute(context()) == {"MER-EU": {}}
    assert asked == [EU]


@pytest.mark.usefixtures("connections")
def test_a_batch_nobody_knows_reaches_no_books() -> None:
    with pytest.raises(NeedsReview, match=r"batch 'MER-US\.2026-10\.9' is unknown"):
        TrytonDraftInvoicesOperator(task_id="draft", batch_id="MER-US.2026-10.9").execute(context())

"""What people do on the pages: only their team's, only from there, and written down."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from psflow.config import Config
from psflow.store import exceptions, workflow
from psflow.store.connection import Store
from psflow.store.exceptions import Finding
from psflow.store.sight import EVERYTHING
from tests.airflow.pages import Browse, browse, manager
from tests.flows.conftest import Firm

__all__ = ["browse", "manager"]
FROM_THE_PAGE = {"Sec-Fetch-Site": "same-origin", "Accept": "application/json", "Content-Type": "application/json"}


def opened(store: Store, config: Config, rule: Any, entity: str = "time_entry", record: str = "77") -> int:
    with store.transaction("test"):
        exceptions.open_all(store, config, [Finding(rule, entity, record, "minutes", "99", "odd")])
    return int(store.value("select max(exception_id) from ops.exceptions"))


@pytest.fixture
def held(store: Store, config: Config) -> int:
    """An hour that the PMO has to correct."""
    return opened(store, config, "time_entry")


def send(
    client: Any, number: int, action: str, headers: dict[str, str] | None = None, **change: str
) -> tuple[int, str]:
    sent = FROM_THE_PAGE | (headers or {})
    answer = client.post(f"/exceptions/{number}/{action}", content=json.dumps(change), headers=sent)
    return answer.status_code, str(answer.json().get("detail") or answer.json().get("says"))


def untouched(store: Store, number: int) -> bool:
    store.row("select 1")
    row = workflow.exception(store, EVERYTHING, number)
    return (row["state"], row["assignee"]) == ("open", None) and not store.value("select count(*) from ops.audit")


def test_the_team_works_on_its_exception_and_everybody_sees_how(browse: Browse, store: Store, held: int) -> None:
    petra = browse("petra")
    assert send(petra, held, "assign", to="P-201", comment="please look") == (200, "assigned to P-201")
    assert send(petra, held, "comment", comment="asked <b>Ann</b>") == (200, "comment added")
    assert send(petra, held, "waive", comment="agreed with the client") == (200, "waived")
    assert send(petra, held, "reopen", comment="it is not") == (200, "reopened")
    assert send(petra, held, "resolve", comment="corrected in the PSA") == (200, "resolved")
    told = [(e["who"], e["what"]) for e in workflow.events(store, held)]
    assert told == [("psflow", "opened"), *(("P-202", what) for what in
                    ("assigned", "commented", "waived", "reopened", "resolved"))]  # fmt: skip
    assert (
        store.value("select count(*) from ops.audit where actor = 'P-202' and subject = 'exception ' || %(n)s", n=held)
        == 5
    )
    page = browse("paula").get(f"/exceptions/{held}").text
    assert "asked &lt;b&gt;Ann&lt;/b&gt;" in page and "corrected in the PSA" in page


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("paula", "you may look and not change: ask for the Airflow role “user”"),  # of the team, but a viewer
        ("fiona", "this is pmo's; you are in finance"),
        ("stranger", "Airflow user 'stranger' is no person in psflow.yaml; add it under people"),
    ],
)
@pytest.mark.parametrize("action", ["assign", "comment", "retry", "waive", "resolve", "reopen"])
def test_nobody_else_changes_anything(
    browse: Browse, store: Store, held: int, user: str, says: str, action: str
) -> None:
    assert send(browse(user), held, action, comment="let me") == (403, says)
    assert untouched(store, held)
    page = browse(user).get(f"/exceptions/{held}").text
    assert "<form class=" not in page.partition("<main")[2]


def test_who_may_work_on_every_teams_exceptions_does(browse: Browse, store: Store, config: Config) -> None:
    number = opened(store, config, "rate")
    assert send(browse("petra"), number, "comment", comment="any news?")[0] == 200
    assert send(browse("engineer"), number, "comment", comment="any news?") == (
        403, "this is finance's; you are in data engineering",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": ""}, 403),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "multipart/form-data"}, 415),
    ],
)
def test_a_change_from_another_page_is_refused(
    browse: Browse, store: Store, held: int, headers: dict[str, str], status: int
) -> None:
    assert send(browse("petra"), held, "waive", headers, comment="agreed")[0] == status
    assert untouched(store, held)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ('{"comment": "yes", "state": "resolved"}', 422),
        ('{"comment": ["yes"]}', 422),
        ('{"comment": ""}', 422),
        ('{"comment": "  a  "}', 422),
        ("[1]", 422),
        ("{", 422),
        ("", 422),
        ("\x00\xff", 422),
        (json.dumps({"comment": "x" * 2001}), 422),
        (json.dumps({"comment": "x" * 20_000}), 413),
        ("[" * 10_000, 422),
    ],
    ids=range(11),
)
def test_what_does_not_read_as_a_change_changes_nothing(
    browse: Browse, store: Store, held: int, body: str, status: int
) -> None:
    answer = browse("petra").post(f"/exceptions/{held}/waive", content=body, headers=FROM_THE_PAGE)
    assert answer.status_code == status, answer.text
    assert isinstance(answer.json()["detail"], str) and len(answer.json()["detail"]) < 400
    assert untouched(store, held)


def test_what_does_not_fit_is_said(browse: Browse, store: Store, held: int) -> None:
    petra = browse("petra")
    assert send(petra, held, "assign", to="P-999") == (422, "to: 'P-999' is no person in psflow.yaml")
    assert send(petra, held, "reopen", comment="why not") == (409, f"exception {held} is open already")
    assert send(petra, 4711, "comment", comment="hello") == (404, "there is no exception 4711")
    assert petra.post(f"/exceptions/{held}/delete", json={}, headers=FROM_THE_PAGE).status_code == 422
    assert untouched(store, held)


def test_the_page_offers_what_fits_the_state(browse: Browse, held: int) -> None:
    petra = browse("petra")
    assert offered(petra, held) == ["assign", "comment", "retry", "waive", "resolve"]
    send(petra, held, "waive", comment="agreed")
    assert offered(petra, held) == ["reopen", "comment"]


def offered(client: Any, number: int) -> list[str]:
    return re.findall(
        rf'action="/psflow/exceptions/{number}/(\w+)" data-json', client.get(f"/exceptions/{number}").text
    )


def test_a_person_says_whether_two_customers_are_one(browse: Browse, firm: Firm) -> None:
    firm.start(1)
    number = opened(firm.store, firm.config, "match", "customer", "salesforce:001X")
    with firm.store.transaction("test"):
        firm.store.run(
            "insert into ops.match_candidate (entity, system, instance, external_id, entity_id, score) "
            "values ('customer', 'salesforce', 'org', '001X', 'C-77', 93.5)"
        )
    engineer, page = browse("engineer"), browse("engineer").get(f"/exceptions/{number}").text
    assert "C-77 Acme" in page and "93.50" in page
    sent = json.dumps({"to": "C-77"})
    answer = engineer.post(f"/exceptions/{number}/match/same", content=sent, headers=FROM_THE_PAGE)
    assert answer.json() == {"says": "salesforce:001X and C-77 are same; the next sync acts on it"}
    found = firm.store.row("select decision, decided_by from ops.match_candidate")
    assert found == {"decision": "same", "decided_by": "P-301"}
    assert workflow.events(firm.store, number)[-1]["comment"] == "salesforce:001X and C-77: same"
    answer = engineer.post(f"/exceptions/{number}/match/same", content=json.dumps({"to": "C-1"}), headers=FROM_THE_PAGE)
    assert answer.status_code == 409 and "never proposed" in answer.json()["detail"]
    refused = browse("paula").post(f"/exceptions/{number}/match/same", content=sent, headers=FROM_THE_PAGE)
    assert refused.status_code == 403


def test_what_is_over_or_asks_something_else_takes_no_word_on_who_is_who(browse: Browse, firm: Firm) -> None:
    firm.start(1)
    asked = opened(firm.store, firm.config, "match", "customer", "salesforce:001X")
    other = opened(firm.store, firm.config, "record", "customer", "salesforce:001X")
    with firm.store.transaction("test"):
        firm.store.run(
            "insert into ops.match_candidate (entity, system, instance, external_id, entity_id, score) "
            "values ('customer', 'salesforce', 'org', '001X', 'C-77', 93.5)"
        )
        exceptions.resolve(firm.store, "match", "customer", ["salesforce:001X"])
    for number, says in ((asked, "is resolved"), (other, "asks nobody who is who")):
        sent = {"content": json.dumps({"to": "C-77"}), "headers": FROM_THE_PAGE}
        answer = browse("engineer").post(f"/exceptions/{number}/match/same", **sent)
        assert answer.status_code == 409 and says in answer.json()["detail"]
    assert firm.store.value("select decision from ops.match_candidate") is None


# -- retry


@pytest.fixture(scope="session")
def known_dags(airflow_db: None) -> None:
    """Airflow's database knows the DAGs, as after their first parse."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    bag = DagBag(dag_folder="dags", bundle_name="dags-folder")
    sync_bag_to_db(bag, bundle_name="dags-folder", bundle_version=None)


def test_retry_starts_the_dag_that_owns_the_rule(browse: Browse, store: Store, held: int, known_dags: None) -> None:
    status, says = send(browse("petra"), held, "retry")
    assert status == 200, says
    assert says.startswith("time_expense runs as manual__")
    assert runs("time_expense")[says.removeprefix("time_expense runs as ")] == ("petra", "queued")
    assert [(e["what"], e["comment"]) for e in workflow.events(store, held)][-1] == ("retried", says)


def test_retry_goes_on_with_the_run_that_stopped(browse: Browse, firm: Firm, known_dags: None) -> None:
    firm.start(1)
    number = opened(firm.store, firm.config, "effect", "effect", "kantata:create_project:E-1001.1")
    stopped_run("activation", "E-1001.1")
    status, says = send(browse("petra"), number, "retry")
    assert (status, says) == (200, "activation run E-1001.1 goes on where it failed")
    assert runs("activation")["E-1001.1"][1] == "queued"
    assert send(browse("petra"), number, "retry") == (409, "activation run E-1001.1 has no failed task to clear")


def test_retry_of_a_deal_runs_the_sync_of_the_system_that_sent_it(browse: Browse, firm: Firm, known_dags: None) -> None:
    firm.win(AccountId="001000000000099")
    firm.sync()
    (asked,) = firm.exceptions("record")
    assert asked["entity"] == "deal"
    status, says = send(browse("petra"), asked["exception_id"], "retry")
    assert status == 200 and says.startswith("sync_salesforce runs as manual__")


def test_a_rule_that_no_dag_looks_at_again_says_what_to_do(browse: Browse, store: Store, config: Config) -> None:
    number = opened(store, config, "billing", "project", "P-1001")
    status, says = send(browse("petra"), number, "retry")
    assert status == 409 and says.startswith("no DAG looks at rule billing by itself: ")


def runs(dag_id: str) -> dict[str, tuple[str | None, str]]:
    """Return run id -> who started it and its state."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = session.scalars(select(DagRun).where(DagRun.dag_id == dag_id))
        return {run.run_id: (run.triggering_user_name, str(run.state)) for run in found}


def stopped_run(dag_id: str, run_id: str) -> None:
    """A run whose tasks all failed."""
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy import select

    trigger_dag(dag_id, triggered_by=DagRunTriggeredByType.TEST, run_id=run_id,
                conf={"engagement_id": "E-1001", "epoch": 1})  # fmt: skip
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        assert run is not None
        for task in run.task_instances:
            task.state = TaskInstanceState.FAILED
        run.state = DagRunState.FAILED

"""Twelve planted secrets, real runs that go well and that fail, and then a look into everything that was written."""

from __future__ import annotations

import secrets
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from airflow.sdk import BaseHook

from psflow.errors import PsflowError
from psflow.sandbox.tryton import TrytonServer
from psflow_airflow.operators.alerts import TellAlertsOperator
from tests.airflow import canary
from tests.airflow.conftest import HOME, ROOT, context, set_connection
from tests.airflow.test_runs import Run, people_answer, run
from tests.flows.conftest import Firm
from tests.proof import report
from tests.systems.conftest import Sandbox

__all__ = ["run"]
SYSTEMS = ("salesforce", "kantata", "bamboohr", "float", "tryton")
STATUSES = (400, 401, 308, 500)
LOGINS = {"salesforce": "app", "tryton": "psflow", "database": "canary", "mail": "mailer", "webhook": "hook"}
ODD = "\"&<'{+%/\\>"  # what each encoding writes in its own way


@dataclass
class Planted:
    """The secrets by name, the vendor that repeats them, and how to point a connection somewhere."""

    secrets: dict[str, tuple[str, str]]
    parrot: canary.Parrot
    connect: Callable[[str, str], None]
    told: list[str] = field(default_factory=list)


def planted_secrets(erp_password: str) -> dict[str, tuple[str, str]]:
    names = (*SYSTEMS, "vendor's token", "database", "mail", "webhook", "webhook's path", "audit", "extra field")
    made = {name: f"{secrets.token_hex(12)}{ODD}{secrets.token_hex(4)}" for name in names}
    made |= {"webhook's path": secrets.token_hex(20), "tryton": erp_password}  # these two are of letters and digits
    return {name: (secret, LOGINS.get(name, "x")) for name, secret in made.items()}


@pytest.fixture
def planted(
    firm: Firm, connections: None, admin_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    tryton_server: TrytonServer,
    salesforce_sandbox: Sandbox, kantata_sandbox: Sandbox, bamboohr_sandbox: Sandbox, float_sandbox: Sandbox,
) -> Iterator[Planted]:  # fmt: skip
    made = planted_secrets(tryton_server.password)
    secret = {name: value for name, (value, _) in made.items()}
    for number in (1, 2):
        firm.win(number)
    firm.log(1, 90, date_performed="2026-10-15")
    salesforce_sandbox.load(client_secret=secret["salesforce"])
    kantata_sandbox.load(bearer=secret["kantata"])
    bamboohr_sandbox.load(api_key=secret["bamboohr"])
    float_sandbox.load(token=secret["float"])
    homes = {"salesforce": salesforce_sandbox.url, "kantata": kantata_sandbox.url, "bamboohr": bamboohr_sandbox.url,
             "float": float_sandbox.url, "tryton": tryton_server.url}  # fmt: skip
    parrot = canary.Parrot(secret["vendor's token"])
    threading.Thread(target=parrot.serve_forever, daemon=True).start()
    extra = {"database": tryton_server.database, "company": tryton_server.company, "currency": "USD",
             "contact": "ops@meridian.test", "app_url": "https://f.test",
             "private_key": secret["extra field"]}  # fmt: skip

    def connect(system: str, url: str) -> None:
        set_connection(monkeypatch, f"psflow_{system}", conn_type=f"psflow_{system}", host=url, extra=extra,
                       login=LOGINS.get(system, ""), password=secret[system])  # fmt: skip

    for system in SYSTEMS:
        connect(system, homes[system])
    _connect_the_rest(monkeypatch, secret, parrot, admin_url)
    text = (ROOT / "psflow.yaml").read_text().replace("channels: {}", (
        "channels:\n  pmo: {conn_id: chat}\n  finance: {conn_id: mails, to: [finance@meridian.example]}\n"
        "  data engineering: {conn_id: chat}"))  # fmt: skip
    (tmp_path / "psflow.yaml").write_text(text)
    monkeypatch.setenv("PSFLOW_CONFIG", str(tmp_path / "psflow.yaml"))
    yield Planted(made, parrot, connect)
    parrot.shutdown()


def _connect_the_rest(
    monkeypatch: pytest.MonkeyPatch, secret: dict[str, str], parrot: canary.Parrot, admin_url: str
) -> None:
    info = psycopg.conninfo.conninfo_to_dict(admin_url)
    with psycopg.connect(admin_url, autocommit=True) as owner:
        owner.execute("drop role if exists canary")
        verb = psycopg.sql.SQL("create role canary login in role psflow_app password {}")
        owner.execute(verb.format(psycopg.sql.Literal(secret["database"])))
    set_connection(monkeypatch, "psflow_db", conn_type="postgres", host=info["host"], port=int(str(info["port"])),
                   login="canary", password=secret["database"], schema=info["dbname"])  # fmt: skip
    set_connection(monkeypatch, "psflow_audit", conn_type="generic", password=secret["audit"])
    set_connection(monkeypatch, "mails", conn_type="smtp", host="127.0.0.1", port=9, login="mailer",
                   password=secret["mail"], extra={"from_email": "p@firm.example", "disable_ssl": True})  # fmt: skip
    place = f"{parrot.url}/services/" + secret["webhook's path"]
    set_connection(monkeypatch, "chat", conn_type="http", host=place, login="hook", password=secret["webhook"])


def everything_that_goes_well(run: Run) -> None:
    """Deals become projects and hours become an invoice, in systems whose logins are the planted ones."""
    for dag in ("sync_kantata", "sync_salesforce"):
        assert run(dag)["run"] == "success"
    assert run("activation", engagement_id="E-1001", epoch=1)["run"] == "success"
    assert run("time_expense")["run"] == "success"
    with people_answer(("submit", "fiona", "Approve"), ("approve", "frank", "Approve")):
        assert run("billing", legal_entity_id="MER-US", period="2026-10")["run"] == "success"


def everything_that_fails(planted: Planted, run: Run, monkeypatch: pytest.MonkeyPatch, dags: dict[str, Any]) -> None:
    """The same systems repeat what they were sent: in runs, of which nothing is tried again, and outside of one."""
    for task in (task for dag in dags.values() for task in dag.tasks if not task.is_mapped):
        monkeypatch.setattr(task, "retries", 0)
    planted.connect("kantata", planted.parrot.url)
    planted.parrot.status = 400
    assert run("activation", engagement_id="E-1002", epoch=1)["create_in_psa"] == "failed"  # refused: a dead letter
    for system in SYSTEMS:
        planted.connect(system, planted.parrot.url)
    for status in STATUSES:
        planted.parrot.status = status
        for system in SYSTEMS:
            planted.told.append(_tried(lambda: BaseHook.get_hook(f"psflow_{system}").test_connection()))  # noqa: B023
        planted.told.append(_tried(lambda: TellAlertsOperator(task_id="tell").execute(context())))
    for dag in ("sync_salesforce", "sync_kantata", "alerts"):
        assert run(dag)["run"] == "failed"


def _tried(call: Callable[[], Any]) -> str:
    try:
        return str(call())
    except PsflowError:
        return traceback.format_exc()


def places(planted: Planted, logged: str, admin_url: str) -> dict[str, str]:
    kept = {f"table {name}": text for name, text in canary.business(admin_url).items()}
    return kept | {
        "output": logged, "log files": canary.logs(HOME), "errors": "\n".join(planted.told),
    } | canary.metadata(HOME)  # fmt: skip


@pytest.mark.proof
@pytest.mark.timeout(900)
def test_no_planted_secret_is_found_anywhere_and_a_planted_leak_everywhere(
    planted: Planted, run: Run, dags: dict[str, Any], admin_url: str, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    everything_that_goes_well(run)
    everything_that_fails(planted, run, monkeypatch, dags)
    where = places(planted, "".join(capfd.readouterr()), admin_url)
    found = canary.hits(where, planted.secrets)
    assert "Task failed with exception" in where["output"] and "bad request from" in where["errors"]
    assert all(where[f"table {name}"] for name in ("raw.record", "ops.audit", "ops.exceptions", "billing.invoice"))
    assert "bad request from" in where["table ops.effect"] and "refused" in where["table ops.effect"]
    assert all(where[f"airflow {name}"] for name in ("xcom", "rendered_task_instance_fields", "hitl_detail"))
    leaks = found_of_a_leak_in_each_sink(planted, admin_url, capfd)
    every = len(planted.secrets) * len(canary.ENCODINGS)
    figures = {"secrets": len(planted.secrets), "encodings": len(canary.ENCODINGS), "runs": canary.runs(HOME),
               "vendor_answers": planted.parrot.asked, "places": len(where), "bytes": sum(map(len, where.values())),
               "hits": len(found), "leaks_planted": every * len(leaks),
               "leaks_found": sum(leaks.values())}  # fmt: skip
    ok = not found and set(leaks.values()) == {every}
    assert report.close("canary", figures, ok) == 0, found or leaks


def found_of_a_leak_in_each_sink(planted: Planted, admin_url: str, capfd: pytest.CaptureFixture[str]) -> dict[str, int]:
    """The control: plant each secret in each encoding in each sink; return sink -> how many of them are found."""
    leak = "\n".join(texts[0] for each in planted.secrets.values() for texts in canary.written(*each).values())
    canary.plant_in_business(admin_url, leak)
    canary.plant_in_airflow(HOME, leak)
    (HOME / "logs").mkdir(exist_ok=True)
    (HOME / "logs" / "leak.log").write_text(leak)
    planted.told.append(leak)
    print(leak)
    where = places(planted, "".join(capfd.readouterr()), admin_url)
    tables = [*(f"table {name}" for name in canary.TABLES), *(f"airflow {name}" for name in canary.METADATA)]
    sinks = ["output", "log files", "errors", *tables]
    return {sink: len(canary.hits({sink: where[sink]}, planted.secrets)) for sink in sinks}


def test_each_secret_is_found_in_each_encoding_by_itself() -> None:
    made = planted_secrets("letters-and-0123456789")
    for name, (secret, login) in made.items():
        for encoding, texts in canary.written(secret, login).items():
            for text in texts:
                assert ("x", name, encoding) in canary.hits({"x": f"... {text} ..."}, made)

"""Twelve planted secrets, real runs that go well and that fail, and then a look into everything that was written."""

from __future__ import annotations

import json
import logging
import re
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
from psflow_airflow.operators.alerts import TellAlertsOperator
from tests.airflow import canary
from tests.airflow.conftest import HOME, ROOT, context, set_connection
from tests.airflow.test_runs import Run, run
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


def planted_secrets() -> dict[str, tuple[str, str]]:
    names = (*SYSTEMS, "vendor's token", "database", "mail", "webhook", "webhook's path", "audit", "extra field")
    made = {name: f"{secrets.token_hex(12)}{ODD}{secrets.token_hex(4)}" for name in names}
    made["webhook's path"] = secrets.token_hex(20)  # a path is of letters and digits
    return {name: (secret, LOGINS.get(name, "x")) for name, secret in made.items()}


@pytest.fixture
def planted(
    firm: Firm, connections: None, admin_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    salesforce_sandbox: Sandbox, kantata_sandbox: Sandbox, bamboohr_sandbox: Sandbox, float_sandbox: Sandbox,
) -> Iterator[Planted]:  # fmt: skip
    made = planted_secrets()
    secret = {name: value for name, (value, _) in made.items()}
    firm.win()  # with the firm's own logins, before they change
    firm.log(1, 90)
    salesforce_sandbox.load(client_secret=secret["salesforce"])
    kantata_sandbox.load(bearer=secret["kantata"])
    bamboohr_sandbox.load(api_key=secret["bamboohr"])
    float_sandbox.load(token=secret["float"])
    homes = {"salesforce": salesforce_sandbox, "kantata": kantata_sandbox, "bamboohr": bamboohr_sandbox,
             "float": float_sandbox}  # fmt: skip
    parrot = canary.Parrot(secret["vendor's token"])
    threading.Thread(target=parrot.serve_forever, daemon=True).start()
    extra = {"database": "books", "company": "Meridian", "currency": "USD", "contact": "ops@meridian.test",
             "app_url": "https://f.test", "private_key": secret["extra field"]}  # fmt: skip

    def connect(system: str, url: str) -> None:
        set_connection(monkeypatch, f"psflow_{system}", conn_type=f"psflow_{system}", host=url, extra=extra,
                       login=LOGINS.get(system, ""), password=secret[system])  # fmt: skip

    for system in SYSTEMS:
        connect(system, homes[system].url if system in homes else parrot.url)
    _connect_the_rest(monkeypatch, secret, parrot, admin_url)
    policy = (ROOT / "psflow.yaml").read_text().replace("channels: {}", (
        "channels:\n  pmo: {conn_id: chat}\n  finance: {conn_id: mails, to: [finance@meridian.example]}\n"
        "  data engineering: {conn_id: chat}"))  # fmt: skip
    fast = "deadline_s: 0.6, late_landing_s: 0.1, search_lag_s: 0.05, lease_s: 1.5"
    policy = re.sub(r"(tryton: \{lookup: search, ).*lease_s: \d+", rf"\g<1>{fast}", policy)
    (tmp_path / "psflow.yaml").write_text(policy)
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


def everything_that_runs(planted: Planted, run: Run) -> None:
    """Runs that go well, the same against vendors that repeat what they were sent, and calls outside of a run."""
    for dag in ("sync_kantata", "sync_salesforce"):
        run(dag)
    run("activation", engagement_id="E-1001", epoch=1)
    for system in SYSTEMS:
        planted.connect(system, planted.parrot.url)
    for status in STATUSES:
        planted.parrot.status = status
        for system in SYSTEMS:
            planted.told.append(_tried(lambda: BaseHook.get_hook(f"psflow_{system}").test_connection()))  # noqa: B023
        planted.told.append(_tried(lambda: TellAlertsOperator(task_id="tell").execute(context())))
    run("sync_salesforce")
    run("alerts")


def _tried(call: Callable[[], Any]) -> str:
    try:
        return str(call())
    except PsflowError:
        return traceback.format_exc()


def places(planted: Planted, logged: str, admin_url: str) -> dict[str, str]:
    kept = {f"table {name}": text for name, text in canary.business(admin_url).items()}
    return kept | {
        "output": logged, "log files": canary.logs(HOME), "metadata database": canary.metadata(HOME),
        "errors": "\n".join(planted.told),
    }  # fmt: skip


@pytest.fixture
def hasty(run: Run, dags: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run in which nothing is tried again: the vendors here never get better."""
    for task in (task for dag in dags.values() for task in dag.tasks if not task.is_mapped):
        monkeypatch.setattr(task, "retries", 0)
    return run


def test_no_planted_secret_is_found_anywhere(
    planted: Planted, hasty: Run, admin_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    everything_that_runs(planted, hasty)
    where = places(planted, "".join(capfd.readouterr()), admin_url)
    found = canary.hits(where, planted.secrets)
    figures = {"secrets": len(planted.secrets), "encodings": len(canary.ENCODINGS), "places": len(where),
               "bytes": sum(map(len, where.values())), "vendor_answers": planted.parrot.asked,
               "hits": len(found)}  # fmt: skip
    assert "Task failed with exception" in where["output"] and "bad request from" in where["errors"] + where["output"]
    assert "pull" in where["metadata database"] and where["table raw.record"] and where["table ops.audit"]
    assert report.close("canary", figures, not found) == 0, found


def test_a_planted_leak_is_found_in_each_encoding_and_place(
    planted: Planted, airflow_db: None, admin_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """The control: a search that cannot find anything would find nothing."""
    for name, (secret, login) in planted.secrets.items():
        for encoding, texts in canary.written(secret, login).items():
            assert (("x", name, encoding)) in canary.hits({"x": f"... {texts[0]} ..."}, planted.secrets)
    secret = planted.secrets["kantata"][0]
    with psycopg.connect(admin_url) as owner:
        owner.execute(
            "insert into ops.exceptions (rule, entity, record_id, field, message, owner_team, fix, due_at) "
            "values ('record', 'x', 'x', 'x', %s, 'x', 'x', now())", [json.dumps({"said": secret})],
        )  # fmt: skip
    logging.getLogger("airflow.task").error("answered %r", secret)
    print(f"token {secret}")
    where = places(planted, "".join(capfd.readouterr()), admin_url)
    seen = {place for place, _, _ in canary.hits(where, planted.secrets)}
    assert {"table ops.exceptions", "output"} <= seen

"""A connection becomes a working adapter, says what it lacks, and shows nobody its secrets."""

from __future__ import annotations

import datetime as dt
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.sdk import BaseHook

import psflow_airflow
from psflow.config import Config
from psflow.errors import ConfigurationError, TransientError
from psflow.store.breakers import overview
from psflow.store.connection import Store
from psflow_airflow.hooks.bamboohr import BambooHRHook
from psflow_airflow.hooks.kantata import KantataHook
from psflow_airflow.hooks.salesforce import SalesforceHook
from psflow_airflow.hooks.store import StoreHook
from psflow_airflow.hooks.tryton import TrytonHook
from tests.airflow.conftest import set_connection
from tests.systems.conftest import Sandbox

HOOKS: dict[str, Any] = {
    "salesforce": SalesforceHook,
    "kantata": KantataHook,
    "bamboohr": BambooHRHook,
    "tryton": TrytonHook,
}
WHOLE: dict[str, dict[str, Any]] = {
    "salesforce": {"host": "https://x.example.com", "login": "app", "password": "swordfish"},
    "kantata": {"host": "https://x.example.com", "password": "swordfish"},
    "bamboohr": {"host": "https://x.example.com", "password": "swordfish"},
    "tryton": {
        "host": "https://x.example.com", "login": "psflow", "password": "swordfish",
        "extra": {"database": "books", "company": "Meridian", "payment_term": "Net 14"},
    },
}  # fmt: skip


def connect(monkeypatch: pytest.MonkeyPatch, system: str, **fields: Any) -> Any:
    given = {name: value for name, value in (WHOLE[system] | fields).items() if value is not None}
    set_connection(monkeypatch, f"psflow_{system}", conn_type=f"psflow_{system}", **given)
    return HOOKS[system]()


@pytest.mark.usefixtures("connections")
def test_each_connection_becomes_an_adapter_that_reads(
    salesforce_sandbox: Sandbox, kantata_sandbox: Sandbox, bamboohr_sandbox: Sandbox
) -> None:
    salesforce_sandbox.load({"Account": [{"Id": "001000000000001", "Name": "Acme", "AccountNumber": "77"}]})
    ((customer,), _) = next(SalesforceHook().get_conn().customers(None))
    assert customer.record.name == "Acme"
    kantata_sandbox.load({"users": [{"id": "7", "full_name": "Ann Lee", "role_id": None}]})
    ((person,), _) = next(KantataHook().get_conn().resources())
    assert person.record.name == "Ann Lee"
    bamboohr_sandbox.load({"employees": [{"id": "7", "firstName": "Bo", "lastName": "Ek"}]})
    ((employee,), _) = next(BambooHRHook().get_conn().resources())
    assert employee.record.name == "Bo Ek"


@pytest.mark.usefixtures("connections")
def test_airflow_finds_the_hook_of_a_connection_by_its_type() -> None:
    for system, hook in HOOKS.items():
        found = BaseHook.get_hook(f"psflow_{system}")
        assert type(found) is hook and found.conn_id == f"psflow_{system}"


@pytest.mark.usefixtures("connections")
def test_the_test_button_reads_something_and_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert SalesforceHook().test_connection() == (True, "salesforce answers and accepts the login")
    assert KantataHook().test_connection()[0]
    assert BambooHRHook().test_connection()[0]
    worked, said = TrytonHook().test_connection()
    assert not worked and "tryton" in said  # nobody listens there
    set_connection(monkeypatch, "psflow_salesforce", conn_type="psflow_salesforce", host="https://x.example.com")
    worked, said = SalesforceHook().test_connection()
    assert not worked and "lacks its login" in said


@pytest.mark.parametrize(
    ("system", "field", "says"),
    [
        ("salesforce", "host", "'psflow_salesforce' lacks its host (base URL)"),
        ("salesforce", "login", "lacks its login (client id)"),
        ("salesforce", "password", "lacks its password (client secret)"),
        ("kantata", "password", "'psflow_kantata' lacks its password (bearer token)"),
        ("bamboohr", "password", "'psflow_bamboohr' lacks its password (API key)"),
        ("tryton", "extra", "'psflow_tryton' lacks its extra field 'database'"),
    ],
)
def test_a_missing_field_is_named_with_its_connection(
    monkeypatch: pytest.MonkeyPatch, system: str, field: str, says: str
) -> None:
    hook = connect(monkeypatch, system, **{field: None})
    with pytest.raises(ConfigurationError) as caught:
        hook.get_conn()
    assert says in str(caught.value)


def test_the_kantata_connection_says_which_fields_of_an_entry_name_line_and_region(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    extra = {"contract_line_field": "story_id", "regions": "Berlin office = EU, Boston=NA"}
    beside = connect(monkeypatch, "kantata", extra=extra).get_conn().beside
    assert (beside.contract_line, beside.regions) == ("story_id", {"Berlin office": "EU", "Boston": "NA"})
    assert connect(monkeypatch, "kantata").get_conn().beside.contract_line is None
    for wrong, says in (
        ({"contract_line_field": "phase"}, "choose of story_id, location"),
        ({"regions": "Berlin"}, "regions has 'Berlin'; write location = region"),
    ):
        with pytest.raises(ConfigurationError, match=says):
            connect(monkeypatch, "kantata", extra=wrong).get_conn()


def test_with_a_store_an_adapter_keeps_the_account_that_all_processes_share(
    monkeypatch: pytest.MonkeyPatch, store: Store, config: Config
) -> None:
    hook = connect(monkeypatch, "tryton")
    account = hook.adapter(config, store).transport.account
    assert (account.system, account.instance) == ("tryton", "x.example.com/books")
    account.admit(0, is_write=False)
    (row,) = overview(store, config)
    assert (row["system"], row["instance"], row["breaker"]) == ("tryton", "x.example.com/books", "closed")


def test_every_operator_gives_its_adapters_the_store() -> None:
    folder = Path(psflow_airflow.__file__).parent / "operators"
    calls = [line for path in folder.glob("*.py") for line in path.read_text().splitlines() if ".adapter(" in line]
    assert calls and all(".adapter(config, store)" in line for line in calls)


def test_a_missing_connection_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_PSFLOW_KANTATA", raising=False)
    with pytest.raises(ConfigurationError, match="no connection 'nowhere'"):
        KantataHook("nowhere").get_conn()


@pytest.mark.parametrize(
    ("fields", "url"),
    [
        ({"host": "https://x.example.com/"}, "https://x.example.com/"),
        ({"host": "x.example.com"}, "https://x.example.com"),
        ({"host": "127.0.0.1", "schema": "http", "port": 8069}, "http://127.0.0.1:8069"),
        ({"host": "https://x.example.com/", "port": 8443}, "https://x.example.com:8443"),
    ],
)
def test_a_host_is_https_unless_it_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], url: str
) -> None:
    assert connect(monkeypatch, "tryton", **fields).get_conn().transport.base_url == url


def test_a_plain_http_host_elsewhere_or_a_login_in_the_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="over https"):
        connect(monkeypatch, "kantata", host="http://api.example.com").get_conn()
    with pytest.raises(ConfigurationError) as caught:
        connect(monkeypatch, "kantata", host="https://me:hunter22@api.example.com").get_conn()
    assert "has a login in its host" in str(caught.value) and "hunter22" not in str(caught.value)


@pytest.mark.parametrize("system", HOOKS)
def test_an_adapter_has_its_profile_and_a_session_without_our_fields(
    monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    extra = WHOLE[system].get("extra", {}) | {
        "verify": False,
        "proxies": {"https": "http://proxy:3128"},
        "app_url": "https://a",
    }
    adapter = connect(monkeypatch, system, extra=extra).get_conn()
    session = adapter.transport.session
    assert adapter.transport.deadline_s == adapter.profile.deadline_s
    assert {name.lower() for name in session.headers} == {"user-agent", "accept", "accept-encoding", "connection"}
    assert (session.verify, session.proxies) == (False, {"https": "http://proxy:3128"})
    prepared = session.prepare_request(session_request("https://x.example.com", Authorization="Bearer ours"))
    assert prepared.headers["Authorization"] == "Bearer ours"


def session_request(url: str, **headers: str) -> Any:
    from requests import Request

    return Request("GET", url, headers=headers)


@pytest.mark.usefixtures("connections")
def test_a_netrc_file_does_not_replace_our_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kantata_sandbox: Sandbox
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert list(KantataHook().get_conn().time_entries(dt.datetime.now(dt.UTC))) == [([], [])]


@pytest.mark.parametrize("system", HOOKS)
def test_secrets_are_in_no_repr(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    hook = connect(monkeypatch, system)
    assert "swordfish" not in repr(hook.get_conn()) + repr(hook) + repr(vars(hook))


@pytest.mark.usefixtures("connections")
def test_extra_fields_reach_the_adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connect(monkeypatch, "salesforce", extra={"org_currency": "EUR"}).get_conn().org_currency == "EUR"
    assert connect(monkeypatch, "salesforce").get_conn().org_currency is None
    assert connect(monkeypatch, "kantata", extra={"app_url": "https://firm.example.com"}).get_conn().app_url == (
        "https://firm.example.com"
    )
    assert connect(monkeypatch, "kantata").get_conn().app_url == "https://app.mavenlink.com"
    tryton = connect(monkeypatch, "tryton").get_conn()
    assert (tryton.database, tryton.company, tryton.payment_term) == ("books", "Meridian", "Net 14")
    assert tryton.hours_product == "Consulting hours"


@pytest.mark.usefixtures("connections")
def test_the_store_opens_as_the_role_of_its_connection(config: Config) -> None:
    with StoreHook().open(config) as store:
        assert store.value("select current_user") == "psflow_app"


def test_a_store_connection_as_fields_opens_too(monkeypatch: pytest.MonkeyPatch, app_url: str, config: Config) -> None:
    parts = urlsplit(app_url)
    set_connection(
        monkeypatch, "books", conn_type="postgres", host=parts.hostname, port=parts.port, login=parts.username,
        password=parts.password, schema=parts.path.lstrip("/"),
        extra={"options": "-c role=psflow_app", "sslmode": "prefer", "cursor": "dictcursor"},
    )  # fmt: skip
    with StoreHook("books").open(config) as store:
        assert store.value("select current_user") == "psflow_app"


def test_another_regions_database_is_refused(connections: None, config: Config) -> None:
    with StoreHook().open(config):
        pass
    with pytest.raises(ConfigurationError, match="serves region eu-west"):
        StoreHook().open(config.model_copy(update={"region": "us-east"}))


def test_a_database_that_does_not_answer_is_transient_and_keeps_its_password(
    monkeypatch: pytest.MonkeyPatch, config: Config
) -> None:
    set_connection(
        monkeypatch, "psflow_db", conn_type="postgres", host="127.0.0.1", port=9, login="psflow", password="hunter22",
        schema="psflow",
    )  # fmt: skip
    hook = StoreHook()
    with pytest.raises(TransientError) as caught:
        hook.open(config)
    assert "hunter22" not in "".join(traceback.format_exception(caught.value)) + repr(vars(hook))


def test_a_store_connection_names_its_database(monkeypatch: pytest.MonkeyPatch, config: Config) -> None:
    set_connection(monkeypatch, "psflow_db", conn_type="postgres", host="127.0.0.1")
    with pytest.raises(ConfigurationError, match="'psflow_db' lacks its schema"):
        StoreHook().open(config)

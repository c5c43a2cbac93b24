"""All processes share one vendor account: its rate budget, its breaker, its pauses, its sign-in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import pairwise
from typing import Any

import pytest

from psflow.config import Channel, Config
from psflow.contracts import VendorProfile
from psflow.errors import ConfigurationError, NeedsReview, TransientError, Unauthorized
from psflow.flows import alerts
from psflow.flows.effects import drive
from psflow.store import breakers, effects
from psflow.store.accounts import SharedAccount
from psflow.store.connection import Store
from psflow.store.effects import NewEffect
from psflow.systems.bamboohr.client import BambooHR
from psflow.systems.float.client import Float
from psflow.systems.kantata.client import Kantata
from psflow.systems.salesforce.client import Salesforce
from psflow.systems.transport import ONCE, Transport
from tests.database import REGION, shipped
from tests.effects import open_effect
from tests.systems.conftest import (
    Sandbox,
    bamboohr_sandbox,
    float_sandbox,
    kantata_sandbox,
    salesforce_sandbox,
    serve,
)

__all__ = ["bamboohr_sandbox", "float_sandbox", "kantata_sandbox", "salesforce_sandbox", "serve"]

LIFE = {"lookup": "search", "deadline_s": 1, "late_landing_s": 0, "search_lag_s": 0, "lease_s": 30}
HOST = "api.example.com"
LOOK_UPS: dict[str, dict[str, Any]] = {  # where the adapter's list waits out a throttle by itself
    "float": {"capability": "close_project", "payload": {"planner_project_id": "1"}}
}
Account = Callable[..., SharedAccount]


def config_with(**profile: Any) -> Config:
    """psflow.yaml with one profile for every system, data engineering reachable, and little patience."""
    loaded = shipped()
    quick = VendorProfile(**(LIFE | {"pause_s": 0.3, "probe_s": 0.3} | profile))
    channels = {"data engineering": Channel(conn_id="engineers")}
    return loaded.model_copy(update={"systems": dict.fromkeys(loaded.systems, quick), "channels": channels})


@pytest.fixture
def account(app_url: str) -> Iterator[Account]:
    """Another process's view of one account, with a connection of its own."""
    stores: list[Store] = []

    def one(system: str = "kantata", instance: str = HOST, **profile: Any) -> SharedAccount:
        stores.append(Store.open(app_url, REGION))
        return SharedAccount(stores[-1], config_with(**profile), system, instance)

    yield one
    for store in stores:
        store.close()


def row(store: Store, account: SharedAccount) -> Any:
    with store.transaction("test"):
        found = breakers.overview(store, account.config)
    (ours,) = [each for each in found if (each["system"], each["instance"]) == (account.system, account.instance)]
    return ours


def alerted(store: Store, config: Config) -> list[str]:
    with store.transaction("test"):
        return [f"{item.event} {item.record_id}" for alert in alerts.due(store, config) for item in alert.items]


def refused(account: SharedAccount, patience_s: float = 0) -> TransientError:
    with pytest.raises(TransientError) as caught:
        account.admit(patience_s, is_write=True)
    return caught.value


def break_down(account: SharedAccount) -> None:
    for _ in range(5):
        account.admit(0, is_write=False)
        account.note("failed", "answered 503")


# -- rate budget


def test_no_window_sees_more_calls_than_the_budget_whoever_makes_them(account: Account) -> None:
    """F15: four processes that ask as fast as they can."""
    calls, per_s, taken = 50, 0.5, list[tuple[float, float]]()

    def ask(mine: SharedAccount) -> None:
        while time.monotonic() < until:
            before = time.monotonic()
            try:
                mine.admit(0, is_write=False)
                taken.append((before, time.monotonic()))
            except TransientError as error:
                assert error.retry_after_s is not None
                time.sleep(min(error.retry_after_s, 0.02))

    workers = [account(calls=calls, per_s=per_s) for _ in range(4)]
    until = time.monotonic() + 3
    threads = [threading.Thread(target=ask, args=(mine,)) for mine in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken.sort()
    assert len(taken) > calls * 2  # or the test shows nothing
    for (first, _), (_, last) in zip(taken, taken[calls:], strict=False):
        assert last - first > per_s


def test_a_call_waits_for_its_turn_as_long_as_it_has_patience(account: Account) -> None:
    mine = account(calls=25, per_s=5)
    mine.admit(0, is_write=False)
    began = time.monotonic()
    mine.admit(1, is_write=False)
    assert 0.15 < time.monotonic() - began < 1
    told = refused(mine)
    assert told.code == "budget" and told.retry_after_s and "nothing was sent" in str(told)


def test_a_write_may_count_as_several_calls(account: Account, store: Store) -> None:
    mine = account("float", calls=100, per_s=600, write_counts=2)
    mine.admit(0, is_write=False)
    mine.admit(0, is_write=True)
    used = row(store, mine)
    assert (used["used"], used["burst"], used["calls"]) == (3, 4, 100)
    assert refused(mine).code == "budget"


def test_reads_however_many_leave_room_for_the_write_they_prepare(account: Account) -> None:
    """A write looks first and is impatient: in one line with patient reads it would never have its turn."""
    mine = account("float", calls=100, per_s=20, write_counts=2)
    for _ in range(6):
        mine.admit(60, is_write=False)
    mine.admit(0, is_write=True)


def test_an_account_without_a_budget_is_not_slowed_down(account: Account, store: Store) -> None:
    mine = account()
    for _ in range(50):
        mine.admit(0, is_write=True)
    assert row(store, mine)["calls"] is None


@pytest.mark.parametrize("vendor", ["salesforce", "kantata", "float", "bamboohr"])
def test_what_a_vendor_calls_too_much_pauses_its_account_for_all(
    request: pytest.FixtureRequest, account: Account, store: Store, vendor: str
) -> None:
    """F15: each vendor's own way to say it; Salesforce's 403 is no refusal."""
    sandbox: Sandbox = request.getfixturevalue(f"{vendor}_sandbox")
    sandbox.arm("POST" if vendor == "bamboohr" else "GET", "throttle")
    mine, other = (adapter(vendor, sandbox.url, account) for _ in range(2))
    mine.transport.patience = ONCE
    with pytest.raises(TransientError):
        mine.find(open_effect(system=vendor, **LOOK_UPS[vendor])) if vendor in LOOK_UPS else read(mine)
    assert row(store, mine.account)["paused_until"] and row(store, mine.account)["breaker"] == "closed"
    assert "throttles us" in str(refused(other.account))
    began = time.monotonic()
    read(other)  # a read has patience
    assert time.monotonic() - began > 0.1
    assert not alerted(store, mine.account.config)


def test_a_pause_is_as_long_as_the_vendor_says_and_doubles_where_it_says_nothing(
    account: Account, store: Store
) -> None:
    mine = account(pause_s=0.2)
    mine.admit(0, is_write=True)
    mine.note("throttled", "answered 429", 40)
    assert 35 < (refused(mine).retry_after_s or 0) <= 40
    breakers.close_breaker(store, mine.config, "kantata", None, person("engineer"), "asked them")
    waits = []
    for _ in range(3):
        mine.admit(5, is_write=True)
        mine.note("throttled", "answered 429")
        waits.append(refused(mine).retry_after_s or 0)
    assert waits[0] < waits[1] < waits[2] <= 0.8


# -- circuit breaker


def test_failures_in_a_row_open_the_breaker_for_all_and_nothing_is_sent(account: Account, store: Store) -> None:
    mine, other = account(), account()
    break_down(mine)
    told = refused(other)
    assert "kantata: breaker open since" in str(told) and "next probe in" in str(told)
    assert "psflow breaker" in str(told) and told.retry_after_s
    assert row(store, mine)["reason"] == "answered 503"


def test_one_object_that_always_fails_blocks_nobody(account: Account, store: Store) -> None:
    """F16: answers in between end the row of failures."""
    mine = account()
    for _ in range(20):
        mine.admit(0, is_write=True)
        mine.note("failed", "answered 503")
        mine.admit(0, is_write=False)
        mine.note("answered")
    assert row(store, mine)["breaker"] == "closed"


def test_one_probe_tries_and_its_answer_closes_the_breaker(account: Account, store: Store) -> None:
    mine, other = account(), account(deadline_s=5)
    break_down(mine)
    time.sleep(0.35)
    other.admit(0, is_write=True)
    assert row(store, mine)["breaker"] == "half-open"
    assert refused(mine).code == "breaker"
    other.admit(0, is_write=False)  # the prober's own further calls
    other.note("answered")
    assert row(store, mine)["breaker"] == "closed" and not alerted(store, mine.config)
    mine.admit(0, is_write=True)


def test_a_failed_probe_doubles_the_wait_and_people_are_told_once_until_it_is_over(
    account: Account, store: Store
) -> None:
    mine = account(probe_s=0.2)
    break_down(mine)
    assert not alerted(store, mine.config)
    waits = [row(store, mine)["probe_in_s"]]
    for _ in range(2):
        time.sleep(waits[-1] + 0.05)
        mine.admit(0, is_write=True)
        mine.note("failed", "answered 503")
        waits.append(row(store, mine)["probe_in_s"])
    assert waits[0] <= 0.2 < waits[1] <= 0.4 < waits[2] <= 0.8
    assert alerted(store, mine.config) == [f"new kantata {HOST}"]
    time.sleep(waits[-1] + 0.05)
    mine.admit(0, is_write=True)
    mine.note("answered")
    assert not alerted(store, mine.config)


def test_a_prober_that_dies_is_replaced(account: Account, store: Store) -> None:
    dead, alive = account(deadline_s=0.1), account(deadline_s=0.1)
    break_down(dead)
    time.sleep(0.35)
    dead.admit(0, is_write=True)
    assert refused(alive)
    time.sleep(0.35)
    alive.admit(0, is_write=True)


def test_what_a_flow_undoes_leaves_the_account_as_it_was_told(account: Account, store: Store) -> None:
    mine = account()
    with pytest.raises(ZeroDivisionError), mine.store.transaction("test"):
        mine.store.run("insert into ops.account (system, instance) values ('float', 'undone')")
        mine.admit(0, is_write=True)
        mine.note("refused", "answered 403")
        raise ZeroDivisionError
    assert row(store, mine)["breaker"] == "open"
    assert [each["system"] for each in breakers.overview(store, mine.config)] == ["kantata"]


# -- credentials


def person(user: str) -> Any:
    return config_with().person_of(user)


def adapter(system: str, url: str, account: Account, secret: str = "swordfish", **profile: Any) -> Any:
    """An adapter whose transport has an account; `.account` is it."""
    transport = Transport(system, url, 1)
    made: Any = {
        "salesforce": lambda p: Salesforce(transport, p, "app", secret),
        "kantata": lambda p: Kantata(transport, p, secret),
        "bamboohr": lambda p: BambooHR(transport, p, secret),
        "float": lambda p: Float(transport, p, secret, "USD", "ops@example.com", "https://app.example.com"),
    }[system](config_with(**profile).systems[system])
    transport.account = account(system, made.instance, **profile)
    return _Watched(made, transport.account)


class _Watched:
    def __init__(self, adapter: Any, account: SharedAccount) -> None:
        self.adapter, self.account = adapter, account

    def __getattr__(self, name: str) -> Any:
        return getattr(self.adapter, name)


def read(adapter: Any) -> None:
    stream = {"salesforce": "customers", "kantata": "resources", "bamboohr": "resources", "float": "people"}
    next(getattr(adapter, stream[adapter.key])(*([None] if adapter.key == "salesforce" else [])), None)


WRITES = {
    "salesforce": NewEffect(
        "salesforce", "update_opportunity", "{}",
        {"opportunity_id": "006000000000001AAA", "engagement_id": "E-1", "project_code": "P-1"},
    ),
    "kantata": NewEffect("kantata", "close_project", "{}", {"psa_project_id": "1"}),
}  # fmt: skip


@pytest.mark.parametrize("vendor", ["salesforce", "kantata"])
def test_revoked_credentials_stop_a_thousand_effects_lose_none_and_tell_one(
    request: pytest.FixtureRequest, account: Account, store: Store, vendor: str
) -> None:
    """F18: invalid_client at a sign-in, 401 at a vendor with a key."""
    sandbox: Sandbox = request.getfixturevalue(f"{vendor}_sandbox")
    system = adapter(vendor, sandbox.url, account, secret="revoked", deadline_s=0.1)  # a hundred effects a claim
    decided = WRITES[vendor]
    with store.transaction("test"):
        each = [NewEffect(vendor, decided.capability, str(n), decided.payload) for n in range(1000)]
        keys = effects.register(store, each)
    with pytest.raises(TransientError, match="1000 of 1000 effects are still open"):
        drive(store, system.account.config, system, keys, wait_s=1)
    standing = store.rows("select state, attempts, count(*) from ops.effect group by 1, 2")
    assert standing == [{"state": "pending", "attempts": 0, "count": 1000}]
    assert alerted(store, system.account.config) == [f"new {vendor} {system.instance}"]
    assert store.value("select count(*) from ops.exceptions") == 1
    assert sandbox.state()["writes"] == 0
    shown = row(store, system.account)
    assert shown["breaker"] == "open" and "revoked" not in shown["reason"] and "swordfish" not in shown["reason"]


def test_what_waited_goes_once_the_credentials_are_corrected(
    salesforce_sandbox: Sandbox, account: Account, store: Store
) -> None:
    wrong = adapter("salesforce", salesforce_sandbox.url, account, secret="revoked", probe_s=0.02)
    with pytest.raises(Unauthorized, match="invalid_client"):
        read(wrong)
    assert "breaker open" in str(refused(wrong.account))
    right = adapter("salesforce", salesforce_sandbox.url, account, probe_s=0.02)
    time.sleep(0.45)
    read(right)  # the probe: its sign-in alone closes nothing, what it signed in for does
    assert row(store, right.account)["breaker"] == "closed"
    assert not alerted(store, right.account.config)


def test_a_token_that_is_dead_at_birth_opens_the_breaker(
    salesforce_sandbox: Sandbox, account: Account, store: Store
) -> None:
    salesforce_sandbox.load(token_calls=0)
    mine = adapter("salesforce", salesforce_sandbox.url, account)
    with pytest.raises(Unauthorized, match="even after a fresh sign-in"):
        read(mine)
    assert salesforce_sandbox.state()["reads"] == 0
    assert alerted(store, mine.account.config) == [f"new salesforce {mine.instance}"]


def test_a_forbidden_read_leaves_its_effect_waiting(account: Account, store: Store, forbidding: str) -> None:
    """F18: a 403 is the credentials', not the record's, where the vendor's signs say so."""
    mine = adapter("kantata", forbidding, account)
    with pytest.raises(Unauthorized, match="answered 403"):
        read(mine)
    assert row(store, mine.account)["breaker"] == "open"


@pytest.fixture
def forbidding() -> Iterator[str]:
    """A vendor that forbids everything."""

    class Vendor(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(403)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Vendor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


# -- one sign-in at a time


@pytest.mark.parametrize("lives", range(1, 21))
def test_a_token_that_dies_in_the_middle_is_renewed_by_one_worker_at_a_time(
    salesforce_sandbox: Sandbox, account: Account, monkeypatch: pytest.MonkeyPatch, lives: int
) -> None:
    """F17: the token lives for so many calls, and four workers read and write past its end."""
    deal = {"Id": "006000000000001AAA", "Name": "D", "StageName": "Closed Won", "CloseDate": "2026-10-01"}
    salesforce_sandbox.load({"Opportunity": [deal]}, token_calls=lives)
    spans, failed, signs_in = list[tuple[float, float]](), list[Exception](), Salesforce._sign_in

    def watched(self: Salesforce) -> str:
        began = time.monotonic()
        token = signs_in(self)
        time.sleep(0.005)
        spans.append((began, time.monotonic()))
        return token

    monkeypatch.setattr(Salesforce, "_sign_in", watched)

    def work(mine: Any) -> None:
        try:
            for n in range(lives + 1):
                read(mine) if n % 2 else mine.perform(open_effect(**asked()))
        except Exception as error:
            failed.append(error)

    def asked() -> dict[str, Any]:
        return {"system": "salesforce", "capability": "update_opportunity", "payload": WRITES["salesforce"].payload}

    workers = [adapter("salesforce", salesforce_sandbox.url, account) for _ in range(4)]
    threads = [threading.Thread(target=work, args=(mine,)) for mine in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(spans) == 8
    spans.sort()
    assert all(begins >= ends for (_, ends), (begins, _) in pairwise(spans))


def test_a_worker_that_dies_while_signing_in_frees_the_lock(account: Account) -> None:
    dead, alive = account(), account()
    with pytest.raises(ConfigurationError), dead.signing_in():
        raise ConfigurationError("refused")
    with alive.signing_in():
        pass


def test_a_worker_frozen_while_signing_in_loses_the_lock_and_goes_on_when_it_wakes(account: Account) -> None:
    frozen, waits = account(deadline_s=0.05), account()
    with frozen.signing_in(), waits.signing_in():  # it waits for the end of the frozen one's session
        pass
    with frozen.signing_in():
        frozen.admit(0, is_write=True)


def test_a_worker_that_hangs_while_signing_in_holds_nobody_for_ever(account: Account) -> None:
    hangs, waits = account(), account(deadline_s=0.05)
    with hangs.signing_in(), pytest.raises(TransientError, match="another process is signing in"), waits.signing_in():
        pass


# -- by hand


def test_a_person_opens_a_breaker_and_only_a_person_closes_it(account: Account, store: Store) -> None:
    mine = account(probe_s=0.05)
    mine.admit(0, is_write=True)
    breakers.open_breaker(store, mine.config, "kantata", None, person("petra"), "they migrate tonight")
    mine.note("answered")
    time.sleep(0.1)
    told = refused(mine)
    assert "they migrate tonight (opened by P-202)" in str(told) and "until a person closes it" in str(told)
    breakers.close_breaker(store, mine.config, "kantata", HOST, person("engineer"), "they are back")
    mine.admit(0, is_write=True)
    with store.transaction("test"):
        said = store.rows("select actor, action, subject, detail from ops.audit order by audit_id")
    assert [(r["actor"], r["action"], r["subject"]) for r in said] == [
        ("P-202", "breaker.open", f"kantata {HOST}"),
        ("P-301", "breaker.close", f"kantata {HOST}"),
    ]
    assert said[0]["detail"] == {"reason": "they migrate tonight"}


@pytest.mark.parametrize("user", ["fiona", "frank", "paula"])
def test_finance_and_pmo_do_not_operate_breakers(account: Account, store: Store, user: str) -> None:
    mine = account()
    mine.admit(0, is_write=True)
    with pytest.raises(NeedsReview, match=f"{user} may not open a breaker"):
        breakers.open_breaker(store, mine.config, "kantata", None, person(user), "because")
    assert row(store, mine)["breaker"] == "closed"


def test_a_breaker_needs_a_reason_and_an_account_that_is_meant(account: Account, store: Store) -> None:
    config = config_with()
    for instance in ("a.example.com", "b.example.com"):
        account(instance=instance).admit(0, is_write=True)
    with pytest.raises(NeedsReview, match="say why"):
        breakers.open_breaker(store, config, "kantata", "a.example.com", person("engineer"), " ")
    with pytest.raises(ConfigurationError, match="a.example.com, b.example.com"):
        breakers.open_breaker(store, config, "kantata", None, person("engineer"), "because")
    with pytest.raises(ConfigurationError, match="has no account 'c.example.com'"):
        breakers.open_breaker(store, config, "kantata", "c.example.com", person("engineer"), "because")
    with pytest.raises(ConfigurationError, match="no system 'kanata'"):
        breakers.close_breaker(store, config, "kanata", None, person("engineer"), "because")

"""A write lands once, whatever its vendor can promise and whatever happens on the way."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from psflow.config import Config
from psflow.contracts import OpenEffect, VendorProfile
from psflow.errors import NeedsReview, PsflowError, Rejected, TransientError, Unauthorized, UncertainOutcome
from psflow.flows.effects import done, drive
from psflow.flows.read_back import read_back
from psflow.store import dead_letters, effects
from psflow.store.connection import Store
from psflow.store.effects import NewEffect
from psflow.systems import Accepted, Copy, Undo
from psflow.systems.salesforce.client import Salesforce
from psflow.systems.transport import Transport
from tests.systems.conftest import Sandbox
from tests.systems.test_salesforce import opportunity

BRIEF = {"deadline_s": 0.05, "late_landing_s": 0.1, "search_lag_s": 0.1, "lease_s": 0.6, "max_attempts": 3}
LIFE_S = 2.0
LOOKUPS = ["unique_external_id", "idempotency_key", "search"]


def profile(lookup: Any, **other: Any) -> VendorProfile:
    life = {"key_lifetime_s": LIFE_S} if lookup == "idempotency_key" else {}
    return VendorProfile(lookup=lookup, **(BRIEF | life | other))


@dataclass
class Vendor:
    """A vendor that keeps what it promises and no more: unique ids, remembered keys, a search that lags."""

    profile: VendorProfile
    key: str = "tryton"
    instance: str = "toy"
    made: list[dict[str, Any]] = field(default_factory=list)  # {id, ref, lands_at, state}
    keys: dict[str, tuple[float, str]] = field(default_factory=dict)
    fail: Callable[[OpenEffect], None] = lambda effect: None  # asked before anything is applied
    after: Callable[[OpenEffect], None] = lambda effect: None  # asked once it is
    lands_after_s: float = 0
    sent: list[str] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)

    def perform(self, effect: OpenEffect) -> str:
        effect.permit(self.key)
        self.sent.append(effect.key)
        if effect.capability == "close_project":
            return self._close(effect)
        self.fail(effect)
        made = self._make(effect)
        self.after(effect)
        return made

    def _make(self, effect: OpenEffect) -> str:
        now, lookup = time.monotonic(), self.profile.lookup
        if lookup == "unique_external_id" and (known := [r for r in self.made if r["ref"] == effect.key]):
            return str(known[0]["id"])
        if lookup == "idempotency_key":
            said_at, answer = self.keys.get(effect.key, (0.0, ""))
            if answer and now - said_at < LIFE_S:
                return answer
        record = {"id": str(len(self.made) + 1), "ref": effect.key, "state": "open"}
        self.made.append(record | {"lands_at": now + self.lands_after_s})
        self.keys[effect.key] = (now, record["id"])
        return record["id"]

    def _close(self, effect: OpenEffect) -> str:
        self.fail(effect)
        wanted = effect.payload["id"]
        for record in self.made:
            if record["id"] == wanted:
                record["state"] = "closed"
        self.after(effect)
        return str(wanted)

    def find(self, effect: OpenEffect) -> str | None:
        self.looked.append(effect.key)
        if effect.capability == "close_project":
            closed = any(r["id"] == effect.payload["id"] and r["state"] == "closed" for r in self.made)
            return effect.payload["id"] if closed else None
        seen = self._seen(effect.key)
        return seen[0]["id"] if seen else None

    def _seen(self, ref: str) -> list[dict[str, Any]]:
        at = time.monotonic() - self.profile.search_lag_s
        return [r for r in self.made if r["ref"] == ref and r["lands_at"] <= at]

    def copies(self, capability: str, key: str, payload: dict[str, Any]) -> list[Copy]:
        return [Copy(r["id"], r["state"]) for r in self._seen(key)] if capability == "create_project" else []

    def undo(self, capability: str, payload: dict[str, Any], external_id: str, ends_on: dt.date) -> Undo | None:
        return Undo("close_project", {"id": external_id}) if capability == "create_project" else None

    def url(self, kind: str, external_id: str) -> str:
        return f"toy://{external_id}"

    def live(self) -> list[str]:
        return [r["ref"] for r in self.made if r["state"] == "open"]


def register(store: Store, *subjects: str, capability: str = "create_project", **more: Any) -> list[str]:
    new = [NewEffect("tryton", capability, s, {"n": s}, engagement_id=None, **more) for s in subjects]
    with store.transaction("test"):
        return effects.register(store, new)


def once(error: Exception) -> Callable[[OpenEffect], None]:
    left = iter([True])

    def raise_once(effect: OpenEffect) -> None:
        if next(left, False):
            raise error

    return raise_once


def state(store: Store, key: str) -> dict[str, Any]:
    return store.row("select state, attempts, external_id from ops.effect where effect_key = %(key)s", key=key) or {}


def open_exceptions(store: Store) -> list[tuple[str, str]]:
    rows = store.rows("select record_id, field from ops.exceptions where state = 'open' order by record_id, field")
    return [(row["record_id"], row["field"]) for row in rows]


# -- one record, whatever the vendor promises


@pytest.mark.parametrize("lookup", [*LOOKUPS, "none"])
def test_a_worker_that_died_before_it_sent_leaves_work_for_the_next_one_and_none_for_nobody(
    store: Store, config: Config, lookup: str
) -> None:
    """F1. Where nobody can look, what may have been sent is a person's."""
    vendor = Vendor(profile(lookup))
    keys = register(store, "A")
    effects.claim(store, vendor.profile, keys)  # and dies
    states = drive(store, config, vendor, keys)
    if lookup == "none":
        assert states[keys[0]]["state"] == "dead" and vendor.sent == []
    else:
        assert done(states) == {keys[0]: "1"} and vendor.live() == keys


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("lands_after_s", [0, 0.12])
def test_an_answer_that_never_came_ends_with_one_record_and_its_id(
    store: Store, config: Config, lookup: str, lands_after_s: float
) -> None:
    """F2, F3, F4, F5: applied at once or after the client gave up, and seen by search only after its lag."""
    vendor = Vendor(profile(lookup), after=once(UncertainOutcome("reset")), lands_after_s=lands_after_s)
    keys = register(store, "A")
    assert done(drive(store, config, vendor, keys)) == {keys[0]: "1"}
    assert vendor.live() == keys
    assert len(vendor.sent) == (2 if lookup == "idempotency_key" else 1)  # a vendor that knows the key is asked by it


def test_a_look_up_that_is_put_off_uses_no_attempt(store: Store, config: Config) -> None:
    """An open breaker, a used-up budget or refused credentials say nothing about the write, however often."""

    class Shut(Vendor):
        def find(self, effect: OpenEffect) -> str | None:
            if (error := next(put_off, None)) is not None:
                raise error
            return super().find(effect)

    many = 2 * profile("search").max_attempts
    put_off: Iterator[PsflowError] = iter([*[TransientError("breaker open", 0.01)] * many, Unauthorized("401")])
    vendor = Shut(profile("search"), fail=once(UncertainOutcome("reset")))  # it never landed
    keys = register(store, "A")
    assert done(drive(store, config, vendor, keys)) == {keys[0]: "1"}
    assert vendor.live() == keys and open_exceptions(store) == []


def test_a_key_that_the_vendor_may_have_forgotten_is_not_relied_on(store: Store, config: Config) -> None:
    """F6: from half its life on the record is looked up first."""
    vendor = Vendor(profile("idempotency_key"), after=once(UncertainOutcome("reset")))
    keys = register(store, "A")
    with pytest.raises(TransientError):
        drive(store, config, vendor, keys, wait_s=0)
    assert vendor.looked == []
    time.sleep(LIFE_S + 0.1)  # nobody came for a day
    vendor.keys.clear()
    assert done(drive(store, config, vendor, keys)) == {keys[0]: "1"}
    assert (vendor.sent, vendor.looked, vendor.live()) == (keys, keys, keys)


@pytest.mark.parametrize("lookup", [*LOOKUPS, "none"])
def test_what_was_not_applied_is_sent_again_without_a_question(store: Store, config: Config, lookup: str) -> None:
    vendor = Vendor(profile(lookup), fail=once(TransientError("429", retry_after_s=0.1)))
    keys = register(store, "A")
    assert done(drive(store, config, vendor, keys)) == {keys[0]: "1"}
    assert (len(vendor.sent), vendor.looked, state(store, keys[0])["attempts"]) == (2, [], 1)


def test_where_nobody_can_look_nothing_is_ever_sent_twice_and_reading_back_finds_it(
    store: Store, config: Config
) -> None:
    vendor = Vendor(profile("none"), after=once(UncertainOutcome("reset")))
    keys = register(store, "A", "B")
    states = drive(store, config, vendor, keys)
    assert sorted(row["state"] for row in states.values()) == ["dead", "done"]
    (lost,) = [key for key, row in states.items() if row["state"] == "dead"]
    assert open_exceptions(store) == [(lost, "dead")]
    assert drive(store, config, vendor, keys)[lost]["state"] == "dead"  # run again: it stays a person's
    assert len(vendor.sent) == 2 and vendor.looked == []
    assert read_back(store, config, vendor, keys) == 0
    assert done(effects.states(store, keys)).keys() == set(keys)
    assert open_exceptions(store) == [] and len(vendor.live()) == 2


def test_where_nobody_can_look_a_person_who_did_may_have_it_sent_again(store: Store, config: Config) -> None:
    vendor = Vendor(profile("none"))
    keys = register(store, "A")
    effects.claim(store, vendor.profile, keys)  # and dies
    assert drive(store, config, vendor, keys)[keys[0]]["state"] == "dead"
    assert dead_letters.replay(store, keys, config.person_of("petra"))[0].is_in_line
    assert done(drive(store, config, vendor, keys)) == {keys[0]: "1"}
    assert vendor.sent == keys and open_exceptions(store) == []


def test_what_was_given_up_and_is_refused_at_last_is_one_exception(store: Store, config: Config) -> None:
    vendor = Vendor(profile("none"), fail=once(Rejected("no such rate card")))
    keys = register(store, "A")
    effects.claim(store, vendor.profile, keys)  # and dies
    drive(store, config, vendor, keys)
    dead_letters.replay(store, keys, config.person_of("petra"))
    assert drive(store, config, vendor, keys)[keys[0]]["state"] == "refused"
    assert open_exceptions(store) == [(keys[0], "refused")]


def test_what_was_given_up_and_stands_twice_is_a_persons_to_choose(store: Store, config: Config) -> None:
    vendor = Vendor(profile("none"), after=once(UncertainOutcome("reset")))
    keys = register(store, "A")
    drive(store, config, vendor, keys)
    vendor.made.append(vendor.made[0] | {"id": "2"})
    read_back(store, config, vendor, keys)
    with pytest.raises(NeedsReview):
        done(effects.states(store, keys))
    assert len(vendor.live()) == 2


def test_one_that_fails_for_ever_is_given_up_and_blocks_nobody(store: Store, config: Config) -> None:
    """F16."""
    poison = register(store, "B")[0]

    def broken(effect: OpenEffect) -> None:
        if effect.key == poison:
            raise UncertainOutcome("503")

    vendor = Vendor(profile("search"), fail=broken)
    keys = register(store, "A", "B", "C")
    states = drive(store, config, vendor, keys)
    assert {key: row["state"] for key, row in states.items()} == {
        keys[0]: "done", poison: "dead", keys[2]: "done",
    }  # fmt: skip
    assert vendor.sent.count(poison) == BRIEF["max_attempts"] and open_exceptions(store) == [(poison, "dead")]


def test_a_run_that_broke_off_halfway_does_only_the_rest(store: Store, config: Config) -> None:
    """F34."""
    vendor = Vendor(profile("search"))
    keys = register(store, "A", "B", "C")
    drive(store, config, vendor, keys[:2])
    drive(store, config, vendor, keys)
    assert vendor.sent == keys


def test_replaying_what_is_done_is_harmless_however_often(store: Store, config: Config) -> None:
    """F39: and an older decision under the same name is refused."""
    vendor = Vendor(profile("search"))
    keys = register(store, "A")
    for _ in range(3):
        with store.transaction("test"):
            effects.reopen(store, keys)
        done(drive(store, config, vendor, keys))
    assert vendor.sent == keys
    with pytest.raises(NeedsReview, match="another payload"), store.transaction("test"):
        effects.register(store, [NewEffect("tryton", "create_project", "A", {"n": "older"})])


# -- jobs


@dataclass
class Office(Vendor):
    """A vendor that takes every write as a job and does it when it likes."""

    jobs: dict[str, OpenEffect | None] = field(default_factory=dict)
    polled: list[str] = field(default_factory=list)
    rounds: int = 2
    forgets: bool = False
    fails: str | None = None

    def perform(self, effect: OpenEffect) -> Any:
        effect.permit(self.key)
        self.sent.append(effect.key)
        self.jobs[job := f"J{len(self.jobs) + 1}"] = effect
        return Accepted(job, 0.05)

    def poll(self, effect: OpenEffect, job_id: str) -> Any:
        self.polled.append(job_id)
        if self.forgets:
            return None
        if self.polled.count(job_id) < self.rounds:
            return Accepted(job_id, 0.05)
        if self.fails:
            raise Rejected(self.fails)
        return self._make(effect)


def test_a_write_that_became_a_job_is_asked_for_by_its_id_until_it_is_done(store: Store, config: Config) -> None:
    vendor = Office(profile("search"), rounds=6)
    keys = register(store, "A")
    assert done(drive(store, config, vendor, keys)) == {keys[0]: "1"}
    assert (vendor.sent, set(vendor.polled), len(vendor.polled)) == (keys, {"J1"}, 6)
    assert state(store, keys[0])["attempts"] <= 2  # to wait is no attempt


def test_a_worker_killed_between_accept_and_answer_is_followed_by_one_that_asks(store: Store, config: Config) -> None:
    vendor = Office(profile("search"))
    keys = register(store, "A")
    with pytest.raises(TransientError):
        drive(store, config, vendor, keys, wait_s=0)  # accepted and written down; then nobody for a while
    (ticket,) = _waited(store, vendor, keys)
    assert ticket.job_id == "J1" and ticket.uncertain  # and this worker dies too
    assert done(drive(store, config, vendor, keys)) == {keys[0]: "1"}
    assert vendor.sent == keys and vendor.live() == keys


def _waited(store: Store, vendor: Vendor, keys: Sequence[str]) -> list[effects.Claimed]:
    while not (claimed := effects.claim(store, vendor.profile, keys)):
        time.sleep(0.02)
    return claimed


def test_a_job_that_failed_is_a_refusal(store: Store, config: Config) -> None:
    vendor = Office(profile("search"), fails="no such customer")
    keys = register(store, "A")
    states = drive(store, config, vendor, keys)
    assert (states[keys[0]]["state"], states[keys[0]]["last_error"]) == ("refused", "no such customer")
    assert open_exceptions(store) == [(keys[0], "refused")]


def test_a_job_that_the_vendor_forgot_is_looked_up_before_it_is_sent_again(store: Store, config: Config) -> None:
    vendor = Office(profile("search"), forgets=True)
    keys = register(store, "A")
    with pytest.raises(TransientError):
        drive(store, config, vendor, keys, wait_s=0)
    vendor._make(vendor.jobs["J1"])  # type: ignore[arg-type]
    time.sleep(BRIEF["search_lag_s"])
    assert done(drive(store, config, vendor, keys)) == {keys[0]: "1"}
    assert vendor.sent == keys and vendor.looked == keys


# -- what landed twice


def test_a_worker_that_slept_in_its_request_leaves_a_stray_that_is_closed(store: Store, config: Config) -> None:
    vendor = Vendor(profile("search"))
    keys = register(store, "A")
    (slow,) = effects.claim(store, vendor.profile, keys)
    time.sleep(vendor.profile.lease_s + 0.05)
    done(drive(store, config, vendor, keys))
    vendor._make(slow.effect)  # only now its bytes arrive
    assert len(vendor.live()) == 2
    assert read_back(store, config, vendor, keys) == 1
    assert [r["state"] for r in vendor.made] == ["open", "closed"]
    assert state(store, "tryton:close_project:A:2")["state"] == "done"
    assert read_back(store, config, vendor, keys) == 0


def test_a_stray_that_cannot_be_closed_is_told_until_somebody_did(store: Store, config: Config) -> None:
    vendor = Vendor(profile("search"), after=once(UncertainOutcome("reset")))
    keys = register(store, "A")
    done(drive(store, config, vendor, keys))
    vendor.made.append(vendor.made[0] | {"id": "2", "state": "final"})
    assert read_back(store, config, vendor, keys) == 1
    assert open_exceptions(store) == [(keys[0], "copy")]
    vendor.made[1]["state"] = "closed"
    assert read_back(store, config, vendor, keys) == 0
    assert open_exceptions(store) == []


def test_what_was_claimed_once_is_not_read_back(store: Store, config: Config) -> None:
    vendor = Vendor(profile("search"))
    keys = register(store, "A")
    drive(store, config, vendor, keys)
    vendor.made.append(vendor.made[0] | {"id": "2"})  # made by somebody else's hand
    time.sleep(BRIEF["search_lag_s"])
    assert read_back(store, config, vendor, keys) == 0 and len(vendor.live()) == 2


# -- closing again


def test_a_close_waits_until_nothing_of_what_it_undoes_can_land(store: Store, config: Config) -> None:
    """F6 of the protocol's own findings: a late request would bring it back."""
    vendor = Vendor(profile("search"))
    (made,) = register(store, "A")
    began = time.monotonic()
    external_id = done(drive(store, config, vendor, [made]))[made]
    new = NewEffect("tryton", "close_project", "A", {"id": external_id}, undoes=made)
    with store.transaction("test"):
        keys = effects.register(store, [new])
    assert effects.claim(store, vendor.profile, keys) == []
    done(drive(store, config, vendor, keys))
    assert time.monotonic() - began >= vendor.profile.lease_s and vendor.live() == []


def test_a_close_that_is_given_up_keeps_its_exception_until_it_is_done(store: Store, config: Config) -> None:
    """F37."""
    vendor = Vendor(profile("search"))
    (made,) = register(store, "A")
    done(drive(store, config, vendor, [made]))
    vendor.fail = lambda effect: _raise(UncertainOutcome("503"))
    with store.transaction("test"):
        keys = effects.register(store, [NewEffect("tryton", "close_project", "A", {"id": "1"}, undoes=made)])
    with pytest.raises(NeedsReview):
        done(drive(store, config, vendor, keys))
    assert open_exceptions(store) == [(keys[0], "dead")] and vendor.live() == [made]
    vendor.fail = lambda effect: None
    done(drive(store, config, vendor, keys))
    assert open_exceptions(store) == [] and vendor.live() == []


def _raise(error: Exception) -> None:
    raise error


# -- several in one request


DEALS = [f"006{n:012d}AAA" for n in range(1, 6)]


@pytest.fixture
def crm(salesforce_sandbox: Sandbox) -> Salesforce:
    salesforce_sandbox.load({"Opportunity": [opportunity(n) for n in range(1, 6)]})
    wide = VendorProfile(
        lookup="unique_external_id", deadline_s=1, late_landing_s=0, search_lag_s=0, lease_s=3, writes_per_request=200
    )
    return Salesforce(Transport("salesforce", salesforce_sandbox.url, 1), wide, "app", "swordfish")


def write_backs(store: Store, deals: Sequence[str]) -> list[str]:
    new = [
        NewEffect("salesforce", "update_opportunity", f"E-{n}.1",
                  {"opportunity_id": deal, "engagement_id": f"E-{n}", "project_code": f"P-{n}"})
        for n, deal in enumerate(deals, 1)
    ]  # fmt: skip
    with store.transaction("test"):
        return effects.register(store, new)


@pytest.mark.parametrize("k", range(5))
def test_one_bad_item_of_a_collection_fails_alone_wherever_it_stands(
    store: Store, config: Config, crm: Salesforce, salesforce_sandbox: Sandbox, k: int
) -> None:
    """F14."""
    deals = [deal if n != k else "006000000000999AAA" for n, deal in enumerate(DEALS)]
    keys = write_backs(store, deals)
    states = drive(store, config, crm, keys)
    assert [states[key]["state"] for key in keys] == ["refused" if n == k else "done" for n in range(5)]
    assert "NOT_FOUND" in states[keys[k]]["last_error"]
    assert open_exceptions(store) == [(keys[k], "refused")]
    assert salesforce_sandbox.state()["writes"] == 1


def test_only_the_item_that_was_locked_is_sent_again(
    store: Store, config: Config, crm: Salesforce, salesforce_sandbox: Sandbox
) -> None:
    """F14."""
    salesforce_sandbox.arm("PATCH /services/data/v62.0/composite/sobjects", "partial_success")
    keys = write_backs(store, DEALS)
    assert done(drive(store, config, crm, keys)) == dict(zip(keys, DEALS, strict=True))
    attempts = [row["attempts"] for row in store.rows("select attempts from ops.effect order by effect_key")]
    assert attempts == [1] * 5 and salesforce_sandbox.state()["writes"] == 2


def test_a_collection_whose_answer_is_lost_is_looked_up_item_by_item(
    store: Store, config: Config, crm: Salesforce, salesforce_sandbox: Sandbox
) -> None:
    salesforce_sandbox.load(hang_s=1.5)
    salesforce_sandbox.arm("PATCH /services/data/v62.0/composite/sobjects", "timeout_after_commit")
    keys = write_backs(store, DEALS)
    assert done(drive(store, config, crm, keys)).keys() == set(keys)
    assert salesforce_sandbox.state()["writes"] == 1


def test_an_answer_with_too_few_items_proves_nothing(store: Store, config: Config) -> None:
    class Short(Vendor):
        def perform_many(self, effects: Sequence[OpenEffect]) -> list[str | Accepted | PsflowError]:
            return [self.perform(effect) for effect in effects][:-1]

    vendor = Short(profile("search", writes_per_request=200))
    keys = register(store, "A", "B", "C")
    assert done(drive(store, config, vendor, keys)).keys() == set(keys)
    assert sorted(vendor.live()) == keys and len(vendor.sent) == 3  # all three were looked up

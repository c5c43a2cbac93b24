"""An effect is written down once, belongs to one worker at a time, and never forgets that a call may have landed."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from psflow.contracts import VendorProfile
from psflow.errors import NeedsReview, TransientError, UncertainOutcome
from psflow.store import effects
from psflow.store.connection import Store
from psflow.store.effects import Claimed, NewEffect, Result
from tests.database import REGION

WIDE = VendorProfile(lookup="search", deadline_s=0.1, late_landing_s=0.1, search_lag_s=0, lease_s=3)  # ten a claim
SHORT = VendorProfile(lookup="search", deadline_s=0.2, late_landing_s=0.05, search_lag_s=0, lease_s=0.9)


def register(store: Store, *subjects: str, **payload: Any) -> list[str]:
    with store.transaction("test"):
        return effects.register(store, [NewEffect("tryton", "draft_invoice", s, {"n": s, **payload}) for s in subjects])


def settle(store: Store, ticket: Claimed, outcome: Any, **more: Any) -> None:
    with store.transaction("test"):
        effects.settle(store, [Result(ticket.effect, outcome, **more)])


def state(store: Store, key: str) -> Any:
    return store.value("select state from ops.effect where effect_key = %(key)s", key=key)


def test_the_same_write_decided_twice_is_one_effect(store: Store) -> None:
    assert register(store, "A") == register(store, "A")
    assert store.value("select count(*) from ops.effect") == 1


def test_the_same_name_with_another_payload_is_refused_and_changes_nothing(store: Store) -> None:
    register(store, "A", amount="1.00")
    with pytest.raises(NeedsReview, match="registered with another payload"):
        register(store, "A", amount="2.00")
    assert store.value("select payload ->> 'amount' from ops.effect") == "1.00"


def test_what_was_refused_takes_what_is_decided_now_and_the_old_decision_stays_on_record(store: Store) -> None:
    keys = register(store, "A", amount="1.00")
    (ticket,) = effects.claim(store, WIDE, keys)
    settle(store, ticket, "refused", error="422")
    register(store, "A", amount="2.00")
    assert store.row("select state, payload ->> 'amount' as amount from ops.effect") == {
        "state": "refused", "amount": "2.00",
    }  # fmt: skip
    old, new = (effects.payload_hash({"n": "A", "amount": amount}) for amount in ("1.00", "2.00"))
    (detail,) = store.rows("select detail from ops.audit where action = 'effect.redecided'")
    assert detail["detail"] == {"was": old, "is": new} and store.value("select payload_hash from ops.effect") == new
    register(store, "A", amount="2.00")
    assert store.value("select count(*) from ops.audit where action = 'effect.redecided'") == 1


@pytest.mark.parametrize("outcome", ["unknown", "dead", "not_applied", "not_asked"])
def test_what_may_have_landed_keeps_what_was_decided_first(store: Store, outcome: str) -> None:
    (ticket,) = effects.claim(store, WIDE, register(store, "A", amount="1.00"))
    settle(store, ticket, outcome, error="?")
    with pytest.raises(NeedsReview, match="registered with another payload"):
        register(store, "A", amount="2.00")
    assert store.value("select payload ->> 'amount' from ops.effect") == "1.00"


def test_a_decision_that_is_rolled_back_leaves_no_effect(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.transaction("test"):
        effects.register(store, [NewEffect("tryton", "draft_invoice", "A", {})])
        raise ZeroDivisionError
    assert store.value("select count(*) from ops.effect") == 0


def test_a_claim_takes_no_more_than_a_third_of_the_lease_can_send(store: Store) -> None:
    keys = register(store, *(f"{n:02}" for n in range(25)))
    assert [len(effects.claim(store, WIDE, keys)) for _ in range(4)] == [10, 10, 5, 0]
    assert WIDE.batch_limit == 10


def test_a_look_up_is_a_request_too_so_half_as_many_uncertain_ones_are_taken(store: Store) -> None:
    keys = register(store, *(f"{n:02}" for n in range(25)))
    effects.claim(store, WIDE, keys)
    store.run("update ops.effect set lease_until = clock_timestamp() - interval '1 s' where state = 'intent'")
    taken = effects.claim(store, WIDE, keys)
    assert [ticket.uncertain for ticket in taken] == [True] * 5
    assert len(effects.claim(store, SHORT, keys)) == 1  # never none, or nothing would ever be sent


def test_one_request_that_carries_many_counts_once(store: Store) -> None:
    many = WIDE.model_copy(update={"writes_per_request": 4})
    keys = register(store, *(f"{n:02}" for n in range(45)))
    assert (many.batch_limit, len(effects.claim(store, many, keys))) == (40, 40)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"lookup": "idempotency_key"}, "needs key_lifetime_s"),
        ({"lookup": "search", "key_lifetime_s": 60}, "belongs to lookup: idempotency_key, not search"),
        ({"lookup": "none", "key_lifetime_s": 60}, "belongs to lookup: idempotency_key, not none"),
        ({"lookup": "idempotency_key", "key_lifetime_s": 6}, "ends before the first retry may rely on it"),
        ({"lookup": "search", "lease_s": 1.5, "late_landing_s": 1}, "raise lease_s above 1.65"),
        ({"lookup": "guess"}, "Input should be"),
    ],
)
def test_a_profile_that_contradicts_itself_is_refused_with_what_to_change(settings: dict[str, Any], told: str) -> None:
    usual = {"deadline_s": 0.1, "late_landing_s": 0.1, "search_lag_s": 0, "lease_s": 3}
    with pytest.raises(ValidationError, match=told):
        VendorProfile(**(usual | settings))


def test_two_workers_never_take_the_same_effect(store: Store, app_url: str) -> None:
    keys = register(store, *(f"{n:02}" for n in range(15)))
    with Store.open(app_url, REGION) as other:
        mine, theirs = effects.claim(store, WIDE, keys), effects.claim(other, WIDE, keys)
    taken = [ticket.effect.key for ticket in (*mine, *theirs)]
    assert len(taken) == len(set(taken)) == 15


def test_an_effect_whose_worker_died_comes_back_as_uncertain_after_its_lease(store: Store) -> None:
    keys = register(store, "A")
    (first,) = effects.claim(store, SHORT, keys)
    assert not first.uncertain and effects.claim(store, SHORT, keys) == []
    time.sleep(SHORT.lease_s + 0.05)
    (again,) = effects.claim(store, SHORT, keys)
    assert again.uncertain and again.attempts == 2 and again.effect.fence > first.effect.fence


def test_a_worker_that_slept_past_its_lease_settles_nothing(store: Store) -> None:
    keys = register(store, "A")
    (slow,) = effects.claim(store, SHORT, keys)
    time.sleep(SHORT.lease_s + 0.05)
    (quick,) = effects.claim(store, SHORT, keys)
    settle(store, slow, "refused", error="too late")
    assert state(store, keys[0]) == "intent"
    settle(store, quick, "done", external_id="7")
    settle(store, slow, "dead", error="too late")
    assert state(store, keys[0]) == "done"


def test_an_old_ticket_and_a_ticket_for_another_system_send_nothing(store: Store) -> None:
    (ticket,) = effects.claim(store, SHORT, register(store, "A"))
    with pytest.raises(UncertainOutcome, match="not for kantata"):
        ticket.effect.permit("kantata")
    ticket.effect.permit("tryton")
    time.sleep(SHORT.lease_s / 3 + 0.02)
    with pytest.raises(TransientError, match="older than a third of its lease"):
        ticket.effect.permit("tryton")


@pytest.mark.parametrize(
    ("outcome", "more", "then", "attempts"),
    [
        ("done", {"external_id": "7"}, "done", 1),
        ("refused", {"error": "422"}, "refused", 1),
        ("dead", {"error": "gave up"}, "dead", 1),
        ("unknown", {"error": "time-out"}, "intent", 1),
        ("not_applied", {"error": "429", "retry_after_s": 60}, "pending", 0),
        ("not_asked", {"error": "breaker open", "retry_after_s": 60}, "intent", 0),
    ],
)
def test_each_outcome_leaves_its_state_and_an_audit_row(
    store: Store, outcome: str, more: dict[str, Any], then: str, attempts: int
) -> None:
    keys = register(store, "A")
    (ticket,) = effects.claim(store, WIDE, keys)
    settle(store, ticket, outcome, **more)
    row = store.row("select state, attempts from ops.effect")
    assert row == {"state": then, "attempts": attempts}
    assert store.value("select action from ops.audit where subject = %(key)s", key=keys[0]) == f"effect.{outcome}"
    assert effects.claim(store, WIDE, keys) == []  # neither at once again nor twice


def test_what_is_done_has_the_vendors_id_by_constraint(store: Store, admin_url: str) -> None:
    register(store, "A")
    with psycopg.connect(admin_url) as owner, pytest.raises(psycopg.errors.CheckViolation):
        owner.execute("update ops.effect set state = 'done'")

"""What was given up on: nothing of it is lost, a person corrects a copy, and a newer version always wins."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from psflow.config import Person
from psflow.contracts import VendorProfile
from psflow.errors import NeedsReview
from psflow.store import dead_letters, effects
from psflow.store.connection import Store
from psflow.store.effects import NewEffect, Result

PETRA = Person(person="P-202", airflow_user="petra", teams=("pmo",), may=("exceptions",))
PAULA = Person(person="P-201", airflow_user="paula", teams=("pmo",))
PROFILE = VendorProfile(lookup="search", deadline_s=0.1, late_landing_s=0, search_lag_s=0, lease_s=0.4, max_attempts=2)
KEY = "tryton:create_project:P-1001"


def _given_up(store: Store, outcome: Any = "refused", subject: str = "P-1001", error: str = "no such party") -> str:
    with store.transaction("test"):
        (key,) = effects.register(
            store, [NewEffect("tryton", "create_project", subject, {"name": "Rollout", "lines": [1]})]
        )
    (ticket,) = effects.claim(store, PROFILE, [key])
    with store.transaction("test"):
        effects.settle(store, [Result(ticket.effect, outcome, error=error)])
    return key


def _state(store: Store, key: str) -> dict[str, Any]:
    return store.row("select * from ops.effect where effect_key = %(key)s", key=key) or {}


def test_a_refused_and_a_dead_effect_are_listed_and_found_by_filter(store: Store) -> None:
    _given_up(store)
    _given_up(store, "dead", "P-1002", "given up")
    assert {row["state"] for row in dead_letters.listing(store)} == {"refused", "dead"}
    (row,) = dead_letters.listing(store, system="tryton", about="create_project", text="SUCH party")
    assert row["id"] == KEY
    assert dead_letters.listing(store, system="float") == []
    future = store.value("select clock_timestamp() + interval '1 minute'")
    assert dead_letters.listing(store, since=future) == []


def test_the_original_stays_beside_its_correction_and_each_field_says_what_it_was(store: Store) -> None:
    _given_up(store)
    changes = dead_letters.edit(
        store, KEY, json.dumps({"name": "Roll-out", "lines": [2], "party": "7"}), PETRA, "new name"
    )
    assert [(c.field, c.was, c.now) for c in changes] == [
        ("name", "Rollout", "Roll-out"), ("lines.0", 1, 2), ("party", None, "7"),
    ]  # fmt: skip
    shown = dead_letters.show(store, KEY)
    assert json.loads(shown["payload"]) == {"name": "Rollout", "lines": [1]} == _state(store, KEY)["payload"]
    assert shown["changes"] == changes and (shown["edited_by"], shown["reason"]) == ("P-202", "new name")
    dead_letters.replay(store, [KEY], PETRA)
    kept = store.value("select original from ops.dead_letter_edit")
    assert json.loads(kept) == {"name": "Rollout", "lines": [1]}


def test_a_corrected_effect_keeps_its_key_and_the_audit_says_who_what_and_why(store: Store) -> None:
    _given_up(store)
    before = _state(store, KEY)
    dead_letters.edit(store, KEY, json.dumps({"name": "Roll-out", "lines": [1]}), PETRA, "the party was renamed")
    assert [r.is_in_line for r in dead_letters.replay(store, [KEY], PETRA)] == [True]
    after = _state(store, KEY)
    assert (after["state"], after["attempts"]) == ("pending", 0)
    assert after["payload_hash"] == effects.payload_hash(after["payload"]) != before["payload_hash"]
    told = store.rows(
        "select actor, action, detail from ops.audit where action like 'dead_letter.%%' order by audit_id"
    )
    assert [row["action"] for row in told] == ["dead_letter.edited", "dead_letter.replayed"]
    assert told[0]["detail"] == {"reason": "the party was renamed", "fields": ["name"]}
    assert told[1]["detail"]["was"] == before["payload_hash"] and told[1]["detail"]["is"] == after["payload_hash"]
    assert {row["actor"] for row in told} == {"P-202"}


def test_a_second_replay_changes_nothing(store: Store) -> None:
    _given_up(store)
    dead_letters.replay(store, [KEY, KEY], PETRA)
    (ticket,) = effects.claim(store, PROFILE, [KEY])
    (second,) = dead_letters.replay(store, [KEY], PETRA)
    assert not second.is_in_line
    with store.transaction("test"):
        assert effects.settle(store, [Result(ticket.effect, "done", "42")])
    dead_letters.replay(store, [KEY], PETRA)
    assert _state(store, KEY)["state"] == "done"
    assert store.value("select count(*) from ops.audit where action = 'dead_letter.replayed'") == 1


def test_a_correction_of_an_older_payload_is_not_sent_over_what_was_decided_since(store: Store) -> None:
    _given_up(store)
    dead_letters.edit(store, KEY, json.dumps({"name": "Old idea", "lines": [1]}), PETRA, "try this")
    with store.transaction("test"):
        effects.register(store, [NewEffect("tryton", "create_project", "P-1001", {"name": "Decided anew"})])
    dead_letters.replay(store, [KEY], PETRA)
    assert _state(store, KEY)["payload"] == {"name": "Decided anew"}


def test_a_dead_effect_is_looked_up_before_it_is_sent_and_one_that_was_corrected_remembers_what_may_have_landed(
    store: Store,
) -> None:
    key = _given_up(store, "dead")
    was = _state(store, key)["payload_hash"]
    dead_letters.edit(store, key, json.dumps({"name": "Other"}), PETRA, "wrong name")
    dead_letters.replay(store, [key], PETRA)
    assert (_state(store, key)["state"], _state(store, key)["doubted_hash"]) == ("intent", was)
    (ticket,) = effects.claim(store, PROFILE, [key])
    assert ticket.uncertain and ticket.was_corrected and ticket.effect.payload == {"name": "Other"}


@pytest.mark.parametrize(
    ("payload", "who", "reason", "says"),
    [
        ({"name": "Rollout", "lines": [1]}, PETRA, "why not", "is as it was"),
        ({"name": "Other"}, PETRA, "  ", "say why"),
        ({"name": "Other"}, PAULA, "I may not", "no duty `exceptions`"),
        ({"name": "Rollout", "lines": [1], "id": "8"}, PETRA, "sleight of hand", "another record"),
    ],
)
def test_a_correction_without_change_reason_or_right_is_refused(
    store: Store, payload: dict[str, Any], who: Person, reason: str, says: str
) -> None:
    _given_up(store)
    with pytest.raises(NeedsReview, match=says):
        dead_letters.edit(store, KEY, json.dumps(payload), who, reason)
    assert store.value("select count(*) from ops.dead_letter_edit") == 0


def test_who_has_not_the_duty_replays_nothing(store: Store) -> None:
    _given_up(store)
    with pytest.raises(NeedsReview, match="no duty"):
        dead_letters.replay(store, [KEY], PAULA)
    assert _state(store, KEY)["state"] == "refused"


def test_true_is_not_one_and_a_longer_list_is_one_change() -> None:
    assert [c.field for c in dead_letters.diff({"a": True, "b": [1]}, {"a": 1, "b": [1, 2]})] == ["a", "b"]
    assert dead_letters.diff({"a": [{"b": 1}]}, {"a": [{"b": 1}]}) == []


@pytest.mark.parametrize(
    "statement",
    [
        "update ops.dead_letter_edit set payload = '{}'",
        "delete from ops.dead_letter_edit",
        "update ops.payload_replay set payload = '{}'",
        "delete from ops.payload_replay",
        "update raw.record set payload = '{}'",
    ],
)
def test_what_was_kept_cannot_be_changed_by_the_role_that_flows_run_as(store: Store, statement: Any) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        store.run(statement)

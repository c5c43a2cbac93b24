"""Records that could not be read: kept, corrected as a copy, read again by the live read of their stream."""

from __future__ import annotations

import json
from typing import Any

from psflow.config import Person
from psflow.flows.effects import drive
from psflow.store import dead_letters, effects
from psflow.store.effects import NewEffect
from tests.flows.conftest import Firm

PETRA = Person(person="P-202", airflow_user="petra", teams=("pmo",), may=("exceptions",))
DEAL = "salesforce/opportunity/006000000000001AAA"


def _correct(firm: Firm, letter: str, **fields: Any) -> None:
    payload = json.loads(dead_letters.show(firm.store, letter)["payload"])
    dead_letters.edit(firm.store, letter, json.dumps(payload | fields), PETRA, "as the seller said")
    assert dead_letters.replay(firm.store, [letter], PETRA)[0].is_in_line


def _letters(firm: Firm) -> list[str]:
    return [row["id"] for row in dead_letters.listing(firm.store)]


def _deal(firm: Firm) -> dict[str, Any]:
    return firm.store.row("select * from core.opportunity where opportunity_id = '006000000000001AAA'") or {}


def test_a_corrected_deal_is_read_by_the_next_sync_as_if_it_had_come_so(firm: Firm) -> None:
    firm.win(1, Name="A\0B")
    firm.sync()
    assert _letters(firm) == [DEAL] and _deal(firm) == {}
    received = firm.store.value("select payload from raw.record where record_id = '006000000000001AAA'")
    _correct(firm, DEAL, Name="Rollout")
    (run,) = firm.sync()["start"]
    assert run["engagement_id"] == "E-1001" and _deal(firm)["name"] == "Rollout"
    assert _letters(firm) == []
    kept = firm.store.rows("select payload from raw.record where record_id = '006000000000001AAA'")
    assert [row["payload"] for row in kept] == [received]
    assert firm.store.value("select actor from ops.audit where action = 'dead_letter.read'") == "P-202"


def test_a_correction_loses_against_a_newer_version_of_the_record(firm: Firm) -> None:
    firm.win(1, Name="A\0B")
    firm.sync()
    _correct(firm, DEAL, Name="Rollout")
    firm.win(1, Name="Newer")
    firm.sync()
    assert _deal(firm)["name"] == "Newer"
    firm.sync()
    assert _deal(firm)["name"] == "Newer"


def test_a_correction_asked_for_before_a_newer_version_came_is_overtaken(firm: Firm) -> None:
    firm.win(1, Name="A\0B")
    firm.sync()
    _correct(firm, DEAL, Name="Rollout")
    with firm.store.transaction("test"):
        firm.store.run(
            "insert into raw.record (system, instance, kind, record_id, payload_hash, payload) "
            "select system, instance, kind, record_id, 'newer', '{}' from raw.record where kind = 'opportunity'"
        )
    firm.sync()
    assert _deal(firm) == {}
    assert firm.store.value("select outcome from ops.payload_replay") == "overtaken"


def test_a_version_that_comes_back_after_another_is_the_newest_again(firm: Firm) -> None:
    for name in ("A\0B", "Good", "A\0B"):
        firm.win(1, Name=name)
        firm.sync()
    assert dead_letters.show(firm.store, DEAL)["payload"].count("\\u0000") == 1
    _correct(firm, DEAL, Name="Rollout")
    firm.sync()
    assert _deal(firm)["name"] == "Rollout"


def test_a_correction_stays_while_the_same_version_is_read_again_and_again(firm: Firm) -> None:
    firm.win(1, Name="A\0B")
    firm.sync()
    _correct(firm, DEAL, Name="Rollout")
    for _ in range(3):
        firm.sync()
        assert _letters(firm) == [] and _deal(firm)["name"] == "Rollout"
    firm.win(1, Name="A\0C")
    firm.sync()
    assert _letters(firm) == [DEAL]


def test_a_correction_that_cannot_be_read_either_stays_a_dead_letter(firm: Firm) -> None:
    firm.win(1, Name="A\0B")
    firm.sync()
    _correct(firm, DEAL, Name="A\0D")
    firm.sync()
    assert _letters(firm) == [DEAL]
    assert firm.store.value("select outcome from ops.payload_replay") == "unreadable"
    _correct(firm, DEAL, Name="Rollout")
    firm.sync()
    assert _deal(firm)["name"] == "Rollout"


def test_a_replay_moves_no_watermark(firm: Firm) -> None:
    firm.win(1, Name="A\0B")
    firm.sync()
    before = firm.store.value("select read_to from ops.watermark where stream = 'opportunity'")
    _correct(firm, DEAL, Name="Rollout", SystemModstamp="2099-01-01T00:00:00.000+0000")
    firm.sync()
    assert _deal(firm)["name"] == "Rollout"
    assert firm.store.value("select read_to from ops.watermark where stream = 'opportunity'") == before


def test_hours_out_of_shape_are_corrected_and_billed_once_however_often_they_are_replayed(firm: Firm) -> None:
    firm.start()
    firm.log(1, minutes=60)
    firm.log(2, minutes="an hour")  # type: ignore[arg-type]
    firm.load_time()
    letter = "kantata/time_entry/2"
    assert _letters(firm) == [letter]
    _correct(firm, letter, time_in_minutes=60)
    assert not dead_letters.replay(firm.store, [letter], PETRA)[0].is_in_line
    firm.load_time()
    assert _letters(firm) == []
    firm.load_time()
    minutes = firm.store.rows("select minutes from core.time_entry where time_entry_id = '2' and not is_gone")
    assert [row["minutes"] for row in minutes] == [60]
    payload = firm.store.value("select payload from raw.record where kind = 'time_entry' and record_id = '2'")
    assert json.loads(payload)["time_in_minutes"] == "an hour"


def test_replaying_twice_reads_once(firm: Firm) -> None:
    firm.win(1, Name="A\0B")
    firm.sync()
    _correct(firm, DEAL, Name="Rollout")
    dead_letters.replay(firm.store, [DEAL], PETRA)
    firm.sync()
    assert dead_letters.replay(firm.store, [DEAL], PETRA)[0].is_in_line is False
    assert firm.store.value("select count(*) from ops.payload_replay") == 1


def test_a_corrected_effect_that_had_landed_as_it_was_is_not_called_done_until_its_copy_says_so(firm: Firm) -> None:
    (key,) = _registered(firm)
    firm.erp.projects["1"] = {"key": key, "state": "open"}
    as_it_was = dead_letters.show(firm.store, key)["payload"]
    dead_letters.edit(firm.store, key, json.dumps(json.loads(as_it_was) | {"name": "Other"}), PETRA, "wrong name")
    dead_letters.replay(firm.store, [key], PETRA)
    assert drive(firm.store, firm.config, firm.erp, [key])[key]["state"] == "dead"
    dead_letters.edit(firm.store, key, as_it_was, PETRA, "it stands there so")
    dead_letters.replay(firm.store, [key], PETRA)
    found = drive(firm.store, firm.config, firm.erp, [key])[key]
    assert (found["state"], found["external_id"], firm.erp.calls) == ("done", "1", [])


def _registered(firm: Firm) -> list[str]:
    """An effect that was given up on and may have landed."""
    with firm.store.transaction("test"):
        keys = effects.register(firm.store, [NewEffect("tryton", "create_project", "P-9", {"name": "Rollout"})])
    (ticket,) = effects.claim(firm.store, firm.erp.profile, keys)
    with firm.store.transaction("test"):
        effects.settle(firm.store, [effects.Result(ticket.effect, "dead", error="given up")])
    return keys

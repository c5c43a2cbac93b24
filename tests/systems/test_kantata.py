"""Kantata as our PSA, over HTTP against its sandbox."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from psflow.contracts import Rate, VendorProfile
from psflow.errors import ConfigurationError, NeedsReview, Rejected, TransientError, UncertainOutcome
from psflow.systems.kantata.client import Kantata
from psflow.systems.transport import Transport
from tests.effects import open_effect

PROFILE = VendorProfile(lookup="search", deadline_s=2, late_landing_s=1, search_lag_s=0.5, lease_s=10)
SAME_INSTANT = "2026-11-01T08:15:30-05:00"
PROJECT = {
    "project_code": "P-1",
    "name": "Acme rollout",
    "title": "P-1 Acme rollout",
    "currency": "USD",
    "rate_card_id": "5",
    "starts_on": "2026-11-02",
    "ends_on": None,
    "engagement_id": "E-1",
    "epoch": 1,
}


def entry(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "updated_at": SAME_INSTANT,
        "workspace_id": "55",
        "user_id": "7",
        "role_id": "2",
        "date_performed": "2026-11-03",
        "time_in_minutes": 480,
        "billable": True,
        "approved": True,
        "notes": "design",
    } | fields


ROLES = [{"id": "1", "name": "Partner"}, {"id": "2", "name": "Consultant"}]
CARDS = {
    "roles": ROLES,
    "rate_card_sets": [{"id": "1", "title": "Standard", "rate_card_ids": ["5"]}],
    "rate_card_set_versions": [
        {"id": "11", "rate_card_set_id": "1", "active": True, "effective_date": "2026-01-01"},
        {"id": "12", "rate_card_set_id": "1", "active": True, "effective_date": "2026-07-01"},
        {"id": "13", "rate_card_set_id": "1", "active": False, "effective_date": "2026-09-01"},
    ],
    "rate_cards": [
        {"id": "5", "currency": "USD", "rate_card_set_id": "1", "rate_card_version_ids": ["21", "22", "23"]}
    ],
    "rate_card_versions": [
        {"id": "21", "rate_card_id": "5", "rate_card_set_version_id": "11", "default_rate": 0},
        {"id": "22", "rate_card_id": "5", "rate_card_set_version_id": "12", "default_rate": 20000},
        {"id": "23", "rate_card_id": "5", "rate_card_set_version_id": "13", "default_rate": 99900},
    ],
    "rate_card_roles": [
        {"id": "31", "rate_card_version_id": "21", "role_id": "2", "rate": 18050},
        {"id": "32", "rate_card_version_id": "22", "role_id": "1", "rate": 40000},
    ],
}


@pytest.fixture
def psa(kantata_sandbox: Any) -> Kantata:
    return client(kantata_sandbox)


def client(sandbox: Any, deadline_s: float = 1, bearer: str = "swordfish") -> Kantata:
    return Kantata(Transport("kantata", sandbox.url, deadline_s), PROFILE, bearer)


def create(**overrides: Any) -> Any:
    return open_effect(payload=PROJECT, **overrides)


def close(project: str) -> Any:
    return open_effect(key="close-1", capability="close_project", payload={"psa_project_id": project})


def entries(psa: Kantata, since: dt.datetime | None = None) -> list[Any]:
    return [row for page in psa.time_entries(since) for row in page.rows]


def test_pages_end_and_lose_nothing_at_equal_time_stamps(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"roles": ROLES, "time_entries": [entry(n) for n in range(1, 1001)]})
    ids = [row.time_entry_id for row in entries(psa)]
    assert ids == [str(n) for n in range(1, 1001)]


@pytest.mark.parametrize("count", [0, 1, 199, 200, 201, 390, 391])
def test_every_number_of_records_is_read_once(kantata_sandbox: Any, psa: Kantata, count: int) -> None:
    kantata_sandbox.load({"roles": ROLES, "time_entries": [entry(n) for n in range(1, count + 1)]})
    assert len(entries(psa)) == count


def test_the_same_since_gives_the_same_records(kantata_sandbox: Any, psa: Kantata) -> None:
    late = entry(2, updated_at="2026-11-02T00:00:00+00:00")
    kantata_sandbox.load({"roles": ROLES, "time_entries": [entry(1), late]})
    since = dt.datetime.fromisoformat(SAME_INSTANT)
    assert [row.time_entry_id for row in entries(psa, since)] == ["2"]
    assert entries(psa, since) == entries(psa, since)


def test_a_row_that_moves_while_we_read_hides_no_other(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"roles": ROLES, "time_entries": [entry(n) for n in range(1, 402)]})
    reading = psa.time_entries(None)
    seen = [row.time_entry_id for row in next(reading).rows]
    edited = [entry(n, updated_at="2026-12-01T00:00:00Z", notes="edited") for n in (3, 4)]
    kantata_sandbox.load({"time_entries": edited})  # two leave page one: the rest move two places forward
    rows = [row for page in reading for row in page.rows]
    seen += [row.time_entry_id for row in rows]
    assert set(seen) == {str(n) for n in range(1, 402)}
    assert [row.notes for row in rows if row.time_entry_id in ("3", "4")] == ["edited", "edited"]


def test_too_many_moved_rows_stop_the_read(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"time_entries": [entry(n) for n in range(1, 402)]})
    reading = psa.time_entries(None)
    next(reading)
    moved = [entry(n, updated_at="2026-12-01T00:00:00Z") for n in range(1, 51)]
    kantata_sandbox.load({"time_entries": moved})
    with pytest.raises(TransientError, match="moved"):
        list(reading)


def test_a_list_that_does_not_end_is_noticed(kantata_sandbox: Any, psa: Kantata, monkeypatch: Any) -> None:
    kantata_sandbox.load({"time_entries": [entry(n) for n in range(1, 402)]})
    honest = Kantata._page
    monkeypatch.setattr(Kantata, "_page", lambda self, kind, asked: honest(self, kind, asked | {"offset": "0"}))
    with pytest.raises(TransientError, match="does not end"):
        entries(psa)


def test_a_retyped_field_becomes_a_bad_row_and_the_page_goes_on(kantata_sandbox: Any, psa: Kantata) -> None:
    wrong = [entry(2, time_in_minutes="480"), entry(4, date_performed="03.11.2026")]
    wrong += [entry(5, time_in_minutes=1 << 31), entry(6, notes="a\0b")]  # neither goes into the database
    kantata_sandbox.load({"roles": ROLES, "time_entries": [entry(1), *wrong, entry(3)]})
    (page,) = psa.time_entries(None)
    assert [row.time_entry_id for row in page.rows] == ["1", "3"]
    problems = {bad.record_id: bad.problem for bad in page.bad}
    assert list(problems) == ["2", "4", "5", "6"]
    assert "time_in_minutes" in problems["2"] and "2147483647" in problems["5"] and "notes" in problems["6"]
    assert json.loads(page.bad[0].payload)["time_in_minutes"] == "480"


def test_a_row_arrives_typed_with_its_role_and_the_payload_as_received(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"roles": ROLES, "time_entries": [entry(1, time_in_minutes=-30), entry(2, role_id=None)]})
    first, second = entries(psa)
    assert (first.minutes, first.worked_on, first.role) == (-30, dt.date(2026, 11, 3), "Consultant")
    assert first.modified_at == dt.datetime.fromisoformat(SAME_INSTANT)
    assert json.loads(first.payload)["notes"] == "design"
    assert second.role is None


def test_people_come_with_their_role(kantata_sandbox: Any, psa: Kantata) -> None:
    users = [{"id": "7", "full_name": "Ann Lee", "role_id": "1"}, {"id": "8", "full_name": "Bo", "disabled": True}]
    kantata_sandbox.load({"roles": ROLES, "users": users})
    (((ann, bo), _),) = psa.resources()
    assert (ann.record.name, ann.record.role, ann.record.is_active) == ("Ann Lee", "Partner", True)
    assert (bo.record.role, bo.record.is_active) == (None, False)


def test_a_person_out_of_shape_is_set_aside_and_the_rest_goes_on(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"roles": ROLES, "users": [{"id": "7", "full_name": None}, {"id": "8", "full_name": "Bo"}]})
    (((bo,), (bad,)),) = psa.resources()
    assert (bo.record.name, bad.record_id) == ("Bo", "7")
    assert "full_name" in bad.problem


def test_rates_are_dated_keep_their_cents_and_drafts_do_not_count(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load(CARDS)
    (((row,), _),) = psa.rate_cards()
    card = row.record
    assert (card.rate_card_id, card.name, card.currency) == ("5", "Standard", "USD")
    first, second = dt.date(2026, 1, 1), dt.date(2026, 7, 1)
    before = dt.date(2026, 6, 30)
    assert set(card.rates) == {
        Rate(role="Consultant", valid_from=first, valid_to=before, hourly_rate=Decimal("180.50")),
        Rate(role="Partner", valid_from=second, hourly_rate=Decimal("400.00")),
        Rate(role="Consultant", valid_from=second, hourly_rate=Decimal("200.00")),  # the version's default
    }


def test_a_project_is_made_and_found_by_its_key(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load(CARDS)
    assert psa.find(create()) is None
    made = psa.perform(create())
    assert psa.find(create()) == made
    assert psa.find(create(key="another")) is None
    assert kantata_sandbox.state()["records"]["workspaces"] == 1


def test_a_time_out_after_commit_on_a_workspace_is_found_again_and_not_doubled(
    kantata_sandbox: Any, psa: Kantata
) -> None:
    kantata_sandbox.load(CARDS)
    kantata_sandbox.arm("POST /api/v1/workspaces", "timeout_after_commit")
    with pytest.raises(UncertainOutcome):
        psa.perform(create())
    assert psa.find(create()) is not None
    state = kantata_sandbox.state()
    assert (state["records"]["workspaces"], state["faults"]) == (1, {"timeout_after_commit": 1})


def test_a_new_reference_is_invisible_for_the_search_lag(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load(CARDS, search_lag_ms=60_000)
    psa.perform(create())
    assert psa.find(create()) is None
    kantata_sandbox.load(search_lag_ms=0)
    assert psa.find(create()) is not None


def test_an_archived_workspace_is_found(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load(CARDS)
    made = psa.perform(create())
    assert psa.find(close(made)) is None
    assert psa.perform(close(made)) == made
    assert psa.find(close(made)) == made
    assert psa.find(create()) == made


def test_two_workspaces_with_one_key_need_a_person(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load(CARDS)
    ids = sorted([psa.perform(create()), psa.perform(create())])
    with pytest.raises(NeedsReview, match=f"{ids[0]}, {ids[1]}"):
        psa.find(create())


def test_a_filter_the_vendor_ignores_finds_nobody_elses_workspace(
    kantata_sandbox: Any, psa: Kantata, monkeypatch: Any
) -> None:
    kantata_sandbox.load(CARDS)
    psa.perform(create())
    honest = Kantata._read
    monkeypatch.setattr(
        Kantata,
        "_read",
        lambda self, path, asked: honest(self, path, {k: v for k, v in asked.items() if "reference_s" not in k}),
    )
    assert psa.find(create(key="another")) is None


def test_ours_is_found_behind_any_number_of_others_when_the_vendor_ignores_the_filter(
    kantata_sandbox: Any, psa: Kantata, monkeypatch: Any
) -> None:
    others = [{"id": str(n), "title": f"Other {n}"} for n in range(1, 431)]
    kantata_sandbox.load(CARDS | {"workspaces": others})
    made = psa.perform(create())
    twin = psa.perform(create(key="twin"))
    assert int(made) > 430
    honest = Kantata._read
    unfiltered = lambda self, path, asked: honest(  # noqa: E731
        self, path, {k: v for k, v in asked.items() if "reference_s" not in k and k != "only"}
    )
    monkeypatch.setattr(Kantata, "_read", unfiltered)
    assert (psa.find(create()), psa.find(create(key="twin")), psa.find(create(key="third"))) == (made, twin, None)
    assert psa.find(close(made)) is None
    first_page_only = lambda self, path, asked: unfiltered(self, path, asked | {"offset": "0"})  # noqa: E731
    monkeypatch.setattr(Kantata, "_read", first_page_only)
    with pytest.raises(TransientError, match="does not end"):
        psa.find(create())


def test_a_refusal_carries_the_vendors_message(kantata_sandbox: Any, psa: Kantata) -> None:
    with pytest.raises(Rejected, match="Rate card is invalid") as caught:
        psa.perform(create())
    assert caught.value.code == "422"


def test_a_project_that_is_not_there_may_only_be_hidden(psa: Kantata) -> None:
    with pytest.raises(UncertainOutcome, match="404"):
        psa.perform(close("404404"))


@pytest.mark.parametrize(
    ("fault", "error", "made"),
    [("throttle", TransientError, 0), ("e503_before", UncertainOutcome, 0), ("e500_after", UncertainOutcome, 1)],
)
def test_a_broken_answer_says_what_may_happen_next(
    kantata_sandbox: Any, psa: Kantata, fault: str, error: type[Exception], made: int
) -> None:
    kantata_sandbox.load(CARDS)
    kantata_sandbox.arm("POST /api/v1/workspaces", fault)
    with pytest.raises(error):
        psa.perform(create())
    assert kantata_sandbox.state()["records"].get("workspaces", 0) == made


def test_secrets_never_reach_an_error_message(kantata_sandbox: Any) -> None:
    psa = client(kantata_sandbox, bearer="hunter2")
    with pytest.raises(TransientError, match="401") as caught:
        entries(psa)
    assert "hunter2" not in f"{caught.value!r} {psa!r}"


def test_an_unknown_capability_is_a_configuration_error(psa: Kantata) -> None:
    with pytest.raises(ConfigurationError, match="create_project"):
        psa.perform(open_effect(capability="delete_project"))


def test_a_project_has_a_page(psa: Kantata) -> None:
    assert psa.url("project", "55") == "https://app.mavenlink.com/workspaces/55"

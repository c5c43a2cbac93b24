"""Who is of one legal entity sees and touches nothing of another: every person, route and object."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from psflow import config as policy_of
from psflow import trace
from psflow.config import Config
from psflow.errors import GateFailed
from psflow.flows import activation, billing
from psflow.gates.suite import FailingRow
from psflow.store import effects, exceptions
from psflow.store.effects import NewEffect
from psflow.store.exceptions import Finding
from tests.airflow.pages import Browse, browse, manager
from tests.airflow.test_pages_actions import FROM_THE_PAGE
from tests.flows.conftest import Firm, PassGate

__all__ = ["browse", "manager"]
US, EU = "MER-US", "MER-EU"
# who sees what: petra both (none is said), frank the US, engineer the EU, stranger is no person, paula only looks
SEES = {"petra": {US, EU}, "frank": {US}, "engineer": {EU}, "paula": {EU}, "stranger": set[str]()}
DUTIES = ("exceptions", "release", "approve", "submit")


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch, config: Config) -> Config:
    """People of one legal entity or of both, all of whom may do everything there; writes to Float are proposed."""
    people = [
        p.model_dump() | {"may": DUTIES, "entities": tuple(sorted(SEES[p.airflow_user]))}
        if p.airflow_user in ("frank", "engineer", "paula")
        else p.model_dump() | {"may": DUTIES}
        for p in config.people
    ]
    given = Config.model_validate(
        config.model_dump() | {"people": people, "modes": [{"mode": "propose", "system": "float"}]}
    )
    monkeypatch.setattr(policy_of, "load", lambda path=None: given)
    return given


@pytest.fixture
def both(firm: Firm, policy: Config) -> Firm:
    """
    One deal of each legal entity with its hour held, its invoice and batch, a write proposed and exceptions; and a
    third deal that is blocked, whose legal entity only the deal says.
    """
    firm.config = policy
    firm.start(1)
    acme = {"Id": "001000000000001", "Name": "Acme", "AccountNumber": "77", "BillingCountry": "GB"}
    firm.salesforce.load({"Account": [acme]})
    firm.win(2, Legal_Entity__c="Meridian EU", Tax_Treatment__c="UK export")
    (run,) = firm.sync()["start"]
    firm.activate(**run)
    firm.log(1)
    firm.log(2, workspace_id="2")
    firm.log(3, 99)
    firm.log(4, 99, workspace_id="2")
    odd = (FailingRow("3", "minutes", "99", "TE-01", "odd"), FailingRow("4", "minutes", "99", "TE-01", "odd"))
    firm.load_time(PassGate(4, odd))
    for entity in (US, EU):
        when = billing.Period(name="2026-10")
        batch = billing.freeze(firm.store, policy, entity, when, when.end)
        assert batch is not None
        billing.check(firm.store, policy, PassGate(), batch)
    firm.win(3, Legal_Entity__c="Meridian EU", Rate_Card__c="nowhere")
    (run,) = firm.sync()["start"]
    with pytest.raises(GateFailed):
        activation.check(firm.store, policy, **run)
    proposed = [NewEffect("float", "create_project", f"E-100{n}.1", {}, f"E-100{n}") for n in (1, 2)]
    with firm.store.transaction("test"):
        effects.register(firm.store, proposed)
        exceptions.open_all(firm.store, policy, [
            Finding("effect", "effect", "float:create_project:E-1001.1", "refused", None, "said no"),
            Finding("master_data", "resource", "R-1", "name", None, "of no legal entity"),
        ])  # fmt: skip
    return firm


def objects(firm: Firm) -> list[tuple[str, set[str], str]]:
    """Return (address of one object, whose it is (empty: of nobody yet), what its page would show)."""
    number = {
        (row["rule"], row["record_id"]): row["exception_id"]
        for row in firm.store.rows("select exception_id, rule, record_id from ops.exceptions")
    }
    verdict = {row["batch_id"]: row["gate_id"] for row in firm.store.rows("select gate_id, batch_id from ops.gate_run")}
    return [
        ("/trace?id=E-1001", {US}, "Rollout 1"),
        ("/trace?id=P-1001", {US}, "Rollout 1"),
        ("/trace?id=E-1002", {EU}, "Rollout 2"),
        ("/trace?id=006000000000002AAA", {EU}, "Rollout 2"),
        ("/trace?id=E-1003", {EU}, "Rollout 3"),
        ("/trace?id=float:create_project:E-1002.1", {EU}, "Rollout 2"),
        ("/trace?id=MER-EU.2026-10.1", {EU}, "Rollout 2"),
        (f"/exceptions/{number['time_entry', '3']}", {US}, "TE-01"),
        (f"/exceptions/{number['time_entry', '4']}", {EU}, "TE-01"),
        (f"/exceptions/{number['rate_card', 'E-1003']}", {EU}, "nowhere"),
        (f"/exceptions/{number['effect', 'float:create_project:E-1001.1']}", {US}, "said no"),
        (f"/exceptions/{number['master_data', 'R-1']}", set(), "of no legal entity"),
        ("/close/MER-US/2026-10", {US}, "MER-US 2026-10"),
        ("/close/MER-EU/2026-10", {EU}, "MER-EU 2026-10"),
        (f"/gates/{verdict['MER-US.2026-10.1']}", {US}, "MER-US.2026-10.1"),
        (f"/gates/{verdict['MER-EU.2026-10.1']}", {EU}, "MER-EU.2026-10.1"),
    ]


def test_an_object_of_another_legal_entity_is_not_there(browse: Browse, both: Firm) -> None:
    for user, (address, whose, shown) in product(SEES, objects(both)):
        answer = browse(user).get(address)
        may = not whose or bool(whose & SEES[user])
        assert answer.status_code == (200 if may else 404), f"{user} {address}"
        assert (shown in answer.text) == may, f"{user} {address}"


LISTS = {
    "/engagements": {"E-1001": US, "E-1002": EU, "E-1003": EU},
    "/engagements?state=blocked": {"E-1003": EU},
    "/exceptions": {"E-1001": US, "E-1002": EU, "E-1003": EU},
    "/gates": {"MER-US.2026-10.1": US, "MER-EU.2026-10.1": EU},
    "/gates?suite=billing/batch": {"MER-US.2026-10.1": US, "MER-EU.2026-10.1": EU},
    "/close": {"MER-US": US, "MER-EU": EU},
    "/systems": {"float:create_project:E-1001.1": US, "float:create_project:E-1002.1": EU},
    "/systems?status=done": {"kantata:create_project:E-1001.1": US, "kantata:create_project:E-1002.1": EU},
    "/gates/{load}": {"P-1001": US, "P-1002": EU},
    "/unbilled": {"P-1001": US, "P-1002": EU},
    "/trace?id=C-77": {"Rollout 1": US, "Rollout 2": EU, "Rollout 3": EU},
}


def test_a_list_holds_only_what_is_theirs_to_see(browse: Browse, both: Firm) -> None:
    load = both.store.value("select gate_id from ops.gate_run where suite = 'time_expense/time_entry'")
    for user, (address, named) in product(SEES, LISTS.items()):
        page = browse(user).get(address.format(load=load)).text.partition("<main")[2]
        for name, entity in named.items():
            assert (name in page) == (entity in SEES[user]), f"{user} {address} {name}"


def test_the_numbers_count_only_what_is_theirs_to_see(browse: Browse, both: Firm) -> None:
    for user in SEES:
        page = browse(user).get("/engagements").text
        mine = sum(entity in SEES[user] for entity in LISTS["/engagements"].values())
        assert (f">{mine}</a></td></tr>" in page) == bool(mine), user
        assert ("You see" in page) == ("no legal entity yet" in page) == (user != "petra"), user


ACTIONS = ("assign", "comment", "retry", "waive", "resolve", "reopen")


def test_nobody_acts_on_an_exception_of_another_legal_entity(browse: Browse, both: Firm) -> None:
    foreign = [o for o in objects(both) if o[0].startswith("/exceptions/")]
    for user, action, (address, whose, _) in product(SEES, ACTIONS, foreign):
        if whose and not whose & SEES[user]:
            status, says = post(browse(user), f"{address}/{action}", comment="let me")
            assert status == (403 if user == "paula" else 404), f"{user} {action} {address}: {says}"
    assert not both.store.value("select count(*) from ops.exception_event where who <> 'psflow'")


def test_a_write_is_released_by_people_of_its_legal_entity(browse: Browse, both: Firm) -> None:
    for user in SEES:
        for number, entity in ((1, US), (2, EU)):
            key = propose(both, f"E-100{number}", user)
            status, _ = post(browse(user), "/effects/release", effect=key)
            refused = 403 if user in ("paula", "stranger") else 404
            assert status == (200 if entity in SEES[user] and user != "paula" else refused), f"{user} {entity}"


def test_a_dead_letter_is_replayed_by_people_of_its_legal_entity(browse: Browse, both: Firm) -> None:
    for user in SEES:
        for number, entity in ((1, US), (2, EU)):
            key = propose(both, f"E-100{number}", user, "dead")
            may = entity in SEES[user]
            assert browse(user).get("/deadletters", params={"id": key}).status_code == (200 if may else 404)
            assert (key in browse(user).get("/deadletters").text) == may, f"{user} {entity}"
            status, _ = post(browse(user), "/deadletters/replay", letter=key)
            refused = 403 if user in ("paula", "stranger") else 404
            assert status == (200 if may and user != "paula" else refused), f"{user} {entity}"
            with both.store.transaction("test"):
                both.store.run(
                    "update ops.effect set state = 'refused', settled_at = now() where effect_key = %(key)s", key=key
                )


def propose(firm: Firm, engagement: str, name: str, state: str = "pending") -> str:
    """Return the key of a write of an engagement that waits, or was given up on."""
    new = NewEffect("float", "create_project", f"{engagement}.{name}", {}, engagement)
    with firm.store.transaction("test"):
        effects.register(firm.store, [new])
        firm.store.run(
            "update ops.effect set state = %(state)s, settled_at = now() where effect_key = %(key)s",
            state=state, key=new.key,
        )  # fmt: skip
    return new.key


def post(client: Any, path: str, **change: str) -> tuple[int, str]:
    answer = client.post(path, content=json.dumps(change), headers=FROM_THE_PAGE)
    return answer.status_code, str(answer.json())


def test_a_batch_is_decided_on_by_people_of_its_legal_entity(both: Firm) -> None:
    batch = "MER-EU.2026-10.1"
    shown = str(billing.find(both.store, batch)["content_hash"])
    with pytest.raises(GateFailed, match="frank may not submit billing batches of MER-EU"):
        both.decide(batch, "submit", "frank", shown)
    both.decide(batch, "submit", "engineer", shown)
    assert billing.find(both.store, batch)["state"] == "submitted"


def test_what_a_run_is_about_is_not_told_to_people_of_another_legal_entity(browse: Browse, both: Firm) -> None:
    assert browse("frank").get("/run/activation/E-1002.1").headers["location"] == "/psflow/engagements"
    assert browse("engineer").get("/run/activation/E-1002.1").headers["location"] == "/psflow/trace?id=E-1002.1"


def test_the_command_line_sees_everything(both: Firm) -> None:
    assert set(trace.find(both.store, "C-77")) == {"E-1001", "E-1002", "E-1003"}

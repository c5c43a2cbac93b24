"""The page Systems: each number is the number of its rows, each row says its next step, and who may releases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from psflow import config as policy_of
from psflow.config import Config
from psflow.errors import Withheld
from psflow.store import dead_letters, effects
from psflow.store.effects import NewEffect
from tests.airflow.pages import Browse, browse, manager
from tests.airflow.test_pages import links, read, rows_of
from tests.flows.conftest import Firm

__all__ = ["browse", "manager"]
FROM_THE_PAGE = {"Sec-Fetch-Site": "same-origin", "Accept": "application/json", "Content-Type": "application/json"}
PROPOSED = "tryton:create_customer:C-77"


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch, config: Config) -> Config:
    """A firm that proposes what goes to Tryton and only observes BambooHR; frank may release."""
    rules = [{"mode": "propose", "system": "tryton"}, {"mode": "observe", "system": "bamboohr"}]
    people = [p.model_dump() | ({"may": ("approve", "release")} if p.person == "P-102" else {}) for p in config.people]
    given = Config.model_validate(config.model_dump() | {"modes": rules, "people": people})
    monkeypatch.setattr(policy_of, "load", lambda path=None: given)
    return given


@pytest.fixture
def waiting(firm: Firm, policy: Config) -> Firm:
    """A deal whose customer is proposed to Tryton, and a write in every other state."""
    firm.config = policy
    firm.win()
    (run,) = firm.sync()["start"]
    with pytest.raises(Withheld):
        firm.activate(**run)
    new = [NewEffect("kantata", "create_project", f"E-1001.{n}", {"n": n}, "E-1001") for n in range(4)]
    with firm.store.transaction("test"):
        effects.register(firm.store, [*new, NewEffect("bamboohr", "create_project", "x", {})])
        for number, state in enumerate(("pending", "intent", "refused", "dead")):
            firm.store.run(
                "update ops.effect set state = %(state)s, last_error = 'the vendor said <no>', "
                "settled_at = now(), lease_until = case %(state)s when 'intent' then now() end "
                "where effect_key = %(key)s",
                state=state, key=new[number].key,
            )  # fmt: skip
    return firm


def test_each_number_is_the_number_of_its_rows(browse: Browse, waiting: Firm) -> None:
    client = browse("paula")
    page = read(client, "/systems").partition('id="accounts"')[0]
    numbers = [(href, int(text)) for href, text in links(page) if text.isdigit()]
    assert {href.partition("?")[2] for href, _ in numbers} == {
        "system=tryton&status=proposed", "system=bamboohr&status=observed", "system=kantata&status=pending",
        "system=kantata&status=uncertain", "system=kantata&status=refused", "system=kantata&status=dead",
    }  # fmt: skip
    for href, number in numbers:
        shown = read(client, href.removeprefix("/psflow")).partition('id="accounts"')[0]
        assert rows_of(shown) == number == 1, href
    assert rows_of(page) == 6 and "oldest <time" in page


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ("pending", "none: its run sends it"),
        ("uncertain", "none: the system is asked whether it has it, before it is sent again"),
        ("proposed", "somebody with the duty release lets it out"),
        ("observed", "none: psflow.yaml sends nothing here (modes)"),
        ("refused", "correct what the system's answer names, then Retry on the exception"),
        ("dead", "look in the system whether it has it, then Retry on the exception"),
    ],
)
def test_a_write_says_its_next_step(browse: Browse, waiting: Firm, status: str, says: str) -> None:
    page = read(browse("paula"), f"/systems?status={status}").partition('id="accounts"')[0]
    assert rows_of(page) == 1 and says.replace("'", "&#39;") in page


def test_filters_are_in_the_address_and_add_up(browse: Browse, waiting: Firm) -> None:
    client = browse("paula")
    assert rows_of(read(client, "/systems?engagement=E-1001").partition('id="accounts"')[0]) == 5
    assert "No writes here" in read(client, "/systems?engagement=E-1001&system=bamboohr")
    assert rows_of(read(client, "/systems?capability=create_customer").partition('id="accounts"')[0]) == 1


def test_how_far_each_stream_is_behind_is_said_by_the_systems_name(browse: Browse, waiting: Firm) -> None:
    streams = read(browse("paula"), "/systems").partition('id="streams"')[2]
    assert "Salesforce" in streams and "opportunity" in streams and "salesforce</th>" not in streams


def release(client: TestClient, key: str, **headers: str) -> tuple[int, str]:
    answer = client.post("/effects/release", content=json.dumps({"effect": key}), headers=FROM_THE_PAGE | headers)
    return answer.status_code, str(answer.json().get("detail") or answer.json().get("says"))


def test_who_has_the_duty_releases_and_it_goes_out(browse: Browse, waiting: Firm) -> None:
    assert "<button>Release</button>" in read(browse("frank"), "/systems")
    assert release(browse("frank"), PROPOSED) == (200, f"{PROPOSED} is released; it goes out when its run goes on")
    audited = waiting.store.row("select actor, subject from ops.audit where action = 'effect.released'")
    assert audited == {"actor": "P-102", "subject": PROPOSED}
    page = read(browse("frank"), "/systems?system=tryton")
    assert "released by frank (P-102)" in page and "clear the skipped task of its run" in page
    assert release(browse("frank"), PROPOSED) == (409, f"{PROPOSED} is pending: it waits for no release")
    with pytest.raises(Withheld, match="proposed: tryton:create_project"):
        waiting.activate("E-1001")
    assert waiting.erp.calls == ["create_customer"]


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ("paula", "you may look and not change: ask for the Airflow role “user”"),
        ("fiona", "it takes the duty “release”: see “may” under people in psflow.yaml"),
        ("stranger", "Airflow user 'stranger' is no person in psflow.yaml; add it under people"),
    ],
)
def test_nobody_else_releases(browse: Browse, waiting: Firm, user: str, says: str) -> None:
    assert release(browse(user), PROPOSED) == (403, says)
    assert "<button>Release</button>" not in read(browse(user), "/systems")
    assert waiting.store.value("select released_by from ops.effect where effect_key = %(k)s", k=PROPOSED) is None


@pytest.mark.parametrize(
    ("headers", "status"), [({"Sec-Fetch-Site": "cross-site"}, 403), ({"Content-Type": "text/plain"}, 415)]
)
def test_a_release_comes_from_the_page_only(browse: Browse, waiting: Firm, headers: Any, status: int) -> None:
    assert release(browse("frank"), PROPOSED, **headers)[0] == status


def test_what_waits_for_no_release_is_said(browse: Browse, waiting: Firm) -> None:
    assert release(browse("frank"), "kantata:create_project:E-1001.3")[0] == 409
    assert release(browse("frank"), "nobody:knows:it") == (404, "there is no effect 'nobody:knows:it'")


# -- accounts


@pytest.fixture
def asked(waiting: Firm) -> Firm:
    """Salesforce was asked before."""
    with waiting.store.transaction("test"):
        waiting.store.run(
            "insert into ops.account (system, instance) values ('salesforce', 'org') on conflict do nothing"
        )
    return waiting


def operate(client: TestClient, act: str, **sent: str) -> tuple[int, str]:
    answer = client.post(f"/accounts/{act}", content=json.dumps(sent), headers=FROM_THE_PAGE)
    return answer.status_code, str(answer.json().get("detail") or answer.json().get("says"))


def test_data_engineering_opens_and_closes_a_breaker_with_a_reason(browse: Browse, asked: Firm) -> None:
    account = {"system": "salesforce", "instance": "org"}
    engineer = browse("engineer")
    assert operate(engineer, "open", **account)[0] == 409, "without a reason"
    status, says = operate(engineer, "open", **account, comment="they maintain it tonight")
    assert (status, says) == (200, "the breaker of Salesforce is open: nothing is sent to it")
    page = read(engineer, "/systems").partition('id="accounts"')[2]
    assert "they maintain it tonight" in page and "by engineer (P-301)" in page and "a person closes it" in page
    assert operate(engineer, "close", **account, comment="it is back")[0] == 200
    told = asked.store.rows("select actor, action from ops.audit where action like 'breaker.%%' order by audit_id")
    assert [tuple(row.values()) for row in told] == [("P-301", "breaker.open"), ("P-301", "breaker.close")]


@pytest.mark.parametrize("user", ["paula", "fiona", "stranger"])
def test_nobody_else_touches_a_breaker(browse: Browse, asked: Firm, user: str) -> None:
    assert operate(browse(user), "open", system="salesforce", instance="org", comment="let me")[0] == 403
    assert 'action="/psflow/accounts' not in read(browse(user), "/systems")


def test_an_account_that_is_not_there_is_said(browse: Browse, asked: Firm) -> None:
    status, says = operate(browse("engineer"), "open", system="salesforce", instance="other", comment="let me")
    assert status == 409 and "salesforce has no account 'other'" in says


# -- dead letters


def replay(client: TestClient, **sent: str) -> tuple[int, str]:
    answer = client.post("/deadletters/replay", content=json.dumps(sent), headers=FROM_THE_PAGE)
    return answer.status_code, str(answer.json().get("detail") or answer.json().get("says"))


DEAD = "kantata:create_project:E-1001.3"


def test_a_dead_letter_shows_what_came_beside_what_a_person_made_of_it(browse: Browse, waiting: Firm) -> None:
    client = browse("petra")
    assert rows_of(read(client, "/deadletters")) == 2
    assert "the vendor said &lt;no&gt;" in read(client, f"/deadletters?id={DEAD}")
    dead_letters.edit(waiting.store, DEAD, '{"n": 4}', waiting.config.person_of("petra"), "it was one too few")
    page = read(client, f"/deadletters?id={DEAD}")
    assert "it was one too few" in page and "<mark>4</mark>" in page and "&#34;n&#34;: 3" in page


def test_one_or_all_of_a_filter_go_back_in_line(browse: Browse, waiting: Firm) -> None:
    client = browse("petra")
    assert replay(client, letter=DEAD) == (200, f"1 of 1 in line again; {DEAD}: the run that owns it takes it")
    assert replay(client, letter=DEAD)[0] == 404, "it is no dead letter any more"
    assert replay(client, system="tryton")[0] == 404
    assert replay(client, system="kantata", text="SAID")[0] == 200
    assert "No dead letters here" in read(client, "/deadletters")
    told = waiting.store.rows("select actor from ops.audit where action = 'dead_letter.replayed'")
    assert [row["actor"] for row in told] == ["P-202", "P-202"]


@pytest.mark.parametrize("user", ["paula", "fiona", "stranger"])
def test_nobody_else_replays(browse: Browse, waiting: Firm, user: str) -> None:
    assert replay(browse(user), letter=DEAD)[0] == 403
    assert "/deadletters/replay" not in read(browse(user), "/deadletters")

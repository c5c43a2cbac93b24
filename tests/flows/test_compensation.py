"""A deal that is lost once it began is closed everywhere and deleted nowhere; won again, it starts anew."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from psflow.errors import NeedsReview, Rejected
from psflow.flows import activation, compensation
from psflow.store.connection import Store
from tests.crash.points import killed_at
from tests.database import REGION
from tests.flows.test_staffing import Desk, anywhere, desk, float_sandbox

__all__ = ["desk", "float_sandbox"]
LOST = {"IsWon": False, "StageName": "Closed Lost"}


def lose(desk: Desk) -> dict[str, Any]:
    """The deal is lost in the CRM; return the run that closes it."""
    desk.firm.win(**LOST)
    (run,) = desk.firm.sync()["lost"]
    return dict(run)


def close(desk: Desk, run: dict[str, Any], store: Store | None = None) -> int:
    firm = desk.firm
    systems = (firm.crm, desk.planner, firm.psa, firm.erp)
    return compensation.close_lost(store or firm.store, firm.config, systems, **run)


def projects(desk: Desk) -> dict[str, list[bool]]:
    """Which projects are open, by system, in the order they were made."""
    token = {"Authorization": "Bearer swordfish", "User-Agent": "t (t@t.test)"}
    asked = f"{desk.firm.kantata.url}/api/v1/workspaces?include_archived=true"
    spaces = requests.get(asked, headers=token, timeout=5).json()["workspaces"]
    planned = [
        project
        for active in (1, 0)
        for project in requests.get(f"{desk.sandbox.url}/v3/projects?active={active}", headers=token, timeout=5).json()
    ]
    return {
        "erp": [p["state"] == "open" for p in desk.firm.erp.projects.values()],
        "psa": [not spaces[key].get("archived") for key in sorted(spaces, key=int)],
        "planner": [bool(p["active"]) for p in sorted(planned, key=lambda p: int(p["project_id"]))],
    }


def states(desk: Desk) -> list[tuple[int, str]]:
    return [(r["epoch"], r["state"]) for r in desk.rows("ops.workflow")]


def staffed(desk: Desk) -> None:
    desk.hire(8, "Ben")
    desk.start()
    anywhere(desk)
    desk.read()
    assert desk.staff() == {"assigned": 1, "unstaffed": 0}


def booked_from(desk: Desk, day: str) -> int:
    return int(
        desk.firm.store.value(
            "select count(*) from core.booked(greatest(current_date + 1, %(day)s::date), '2026-12-31')", day=day
        )
    )


def test_a_lost_deal_is_closed_in_every_system_and_its_people_are_free(desk: Desk) -> None:
    staffed(desk)
    assert booked_from(desk, "2026-10-01") > 0
    made = [desk.firm.kantata.state()["records"]["workspaces"], len(desk.firm.erp.projects)]
    assert close(desk, lose(desk)) == 5  # two by the planner's request and booking, and a project each
    assert projects(desk) == {"erp": [False], "psa": [False], "planner": [False]}
    assert [desk.firm.kantata.state()["records"]["workspaces"], len(desk.firm.erp.projects)] == made
    assert states(desk) == [(1, "compensated")] and desk.states() == ["closed"]
    assert booked_from(desk, "2026-10-01") == 0
    assert desk.firm.sync()["lost"] == [] and desk.firm.exceptions() == []
    assert {row["state"] for row in desk.rows("ops.effect")} == {"done"}


def test_a_deal_won_again_gets_projects_of_its_own_and_the_old_ones_stay_closed(desk: Desk) -> None:
    """F38."""
    desk.start()
    close(desk, lose(desk))
    desk.firm.win()
    (run,) = desk.firm.sync()["start"]
    assert run == {"engagement_id": "E-1001", "epoch": 2}
    desk.go(**run)
    assert projects(desk) == {"erp": [False, True], "psa": [False, True], "planner": [False, True]}
    assert states(desk) == [(1, "compensated"), (2, "active")]
    assert desk.firm.sync() | {"customers": 0, "opportunities": 0} == {
        "customers": 0, "opportunities": 0, "engagements": 0, "start": [], "restart": [], "lost": [],
    }  # fmt: skip


def test_what_waits_is_withdrawn_and_what_is_in_doubt_is_settled_before_it_is_closed(desk: Desk, app_url: str) -> None:
    firm, store = desk.firm, desk.firm.store
    firm.win()
    (run,) = firm.sync()["start"]
    activation.check(store, firm.config, **run)
    activation.create_in_erp(store, firm.config, firm.erp, **run)
    firm.kantata.arm("POST /api/v1/workspaces", "timeout_after_commit")
    killed_at("effect.result:before-commit", lambda: in_psa(desk, app_url, run))
    lost = lose(desk)
    close(desk, lost)
    assert projects(desk) == {"erp": [False], "psa": [False], "planner": []}
    for step in (lambda: in_psa(desk, app_url, run), lambda: close(desk, lost)):
        with pytest.raises(NeedsReview):
            step()
    assert projects(desk) == {"erp": [False], "psa": [False], "planner": []}


def in_psa(desk: Desk, app_url: str, run: dict[str, Any]) -> None:
    firm = desk.firm
    with Store.open(app_url, REGION) as store:
        activation.create_in_psa(store, firm.config, firm.psa, firm.erp, firm.crm, **run)


def test_a_deal_that_is_won_is_not_closed(desk: Desk) -> None:
    engagement = desk.start()
    with pytest.raises(NeedsReview, match="its deal is won"):
        close(desk, {"engagement_id": engagement, "epoch": 1})
    assert projects(desk) == {"erp": [True], "psa": [True], "planner": [True]}


@pytest.mark.parametrize(
    "point",
    [
        "activation.lost:after-commit",
        "activation.closing:before-commit",
        "activation.closing:after-commit",
        "float.release_resource:before-call",
        "float.close_project:answered",
        "kantata.close_project:answered",
    ],
)
def test_a_worker_killed_while_it_closes_is_followed_by_one_that_ends_it(desk: Desk, app_url: str, point: str) -> None:
    """F37."""
    staffed(desk)
    run = lose(desk)

    def work() -> None:
        with Store.open(app_url, REGION) as store:
            close(desk, run, store)

    killed_at(point, work)
    assert desk.firm.sync()["lost"] == [run]
    desk.firm.win()  # won again in the middle: what is being closed is closed to the end
    assert desk.firm.sync()["lost"] == [run]
    work()
    assert projects(desk) == {"erp": [False], "psa": [False], "planner": [False]}
    assert states(desk) == [(1, "compensated")]
    assert {row["state"] for row in desk.rows("ops.effect")} == {"done"}


def test_a_close_that_is_refused_is_told_and_tried_again(desk: Desk) -> None:
    """F37."""
    desk.start()
    refusals = iter([True])

    def refuse(when: str, capability: str) -> None:
        if (when, capability) == ("before", "close_project") and next(refusals, False):
            raise Rejected("it has open orders")

    desk.firm.erp.fail = refuse
    run = lose(desk)
    with pytest.raises(Rejected, match="open orders"):
        close(desk, run)
    assert [e["record_id"] for e in desk.firm.exceptions("effect")] == ["tryton:close_project:E-1001.1"]
    assert states(desk) == [(1, "active")] and desk.firm.sync()["lost"] == [run]
    close(desk, run)
    assert states(desk) == [(1, "compensated")] and desk.firm.exceptions("effect") == []

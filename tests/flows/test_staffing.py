"""A deal's demand gets its people before kickoff, in planner and PSA, once; who is missing is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from psflow.config import ModeRule
from psflow.errors import Rejected, Withheld
from psflow.flows import activation, staffing, sync_people
from psflow.store.connection import Row, Store
from psflow.systems.float.client import Float
from psflow.systems.transport import Transport
from tests.crash.points import killed_at
from tests.database import REGION
from tests.flows.conftest import CARDS, FAST, Firm
from tests.systems.conftest import Sandbox, float_sandbox

__all__ = ["float_sandbox"]
WEEK = [0, 8, 8, 8, 8, 8, 0]  # Sunday first


@dataclass
class Desk:
    """Those who staff: the firm, its planner, and the deal they look at."""

    firm: Firm
    planner: Float
    sandbox: Sandbox

    def hire(self, number: int, name: str, role: str = "2", **fields: Any) -> None:
        email = f"{name.lower()}@meridian.test"
        user = {"id": str(number), "full_name": name, "role_id": role, "email_address": email}
        self.firm.kantata.load({"users": [user]})
        person = {"people_id": number, "name": name, "email": email, "work_days_hours": WEEK, "region_id": 1}
        self.sandbox.load({"people": [person | {"start_date": "2026-01-01"} | fields]})

    def start(self) -> str:
        self.firm.win()
        (run,) = self.firm.sync()["start"]
        self.go(**run)
        return str(run["engagement_id"])

    def go(self, engagement_id: str, epoch: int) -> None:
        run = {"engagement_id": engagement_id, "epoch": epoch}
        steps = (self.firm.store, self.firm.config)
        activation.check(*steps, **run)
        activation.create_in_erp(*steps, self.firm.erp, **run)
        activation.create_in_psa(*steps, self.firm.psa, self.firm.erp, self.firm.crm, **run)
        activation.create_in_planner(*steps, self.planner, **run)
        activation.finish(*steps, self.firm.crm, **run)

    def read(self) -> dict[str, Any]:
        self.firm.sync()
        return sync_people.pull_planner(self.firm.store, self.firm.config, self.planner)

    def staff(self) -> dict[str, int]:
        return staffing.staff(self.firm.store, self.firm.config, self.planner, self.firm.psa)

    def rows(self, table: str) -> list[Row]:
        return self.firm.store.rows(f"select * from {table} order by 1")  # type: ignore[arg-type]

    def booked(self) -> list[tuple[str, str, bool]]:
        return [(r["resource_id"], str(r["request_id"]), r["is_confirmed"]) for r in self.rows("core.assignment")]

    def states(self) -> list[str]:
        return [row["state"] for row in self.rows("core.resource_request")]


@pytest.fixture
def desk(firm: Firm, float_sandbox: Sandbox) -> Desk:
    float_sandbox.load(hang_s=1)
    transport = Transport("float", float_sandbox.url, FAST["deadline_s"])
    planner = Float(transport, firm.config.systems["float"], "swordfish", "USD", "ops@meridian.test", "https://f.test")
    return Desk(firm, planner, float_sandbox)


def tasks(desk: Desk) -> list[dict[str, Any]]:
    headers = {"User-Agent": "t (t@t.test)", "Authorization": "Bearer swordfish"}
    found: list[dict[str, Any]] = desk.planner.transport.session.get(
        f"{desk.sandbox.url}/v3/tasks", timeout=5, headers=headers
    ).json()
    return found


def anywhere(desk: Desk) -> None:
    """Nobody's region is known here: the demand goes anywhere."""
    with desk.firm.store.transaction("test"):
        desk.firm.store.run("update core.resource_request set region = null")


def test_demand_is_shown_in_the_planner_and_a_person_takes_it_in_both_systems(desk: Desk) -> None:
    desk.hire(8, "Ben")
    desk.start()
    anywhere(desk)
    desk.read()
    assert desk.staff() == {"assigned": 1, "unstaffed": 0}
    assert (desk.booked(), desk.states()) == ([("8", "E-1001.1.R1", True)], ["assigned"])
    assert desk.firm.exceptions("staffing") == []
    (ours,) = [t for t in tasks(desk) if t["people_id"] == 8]
    assert (ours["hours"], ours["start_date"], ours["end_date"]) == (6.0, "2026-10-01", "2026-12-31")


def test_a_second_run_and_a_second_read_change_nothing(desk: Desk) -> None:
    desk.hire(8, "Ben")
    desk.start()
    anywhere(desk)
    desk.read()
    desk.staff()
    writes = [s.state()["writes"] for s in (desk.sandbox, desk.firm.kantata)]
    desk.read()
    assert desk.staff() == {"assigned": 0, "unstaffed": 0}
    assert [s.state()["writes"] for s in (desk.sandbox, desk.firm.kantata)] == writes
    assert desk.booked() == [("8", "E-1001.1.R1", True)]


def test_nobody_with_time_is_an_exception_that_ends_when_somebody_is_hired(desk: Desk) -> None:
    desk.start()
    anywhere(desk)
    desk.read()
    assert desk.staff() == {"assigned": 0, "unstaffed": 1}
    (told,) = desk.firm.exceptions("staffing")
    assert (told["record_id"], told["value"], told["owner_team"]) == ("E-1001.1.R1", "role", "resource management")
    desk.hire(8, "Ben")
    desk.read()
    assert desk.staff() == {"assigned": 1, "unstaffed": 0}
    assert desk.firm.exceptions("staffing") == []


def test_hours_booked_by_hand_on_a_project_of_somebody_else_are_not_free(desk: Desk) -> None:
    desk.hire(8, "Ben")
    desk.start()
    anywhere(desk)
    task = {"task_id": 900, "project_id": 55, "people_id": 8, "start_date": "2026-11-02", "end_date": "2026-11-02",
            "hours": 4, "status": 2}  # fmt: skip
    desk.sandbox.load({"projects": [{"project_id": 55, "name": "Internal"}], "tasks": [task]})
    desk.read()
    assert desk.staff() == {"assigned": 0, "unstaffed": 1}
    assert "short on 1 days from 2026-11-02" in desk.firm.exceptions("staffing")[0]["message"]


def test_an_answer_lost_after_the_planner_booked_books_nobody_twice(desk: Desk) -> None:
    desk.hire(8, "Ben")
    desk.start()
    anywhere(desk)
    desk.read()
    desk.sandbox.arm("POST /v3/tasks", "timeout_after_commit")
    assert desk.staff() == {"assigned": 1, "unstaffed": 0}
    desk.read()
    assert desk.booked() == [("8", "E-1001.1.R1", True)]


def test_a_person_the_planner_does_not_know_is_told_and_not_sent(desk: Desk, admin_url: str) -> None:
    desk.hire(8, "Ben")
    desk.start()
    anywhere(desk)
    desk.read()
    with psycopg.connect(admin_url) as db:  # the role that flows run as may not
        db.execute(
            "update ops.crosswalk set external_id = 'x', kind = 'gone' where kind = 'resource' and system = 'float'"
        )
    assert desk.staff() == {"assigned": 0, "unstaffed": 0}
    (told,) = desk.firm.exceptions("staffing")
    assert told["message"] == "float does not know 8: create or link it there; the next run assigns it"


def others_work(desk: Desk) -> None:
    """Somebody else is booked on something else."""
    desk.hire(9, "Cleo", role="1")
    task = {"task_id": 901, "project_id": 56, "people_id": 9, "start_date": "2026-11-02", "end_date": "2026-11-03",
            "hours": 4, "status": 2}  # fmt: skip
    desk.sandbox.load({"projects": [{"project_id": 56, "name": "Internal"}], "tasks": [task]})


def test_an_empty_answer_of_the_planner_is_not_believed(desk: Desk) -> None:
    desk.hire(8, "Ben")
    desk.start()
    anywhere(desk)
    desk.read()
    desk.staff()
    task = desk.firm.store.value("select external_id from ops.crosswalk where kind = 'assignment'")
    headers = {"User-Agent": "t (t@t.test)", "Authorization": "Bearer swordfish"}
    desk.planner.transport.session.delete(f"{desk.sandbox.url}/v3/tasks/{task}", headers=headers, timeout=5)
    assert desk.read()["withdrawn"] == 0
    assert desk.booked() == [("8", "E-1001.1.R1", True)]


def test_a_booking_deleted_by_hand_closes_the_request_and_is_told(desk: Desk) -> None:
    desk.hire(8, "Ben")
    others_work(desk)
    desk.start()
    anywhere(desk)
    desk.read()
    desk.staff()
    task = desk.firm.store.value("select external_id from ops.crosswalk where kind = 'assignment'")
    headers = {"User-Agent": "t (t@t.test)", "Authorization": "Bearer swordfish"}
    desk.planner.transport.session.delete(f"{desk.sandbox.url}/v3/tasks/{task}", headers=headers, timeout=5)
    assert desk.read()["withdrawn"] == 1
    assert (desk.booked(), desk.states()) == ([("9", "None", True)], ["closed"])
    assert "was taken off P-1001 in float by hand" in desk.firm.exceptions("staffing")[0]["message"]
    assert desk.staff() == {"assigned": 0, "unstaffed": 0}


def compensated(desk: Desk) -> str:
    """The demand of a deal is matched, then the PSA refuses its project; the rate card comes back afterwards."""
    desk.firm.win()
    (run,) = desk.firm.sync()["start"]
    steps = (desk.firm.store, desk.firm.config)
    activation.check(*steps, **run)
    anywhere(desk)
    desk.read()
    assert desk.staff() == {"assigned": 0, "unstaffed": 0}
    activation.create_in_erp(*steps, desk.firm.erp, **run)
    users = {"users": [{"id": "8", "full_name": "Ben", "role_id": "2", "email_address": "ben@meridian.test"}]}
    desk.firm.kantata.control("reset")
    with pytest.raises(Rejected):
        activation.create_in_psa(*steps, desk.firm.psa, desk.firm.erp, desk.firm.crm, **run)
    desk.firm.kantata.load(CARDS)
    desk.firm.kantata.load(users)
    return str(run["engagement_id"])


def test_what_was_matched_for_a_compensated_deal_is_over_and_books_nobody_in_its_next_epoch(desk: Desk) -> None:
    desk.hire(8, "Ben")
    engagement = compensated(desk)
    assert (desk.booked(), desk.states(), desk.firm.exceptions("staffing")) == ([], ["closed"], [])
    desk.go(engagement, 2)
    anywhere(desk)
    desk.read()
    assert desk.staff() == {"assigned": 1, "unstaffed": 0}
    assert [request for _, request, _ in desk.booked()] == ["E-1001.2.R1"]


def test_demand_the_planner_refused_stays_on_the_work_list_when_the_deal_is_active(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> str:
        raise Rejected("float: the account has no seat left for a placeholder")

    monkeypatch.setattr(Float, "_request", refuse)
    desk.start()
    assert desk.firm.store.value("select state from ops.workflow") == "active"
    (told,) = desk.firm.exceptions("effect")
    assert told["record_id"] == "float:request_resource:E-1001.1.R1"


def test_demand_follows_the_deal_until_a_project_may_carry_it(desk: Desk) -> None:
    store = desk.firm.store
    desk.hire(8, "Ben")
    desk.firm.win()
    desk.firm.sync()
    run = (store, desk.firm.config, "E-1001", 1)
    activation.check(*run)
    anywhere(desk)
    desk.read()
    desk.staff()

    def asked(*rows: tuple[str, int]) -> list[tuple[str, int]]:
        with store.transaction("test"):
            store.run("delete from core.opportunity_line")
            for line_id, hours in rows:
                store.run(
                    "insert into core.opportunity_line (opportunity_id, line_id, quantity, unit_price, role, "
                    "hours_per_day) select opportunity_id, %(line)s, 1, 1, 'Consultant', %(hours)s "
                    "from core.engagement where engagement_id = 'E-1001'", line=line_id, hours=hours,
                )  # fmt: skip
        activation.check(*run)
        found = store.rows(
            "select request_id, hours_per_day::int as hours from core.resource_request "
            "where state <> 'closed' and engagement_id = 'E-1001' order by 1"
        )
        return [(row["request_id"], row["hours"]) for row in found]

    assert asked(("1", 2), ("2", 6)) == [("E-1001.1.R1", 2), ("E-1001.1.R2", 6)]
    assert desk.booked() == []
    assert asked(("2", 6)) == [("E-1001.1.R1", 6)]
    activation.create_in_erp(store, desk.firm.config, desk.firm.erp, "E-1001", 1)
    assert asked(("0", 3), ("2", 6)) == [("E-1001.1.R1", 6)]


def test_a_copy_of_our_booking_made_by_hand_takes_hours_of_its_own(desk: Desk) -> None:
    desk.hire(8, "Ben")
    desk.start()
    anywhere(desk)
    desk.read()
    desk.staff()
    (ours,) = [t for t in tasks(desk) if t["people_id"] == 8]
    copied = {k: ours[k] for k in ("project_id", "people_id", "hours", "status", "notes")}
    days = {"start_date": "2027-01-04", "end_date": "2027-01-05"}
    desk.sandbox.load({"tasks": [copied | days | {"task_id": 9000}]})
    for _ in range(2):
        desk.read()
        rows = desk.firm.store.rows("select assignment_id, starts_on::text as day from core.assignment order by 1")
        assert [(r["assignment_id"], r["day"]) for r in rows] == [
            ("E-1001.1.R1", "2026-10-01"), ("float:9000", "2027-01-04"),
        ]  # fmt: skip


def test_a_booking_deleted_by_hand_is_told_even_when_the_worker_dies_over_it(desk: Desk, app_url: str) -> None:
    desk.hire(8, "Ben")
    others_work(desk)
    desk.start()
    anywhere(desk)
    desk.read()
    desk.staff()
    task = desk.firm.store.value("select external_id from ops.crosswalk where kind = 'assignment'")
    headers = {"User-Agent": "t (t@t.test)", "Authorization": "Bearer swordfish"}
    desk.planner.transport.session.delete(f"{desk.sandbox.url}/v3/tasks/{task}", headers=headers, timeout=5)

    def work() -> None:
        with Store.open(app_url, REGION) as store:
            sync_people.pull_planner(store, desk.firm.config, desk.planner)

    killed_at("sync.drop_assignments:after-commit", work)
    desk.read()
    assert "was taken off P-1001" in desk.firm.exceptions("staffing")[0]["message"]


def test_an_entity_that_only_observes_keeps_no_other_from_its_people(desk: Desk) -> None:
    desk.hire(8, "Ben")
    desk.hire(9, "Cleo")
    desk.start()
    desk.firm.win(2, Legal_Entity__c="Meridian EU")
    (run,) = desk.firm.sync()["start"]
    desk.go(**run)
    anywhere(desk)
    desk.read()
    entities = desk.firm.store.rows("select legal_entity_id from core.contract order by engagement_id")
    rules = (ModeRule(mode="observe", legal_entity_id=entities[0]["legal_entity_id"]),)
    observing = desk.firm.config.model_copy(update={"modes": rules})
    with pytest.raises(Withheld, match="float:assign_resource:E-1001.1.R1"):
        staffing.staff(desk.firm.store, observing, desk.planner, desk.firm.psa)
    assert [(request, done) for _, request, done in desk.booked()] == [("E-1001.1.R1", False), ("E-1002.1.R1", True)]

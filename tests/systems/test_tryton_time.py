"""Hours on a project that Tryton bills itself: one line an entry, which says what the newest version of it says."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest

from psflow.errors import NeedsReview, Rejected
from psflow.sandbox.tryton import TrytonServer
from psflow.systems.ports import Copy
from psflow.systems.transport import ONCE, Transport
from psflow.systems.tryton.client import Tryton
from psflow.systems.tryton.rpc import Rpc
from tests.effects import open_effect
from tests.systems.tryton_fixture import adapter

NUMBER = itertools.count(1)


@pytest.fixture
def erp(tryton_server: TrytonServer) -> Tryton:
    return adapter(tryton_server)


@pytest.fixture
def hour(tryton_server: TrytonServer, erp: Tryton) -> dict[str, Any]:
    return an_hour(tryton_server, erp)


def an_hour(tryton_server: TrytonServer, erp: Tryton) -> dict[str, Any]:
    """Return an hour and a half of Ann, who is employed, on a project that takes no hours yet."""
    number = next(NUMBER)
    employed(tryton_server, f"R-{number}")
    party = {"customer_id": f"C-time-{number}", "name": "Acme", "street": None, "city": "Springfield", "country": "US"}
    customer = erp.perform(sent("create_customer", party, f"time-customer-{number}"))
    shell = {"project_code": f"P-{number}", "name": "Rollout", "customer_ref": customer, "currency": "USD"}
    project = erp.perform(sent("create_project", shell, f"time-project-{number}"))
    return {
        "time_entry_id": f"TE_{number}", "version": 1, "resource_id": f"R-{number}", "erp_project_id": project,
        "worked_on": "2026-10-05", "minutes": 90,
    }  # fmt: skip


def employed(server: TrytonServer, code: str) -> None:
    rpc = Rpc(Transport("tryton", server.url, 30, patience=ONCE), server.database, *server.admin)
    ((company,),) = [rpc.read("model.company.company.search", [["party.name", "=", server.company]], 0, 1, None)]
    (party,) = rpc.read("model.party.party.create", [{"name": "Ann Lee", "code": code}])
    rpc.read("model.company.employee.create", [{"party": party, "company": company}])


def sent(capability: str, payload: dict[str, Any], key: str) -> Any:
    return open_effect(system="tryton", capability=capability, payload=payload, key=key)


def post(hour: dict[str, Any], **said: Any) -> Any:
    return sent("post_time", hour | said, f"time-{next(NUMBER)}")


def line(erp: Tryton, number: str) -> dict[str, Any]:
    fields = ["date", "duration", "description", "employee.party.code", "work.origin"]
    (found,) = erp._search("timesheet.line", [["id", "=", int(number)]], fields)
    return found


def test_an_approved_hour_is_a_line_of_its_person_on_its_project(erp: Tryton, hour: dict[str, Any]) -> None:
    wanted = post(hour)
    assert erp.find(wanted) is None
    made = erp.perform(wanted)
    assert made == erp.perform(wanted) == erp.find(wanted)
    found = line(erp, made)
    assert (found["date"], found["duration"]) == (dt.date(2026, 10, 5), dt.timedelta(minutes=90))
    assert found["employee."]["party."]["code"] == hour["resource_id"]
    assert found["work."]["origin"] == f"project.work,{hour['erp_project_id']}"


def test_an_edit_corrects_the_line_and_an_older_version_never_comes_back(erp: Tryton, hour: dict[str, Any]) -> None:
    made = erp.perform(post(hour))
    assert erp.find(post(hour, version=2)) is None
    assert erp.perform(post(hour, version=2, minutes=45, worked_on="2026-10-06")) == made
    assert erp.perform(post(hour)) == made
    found = line(erp, made)
    assert (found["date"], found["duration"]) == (dt.date(2026, 10, 6), dt.timedelta(minutes=45))
    assert erp.copies("post_time", "any", hour) == [Copy(made, "open")]


def test_entries_whose_ids_look_alike_have_lines_of_their_own(erp: Tryton, hour: dict[str, Any]) -> None:
    alike = hour["time_entry_id"].replace("_", "x")
    first, second = erp.perform(post(hour)), erp.perform(post(hour, time_entry_id=alike, minutes=30))
    assert first != second and line(erp, first)["duration"] == dt.timedelta(minutes=90)


def test_hours_that_are_taken_back_leave_a_line_of_none(erp: Tryton, hour: dict[str, Any]) -> None:
    made = erp.perform(post(hour))
    assert erp.perform(post(hour, version=2, minutes=0)) == made
    assert erp.copies("post_time", "any", hour) == [Copy(made, "closed")]


def test_a_line_that_landed_twice_is_emptied(tryton_server: TrytonServer, erp: Tryton, hour: dict[str, Any]) -> None:
    made = erp.perform(post(hour))
    values = erp._timesheets._values(post(hour))
    (twin,) = erp._rpc.read("model.timesheet.line.create", [values])
    with pytest.raises(NeedsReview, match=f"{made}, {twin} all carry"):
        erp.find(post(hour))
    undo = erp.undo("post_time", hour, str(twin), dt.date.min)
    assert undo is not None
    void = sent(undo.capability, undo.payload, f"time-{next(NUMBER)}")
    assert erp.find(void) is None
    assert erp.perform(void) == erp.find(void) == str(twin)
    assert erp.copies("post_time", "any", hour) == [Copy(made, "open"), Copy(str(twin), "closed")]
    assert erp.find(post(hour)) == made


def test_whom_or_what_the_erp_does_not_know_is_refused(erp: Tryton, hour: dict[str, Any]) -> None:
    with pytest.raises(Rejected, match="0 employees have party code 'R-nobody'"):
        erp.perform(post(hour, resource_id="R-nobody"))
    with pytest.raises(Rejected, match="no project 999999"):
        erp.perform(post(hour, erp_project_id="999999"))
    with pytest.raises(Rejected, match="no timesheet line 999999"):
        erp.perform(sent("void_time", {"erp_time_id": "999999"}, "time-void"))

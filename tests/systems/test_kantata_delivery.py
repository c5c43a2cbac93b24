"""What is delivered and spent, as Kantata tells it: expenses, tasks, milestones, people with address and skills."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from psflow.contracts import Milestone, Task
from psflow.systems.kantata.client import Kantata
from tests.systems.test_kantata import client

T0, T1, T2 = "2026-11-01T08:00:00+00:00", "2026-11-02T08:00:00+00:00", "2026-11-03T08:00:00+00:00"
LAX = {"id": "56", "title": "No approvals", "require_expense_approvals": False}
STRICT = {"id": "55", "title": "Approvals", "require_expense_approvals": True}


@pytest.fixture
def psa(kantata_sandbox: Any) -> Kantata:
    kantata_sandbox.load({"workspaces": [STRICT, LAX]})
    return client(kantata_sandbox)


def expense(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number), "updated_at": T0, "workspace_id": "55", "user_id": "7", "date": "2026-10-28",
        "category": "Travel", "amount_in_cents": 12345, "currency": "USD", "currency_base_unit": 100,
        "is_billable": True, "receipt_id": "90", "notes": "train",
    } | fields  # fmt: skip


def report(number: int, status: str, **fields: Any) -> dict[str, Any]:
    return {"id": str(number), "status": status, "updated_at": T0, "workspace_id": "55", "user_id": "7"} | fields


def story(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "id": str(number),
        "title": f"S{number}",
        "story_type": "task",
        "workspace_id": "55",
        "updated_at": T0,
    } | fields


def expenses(psa: Kantata, since: str | None = None) -> list[Any]:
    moment = dt.datetime.fromisoformat(since) if since else None
    return [row for page in psa.expenses(moment) for row in page.rows]


def test_an_expense_keeps_its_cents_and_a_yen_has_none(kantata_sandbox: Any, psa: Kantata) -> None:
    yen = expense(2, currency="JPY", currency_base_unit=1, amount_in_cents=12345)
    kantata_sandbox.load({"expenses": [expense(1), yen]})
    dollars, yens = expenses(psa)
    assert (dollars.amount, dollars.currency) == (Decimal("123.45"), "USD")
    assert (yens.amount, yens.currency) == (Decimal(12345), "JPY")
    assert (dollars.spent_on, dollars.category, dollars.project_ref) == (dt.date(2026, 10, 28), "Travel", "55")


def test_an_amount_whose_unit_is_not_told_is_missing_and_never_guessed(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"expenses": [expense(1, currency_base_unit=None)]})
    assert [row.amount for row in expenses(psa)] == [None]


def test_an_expense_says_whether_it_has_a_receipt(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"expenses": [expense(1), expense(2, receipt_id=None)]})
    assert [row.has_receipt for row in expenses(psa)] == [True, False]


def test_an_expense_is_approved_by_its_report_or_by_a_project_that_asks_for_no_approval(
    kantata_sandbox: Any, psa: Kantata
) -> None:
    reports = [report(1, "approved"), report(2, "pending")]
    rows = [
        expense(1, active_submission_id="1"),
        expense(2, active_submission_id="2"),
        expense(3),
        expense(4, workspace_id="56"),
        expense(5, active_submission_id="404"),  # the answer does not tell
    ]
    kantata_sandbox.load({"expense_report_submissions": reports, "expenses": rows})
    assert [row.is_approved for row in expenses(psa)] == [True, False, False, True, None]


def test_an_expense_approved_later_is_read_again_though_it_did_not_change(kantata_sandbox: Any, psa: Kantata) -> None:
    decided = report(1, "approved", updated_at=T2, expense_ids=["1", "2"])
    theirs = {"active_submission_id": "1"}
    rows = [expense(1, **theirs), expense(2, updated_at=T2, **theirs), expense(3)]
    kantata_sandbox.load({"expense_report_submissions": [decided], "expenses": rows})
    changed = expenses(psa, T1)
    assert [(row.expense_entry_id, row.is_approved) for row in changed] == [("2", True), ("1", True)]  # each once
    assert changed[1].modified_at == dt.datetime.fromisoformat(T2)
    assert expenses(psa, T2) == []


def test_expenses_of_an_archived_project_are_still_read(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"workspaces": [STRICT | {"archived": True}], "expenses": [expense(1)]})
    assert len(expenses(psa)) == 1


def test_expense_pages_end_and_lose_nothing_at_equal_time_stamps(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"expenses": [expense(n) for n in range(1, 402)]})
    assert [row.expense_entry_id for row in expenses(psa)] == [str(n) for n in range(1, 402)]


def test_a_retyped_expense_is_set_aside_and_the_page_goes_on(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"expenses": [expense(1), expense(2, amount_in_cents="12345"), expense(3)]})
    (page,) = psa.expenses(None)
    assert [row.expense_entry_id for row in page.rows] == ["1", "3"]
    assert [(bad.record_id, "amount_in_cents" in bad.problem) for bad in page.bad] == [("2", True)]


def test_tasks_and_milestones_come_apart_and_archived_ones_too(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({
        "stories": [
            story(1, state="completed"), story(2, billable=False, archived=True),
            story(3, story_type="milestone", due_date="2026-12-01"), story(4, story_type="issue"),
        ]
    })  # fmt: skip
    moment = dt.datetime.fromisoformat(T0)
    told = {"project_ref": "55", "modified_at": moment}
    assert [row.record for page in psa.tasks(None) for row in page.rows] == [
        Task(task_id="1", title="S1", is_billable=True, is_done=True, **told),
        Task(task_id="2", title="S2", is_billable=False, is_done=False, **told),
    ]
    (((row,), _),) = psa.milestones(None)
    assert row.record == Milestone(milestone_id="3", title="S3", due_on=dt.date(2026, 12, 1), is_done=False, **told)
    assert row.modified_at == moment


def test_a_task_changed_since_is_read_and_no_other(kantata_sandbox: Any, psa: Kantata) -> None:
    kantata_sandbox.load({"stories": [story(1), story(2, updated_at=T2)]})
    moment = dt.datetime.fromisoformat(T1)
    assert [row.record_id for page in psa.tasks(moment) for row in page.rows] == ["2"]


def test_a_story_of_another_type_is_set_aside_when_the_filter_is_ignored(
    kantata_sandbox: Any, psa: Kantata, monkeypatch: Any
) -> None:
    kantata_sandbox.load({"stories": [story(1), story(2, story_type="milestone")]})
    honest = Kantata._page
    monkeypatch.setattr(
        Kantata,
        "_page",
        lambda self, kind, asked: honest(self, kind, {k: v for k, v in asked.items() if "type" not in k}),
    )
    (page,) = psa.tasks(None)
    assert ([row.record_id for row in page.rows], [bad.record_id for bad in page.bad]) == (["1"], ["2"])


def test_people_come_with_their_address_in_lower_case_and_their_skills(kantata_sandbox: Any, psa: Kantata) -> None:
    ann = {"id": "7", "full_name": "Ann Lee", "email_address": "Ann.Lee@Example.com"}
    held = [
        {"id": str(n), "skill_id": str(n), "user_id": "7", "level": 3, "cached_skill_name": name}
        for n, name in enumerate(["sql", "airflow", "sql"], 1)
    ]
    kantata_sandbox.load({"users": [ann, {"id": "8", "full_name": "Bo"}], "skill_memberships": held})
    (((first, bo), _),) = psa.resources()
    assert (first.record.work_email, first.record.skills) == ("ann.lee@example.com", ("airflow", "sql"))
    assert (bo.record.work_email, bo.record.skills) == (None, ())

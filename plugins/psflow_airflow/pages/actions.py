"""What people do about an exception. Each is one transaction with its event and its audit row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import APIRouter, Depends, HTTPException

from psflow.config import Config, Person
from psflow.errors import NeedsReview
from psflow.store import exceptions, matches, workflow
from psflow.store.connection import Row, Store
from psflow.store.exceptions import Action
from psflow.store.matches import Decision
from psflow_airflow.operators.base import opened
from psflow_airflow.pages import access, retry
from psflow_airflow.pages.access import Change, Number

router = APIRouter()
User = Annotated[BaseUser, Depends(access.writer)]
Sent = Annotated[Change, Depends(access.change)]


@router.post("/exceptions/{exception_id}/match/{said}")
def match(exception_id: Number, said: Decision, user: User, sent: Sent) -> dict[str, str]:
    """Say whether a system's record and ours (`to`) are the same; the next sync acts on it. Refuses as `act` does."""
    with opened("psflow_db") as (store, policy), _refusals():
        row, who = _mine(store, policy, exception_id, user)
        if row["rule"] != "match" or row["state"] != "open":
            is_over = f"is {row['state']}" if row["rule"] == "match" else "asks nobody who is who"
            raise NeedsReview(f"exception {exception_id} {is_over}: nothing would act on what you say")
        system, _, record_id = row["record_id"].partition(":")
        matches.decide(store, row["entity"], system, record_id, sent.to, said, who)
        exceptions.comment(store, exception_id, who, f"{row['record_id']} and {sent.to}: {said}")
    return {"says": f"{row['record_id']} and {sent.to} are {said}; the next sync acts on it"}


@router.post("/exceptions/{exception_id}/{action}")
def act(exception_id: Number, action: Action, user: User, sent: Sent) -> dict[str, str]:
    """Do it and say so. 403 for another team's, 409 when it does not fit the state, 422 without a needed reason."""
    with opened("psflow_db") as (store, policy), _refusals():
        row, who = _mine(store, policy, exception_id, user)
        if action == "retry":
            runs = retry.start(store, policy, row, user)
            exceptions.retried(store, exception_id, who, runs)
            return {"says": runs}
        return {"says": _do(store, policy, exception_id, action, who, sent)}


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except NeedsReview as error:
        raise HTTPException(409, str(error)) from None


def _mine(store: Store, policy: Config, exception_id: int, user: BaseUser) -> tuple[Row, str]:
    """Return the exception and who the user is. Raises 404, and 403 when they may not work on it."""
    try:
        row = workflow.exception(store, access.sight(policy, user), exception_id)
    except NeedsReview as error:
        raise HTTPException(404, str(error)) from None
    if refusal := access.why_not(policy, user, row["owner_team"]):
        raise HTTPException(403, refusal)
    return row, policy.person_of(user.get_id()).person


def _do(store: Store, policy: Config, number: int, action: Action, who: str, change: Change) -> str:
    if action == "assign":
        to = _person(policy, change.to)
        exceptions.assign(store, number, who, to.person if to else None, change.comment)
        return f"assigned to {to.person if to else 'nobody'}"
    if len(change.comment) < 3:
        raise HTTPException(422, f"comment: say why, in a few words, before you {action} it")
    if action == "comment":
        exceptions.comment(store, number, who, change.comment)
    elif action == "reopen":
        exceptions.reopen(store, policy, number, who, change.comment)
    elif action in ("waive", "resolve"):
        exceptions.close(store, number, who, action, change.comment)
    return {"comment": "comment added", "reopen": "reopened"}.get(action, f"{action}d")


def _person(policy: Config, name: str) -> Person | None:
    if not name:
        return None
    for candidate in policy.people:
        if candidate.person == name:
            return candidate
    raise HTTPException(422, f"to: {name!r} is no person in psflow.yaml")

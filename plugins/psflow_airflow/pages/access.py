"""Who sees what, who may change what, and how a change must arrive."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, HTTPException, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from psflow.config import Config, Duty, Person
from psflow.errors import ConfigurationError
from psflow.store.connection import Store
from psflow.store.sight import Sight
from psflow_airflow.operators.base import opened

_MOST_BYTES = 16_384


class Change(BaseModel):
    """What a person sends: a comment, a person to assign to, and which effect, dead letter or account it is about."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    comment: str = Field(default="", max_length=2000)
    to: str = Field(default="", max_length=200)
    effect: str = Field(default="", max_length=400)
    letter: str = Field(default="", max_length=400)
    system: str = Field(default="", max_length=200)
    instance: str = Field(default="", max_length=200)
    text: str = Field(default="", max_length=200)


def sight(policy: Config, user: BaseUser) -> Sight:
    """Return what a login may see: what its person may; what is of no legal entity yet when it is nobody's."""
    return Sight.of(policy, person(policy, user))


def reading(request: Request, user: GetUserDep) -> Iterator[tuple[Store, Config, Sight]]:
    """Yield the store, in a transaction that can only read and not for long, psflow.yaml, and what the user sees."""
    with opened("psflow_db") as (store, policy):
        store.run("set transaction read only")
        store.run("set local statement_timeout = '15s'")
        theirs = sight(policy, user)
        request.state.sees = theirs.entities  # each page says so
        yield store, policy, theirs


Reading = Annotated[tuple[Store, Config, Sight], Depends(reading)]
Number = Annotated[int, Path(ge=1, lt=2**63)]
Text = Annotated[str | None, Query(max_length=200)]


def may_start_runs(user: BaseUser, dag_id: str | None = None) -> bool:
    """Whether Airflow lets this user start runs: of one DAG, or at all. A viewer may not."""
    details = DagDetails(id=dag_id) if dag_id else None
    return get_auth_manager().is_authorized_dag(
        method="POST", access_entity=DagAccessEntity.RUN, details=details, user=user
    )


def writer(user: GetUserDep) -> BaseUser:
    """Return the user, who may change something. Raises 403 for a viewer."""
    if not may_start_runs(user):
        raise HTTPException(403, "you may look and not change: ask for the Airflow role “user”")
    return user


async def change(request: Request, _: Annotated[BaseUser, Depends(writer)]) -> Change:
    """Return what was sent. Raises 403 for a page of somewhere else, 415 unless JSON, 413 when long, 422 when wrong."""
    if request.headers.get("sec-fetch-site") != "same-origin":
        raise HTTPException(403, "a change is sent from these pages only")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "a change is sent as JSON; the page's script does so")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MOST_BYTES:
            raise HTTPException(413, f"more than {_MOST_BYTES} bytes; shorten the comment")
    try:
        return Change.model_validate_json(bytes(body))
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors())
        raise HTTPException(422, said) from None


def person(policy: Config, user: BaseUser) -> Person | None:
    """Return the person behind a login, None when psflow.yaml names nobody."""
    try:
        return policy.person_of(user.get_id())
    except ConfigurationError:
        return None


def people(policy: Config) -> dict[str, str]:
    """Return person -> how the pages name them."""
    return {p.person: f"{p.airflow_user} ({p.person})" for p in policy.people}


def why_not(policy: Config, user: BaseUser, team: str) -> str:
    """Return in a sentence why this user may not work on a team's exceptions; empty when they may."""
    who = person(policy, user)
    if who is None or not may_start_runs(user):
        return _nobody(user)
    if team in who.teams or "exceptions" in who.may:
        return ""
    return f"this is {team}'s; you are in {', '.join(who.teams) or 'no team'}"


def why_no_duty(policy: Config, user: BaseUser, duty: Duty) -> str:
    """Return in a sentence why this user may not do what takes a duty; empty when they may."""
    who = person(policy, user)
    if who is None or not may_start_runs(user):
        return _nobody(user)
    return "" if duty in who.may else f"it takes the duty “{duty}”: see “may” under people in psflow.yaml"


def _nobody(user: BaseUser) -> str:
    if not may_start_runs(user):
        return "you may look and not change: ask for the Airflow role “user”"
    return f"Airflow user {user.get_id()!r} is no person in psflow.yaml; add it under people"

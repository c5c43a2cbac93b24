"""Who may change what, and how a change must arrive."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from psflow.config import Config, Person
from psflow.errors import ConfigurationError

_MOST_BYTES = 16_384


class Change(BaseModel):
    """What a person sends: a comment, and a person to assign to."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    comment: str = Field(default="", max_length=2000)
    to: str = Field(default="", max_length=200)


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


def why_not(policy: Config, user: BaseUser, team: str) -> str:
    """Return in a sentence why this user may not work on a team's exceptions; empty when they may."""
    if not may_start_runs(user):
        return "you may look and not change: ask for the Airflow role “user”"
    who = person(policy, user)
    if who is None:
        return f"Airflow user {user.get_id()!r} is no person in psflow.yaml; add it under people"
    if team in who.teams or "exceptions" in who.may:
        return ""
    return f"this is {team}'s; you are in {', '.join(who.teams) or 'no team'}"

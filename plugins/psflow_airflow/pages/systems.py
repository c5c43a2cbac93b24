"""How far reads are behind, which writes wait and for what, and the release of those that were proposed."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, HTTPException, Request, Response

from psflow.contracts import Capability
from psflow.errors import ConfigurationError, NeedsReview
from psflow.flows import modes
from psflow.store import breakers, queue
from psflow.store.connection import Row
from psflow.trace import names
from psflow_airflow.operators.base import opened
from psflow_airflow.pages import access, links
from psflow_airflow.pages.access import Change, Reading, Text
from psflow_airflow.pages.render import page

router = APIRouter()
User = Annotated[BaseUser, Depends(access.writer)]
Sent = Annotated[Change, Depends(access.change)]
_DONE = {"open": "open", "close": "closed"}
_STEP = {
    "pending": "none: its run sends it",
    "uncertain": "none: the system is asked whether it has it, before it is sent again",
    "proposed": "somebody with the duty release lets it out",
    "observed": "none: psflow.yaml sends nothing here (modes)",
    "refused": "correct what the system's answer names, then Retry on the exception",
    "dead": "look in the system whether it has it, then Retry on the exception",
    "done": "none",
}


@router.get("/systems")
def systems(
    request: Request,
    read: Reading,
    user: GetUserDep,
    system: Text = None,
    status: Text = None,
    capability: Text = None,
    engagement: Text = None,
) -> Response:
    """Show each system's reads and writes, and the writes that fit."""
    store, policy, sight = read
    asked = {"system": system or None, "status": status or None, "capability": capability or None,
             "engagement": engagement or None}  # fmt: skip
    rows = queue.effects(store, policy, sight, **asked)
    for row in rows:
        row["next_step"] = _next_step(row)
    streams, counts = queue.streams(store), queue.counts(store, policy, sight)
    keys = dict.fromkeys([*policy.systems, *(s["system"] for s in streams), *(key for key, _ in counts)])
    whose, letters = access.person(policy, user), queue.dead_letters(store, sight)
    return page(
        request, "systems.html", accounts=breakers.overview(store, policy),
        may_operate=whose is not None and breakers.may_operate(whose) and access.may_start_runs(user),
        letters=letters[0]["found"] if letters else 0, asked=asked, rows=rows, streams=streams, counts=counts,
        keys=list(keys), statuses=queue.STATUSES, names=names(), capabilities=get_args(Capability), run=links.run,
        refusal=access.why_no_duty(policy, user, "release"), who=access.people(policy),
    )  # fmt: skip


@router.post("/effects/release")
def release(user: User, sent: Sent) -> dict[str, str]:
    """Let a proposed effect out. 403 without the duty, 404 for one that is not theirs to see, 409 when it waits not."""
    with opened("psflow_db") as (store, policy):
        if refusal := access.why_no_duty(policy, user, "release"):
            raise HTTPException(403, refusal)
        found = queue.effects(store, policy, access.sight(policy, user), key=sent.effect)
        found += queue.effects(store, policy, access.sight(policy, user), key=sent.effect, status="done")
        if not found:
            raise HTTPException(404, f"there is no effect {sent.effect!r}")
        if found[0]["status"] != "proposed":
            raise HTTPException(409, f"{sent.effect} is {found[0]['status']}: it waits for no release")
        modes.release(store, [sent.effect], policy.person_of(user.get_id()))
    return {"says": f"{sent.effect} is released; it goes out when its run goes on"}


@router.post("/accounts/{act}")
def operate(act: Literal["open", "close"], user: User, sent: Sent) -> dict[str, str]:
    """Open or close the breaker of a system's account. 403 for who may not, 409 without a reason or such an account."""
    with opened("psflow_db") as (store, policy):
        who = access.person(policy, user)
        if who is None or not breakers.may_operate(who):
            raise HTTPException(403, "data engineering opens and closes breakers, and who has the duty exceptions")
        change = breakers.open_breaker if act == "open" else breakers.close_breaker
        try:
            change(store, policy, sent.system, sent.instance, who, sent.comment)
        except (NeedsReview, ConfigurationError) as error:
            raise HTTPException(409, str(error)) from None
    told = "nothing is sent to it" if act == "open" else "calls go out"
    return {"says": f"the breaker of {names().get(sent.system, sent.system)} is {_DONE[act]}: {told}"}


def _next_step(row: Row) -> str:
    """Say who does what next about an effect."""
    if row["status"] == "pending" and row["released_by"]:
        return "clear the skipped task of its run, which then sends it"
    return _STEP[row["status"]]

"""What was given up on: the error, what came beside what a person made of it, and its replay."""

from __future__ import annotations

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Request, Response

from psflow.errors import NeedsReview
from psflow.store import dead_letters, queue
from psflow.trace import names
from psflow_airflow.operators.base import opened
from psflow_airflow.pages import access
from psflow_airflow.pages.access import Reading, Text
from psflow_airflow.pages.render import page
from psflow_airflow.pages.systems import Sent, User

router = APIRouter()


@router.get("/deadletters")
def letters(
    request: Request, read: Reading, user: GetUserDep, system: Text = None, text: Text = None, id: Text = None
) -> Response:
    """Show what was given up on, newest first; of one, also what came and what a person changed in a copy of it."""
    store, policy, sight = read
    asked = {"system": system or None, "text": text or None, "id": id or None}
    rows = queue.dead_letters(store, sight, **asked)
    if id and not rows:
        raise HTTPException(404, f"{id!r} is no dead letter: done, in line or read again meanwhile")
    return page(
        request, "deadletters.html", asked=asked, rows=rows, one=dead_letters.show(store, id) if id else None,
        keys=list(policy.systems), names=names(), people=access.people(policy),
        refusal=access.why_no_duty(policy, user, "exceptions"),
    )  # fmt: skip


@router.post("/deadletters/replay")
def replay(user: User, sent: Sent) -> dict[str, str]:
    """
    Put one dead letter back in line, or all that fit the filter (`system`, `text`) when none is named.

    403 without the duty, 404 when none is theirs to see, 409 when none of them goes.
    """
    with opened("psflow_db") as (store, policy):
        if refusal := access.why_no_duty(policy, user, "exceptions"):
            raise HTTPException(403, refusal)
        asked = {"id": sent.letter or None, "system": sent.system or None, "text": sent.text or None}
        wanted = [row["id"] for row in queue.dead_letters(store, access.sight(policy, user), **asked)]
        if not wanted:
            raise HTTPException(404, "no dead letter fits: done, in line or read again meanwhile")
        try:
            done = dead_letters.replay(store, wanted, policy.person_of(user.get_id()))
        except NeedsReview as error:
            raise HTTPException(409, str(error)) from None
    in_line = [each for each in done if each.is_in_line]
    if not in_line:
        raise HTTPException(409, f"{done[0].id} {done[0].says}")
    said = f"{in_line[0].id}: {in_line[0].says}" if len(done) == 1 else "each is taken by its run, or its next read"
    return {"says": f"{len(in_line)} of {len(done)} in line again; {said}"}

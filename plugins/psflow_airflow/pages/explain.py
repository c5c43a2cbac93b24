"""From a printed amount back to what it hangs on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from jinja2.filters import do_urlencode

from psflow.errors import NeedsReview
from psflow.explain import KNOWN, explain, find
from psflow_airflow.pages import links
from psflow_airflow.pages.access import Reading, Text, person
from psflow_airflow.pages.render import page

router = APIRouter()
Kind = Annotated[Literal["invoice", "line", "charge", "entry"] | None, Query()]


@router.get("/explain")
def ask(request: Request, _: Reading, id: Text = None) -> Response:
    """Ask for an id, or go to the page of the one that was put in."""
    if id and id.strip():
        return RedirectResponse(f"{request.scope.get('root_path', '')}/explain/{do_urlencode(id.strip())}", 303)
    return page(request, "explain.html", id="", found=[], told=None, refusal="", known=KNOWN, url=None)


@router.get("/explain/{identifier:path}")
def explained(request: Request, read: Reading, user: GetUserDep, identifier: str, kind: Kind = None) -> Response:
    """Explain an invoice, a line, a charge or an entry; one of several things of one id is chosen by `kind`."""
    store, policy, sight = read
    who = person(policy, user)
    sees_cost = who is not None and "finance" in who.teams
    shown: dict[str, Any] = {"id": identifier, "known": KNOWN, "url": links.Vendors(policy).url, "sees_cost": sees_cost}
    try:
        found = find(store, identifier, sight)
    except NeedsReview as error:
        return page(request, "explain.html", status_code=404, found=[], told=None, refusal=str(error), **shown)
    meant = [each for each in found if kind in (None, each.kind)]
    told = explain(store, policy, meant[0]) if len(meant) == 1 else None
    return page(request, "explain.html", found=found, told=told, refusal="", **shown)

"""
The FastAPI app that the plugin mounts. Airflow adds no authentication of its own to it, so every route carries it.

Whoever may read Airflow's pages may read these. Who may change something is in `access`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Literal
from urllib.parse import quote

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException

from psflow.errors import PsflowError, TransientError
from psflow_airflow.pages import actions, close, dead_letters, explain, observe, plan, systems, unbilled, views
from psflow_airflow.pages.render import page

_TYPES = {"psflow.css": "text/css", "psflow.js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

app = FastAPI(
    title="psflow",
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
    dependencies=[Depends(requires_access_view(AccessView.WEBSITE))],
)
app.include_router(views.router)
app.include_router(actions.router)
app.include_router(systems.router)
app.include_router(dead_letters.router)
app.include_router(explain.router)
app.include_router(observe.router)
app.include_router(plan.router)
app.include_router(unbilled.router)
app.include_router(close.router)


@app.get("/static/{name}")
def static(name: Literal["psflow.css", "psflow.js"]) -> Response:
    """Return the one style sheet or the one script."""
    text = files(__package__).joinpath("static", name).read_text(encoding="utf-8")
    return PlainTextResponse(text, media_type=_TYPES[name])


@app.middleware("http")
async def guarded(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Let a page load nothing but its own style and script, from here, and be framed by Airflow alone."""
    response = await call_next(request)
    response.headers.update(_HEADERS)
    return response


@app.exception_handler(HTTPException)
def refused(request: Request, error: HTTPException) -> Response:
    """Answer a page with a page and a script with JSON; who is not signed in is sent to Airflow's sign-in."""
    if not _wants_page(request):
        return JSONResponse({"detail": error.detail}, error.status_code)
    if error.status_code == 401:
        sign_in = get_auth_manager().get_url_login()
        return RedirectResponse(f"{sign_in}?next={quote(str(request.url), safe='')}", 303)
    return page(request, "message.html", status_code=error.status_code, says=error.detail)


@app.exception_handler(PsflowError)
def failed(request: Request, error: PsflowError) -> Response:
    """Say what is wrong in our own words; they hold no secret."""
    status = 503 if isinstance(error, TransientError) else 500
    if _wants_page(request):
        return page(request, "message.html", status_code=status, says=str(error))
    return JSONResponse({"detail": str(error)}, status)


def _wants_page(request: Request) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")

"""Pages from templates: everything that comes from data is escaped, a missing value is an error and never a blank."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from psflow.trace import names
from psflow.wording import money

_UNITS = (("year", 31_536_000), ("month", 2_592_000), ("day", 86_400), ("hour", 3_600), ("minute", 60))


def utc(at: dt.datetime) -> str:
    """Return `2026-11-24 08:15 UTC`."""
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def ago(at: dt.datetime, now: dt.datetime) -> str:
    """Return a distance in words: `3 days ago`, `in 2 hours`, `just now`."""
    seconds = (now - at).total_seconds()
    for unit, size in _UNITS:
        if abs(seconds) >= size:
            count = round(abs(seconds) / size)
            words = f"{count} {unit}{'s' if count > 1 else ''}"
            return f"{words} ago" if seconds > 0 else f"in {words}"
    return "just now"


def named(text: str) -> str:
    """Return a message that begins with a system's key with the system's name instead."""
    key, colon, rest = text.partition(":")
    return f"{names().get(key, key)}{colon}{rest}"


def query(**parameters: Any) -> str:
    """Return a query string of the parameters that are set, with its question mark."""
    kept = {name: value for name, value in parameters.items() if value not in (None, "", False)}
    return f"?{urlencode(kept)}" if kept else "?"


_TEMPLATES = Environment(
    loader=PackageLoader("psflow_airflow.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(money=money, utc=utc, ago=ago, named=named)
_TEMPLATES.globals.update(query=query)


def page(request: Request, template: str, status_code: int = 200, **shown: Any) -> HTMLResponse:
    """Render a template; `base` is where the app is mounted, `airflow` where Airflow is."""
    base = str(request.scope.get("root_path", ""))
    text = _TEMPLATES.get_template(template).render(
        base=base, airflow=base.removesuffix("/psflow"), now=dt.datetime.now(dt.UTC),
        sees=getattr(request.state, "sees", None), **shown,
    )  # fmt: skip
    return HTMLResponse(text, status_code)

"""What is not billed, by reason and age, down to the entry."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from psflow.store import unbilled
from psflow_airflow.pages.access import Reading, Text
from psflow_airflow.pages.render import page

router = APIRouter()


@router.get("/unbilled")
def waiting(request: Request, read: Reading, reason: Text = None, age: Text = None, project: Text = None) -> Response:
    """Show reason by age, and the entries that fit."""
    store, _, sight = read
    asked = {"reason": reason or None, "age": age or None, "project": project or None}
    found = unbilled.matrix(store, sight)
    cells = {(row["reason"], row["age"]): row for row in found}
    return page(
        request, "unbilled.html", asked=asked, cells=cells, reasons=list(dict.fromkeys(row["reason"] for row in found)),
        ages=unbilled.AGES, rows=unbilled.entries(store, sight, **asked),
    )  # fmt: skip

"""
All checks of the pages in a real browser, on the demo's stack, in the order in which they are made.

Each is named by its docstring and returns what it saw in a few words, or raises Unlike with what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from psflow.sandbox.airflow import Airflow
from psflow.sandbox.browser import billing, pages, people
from psflow.sandbox.browser.window import Unlike, Visit, visit

CHECKS: tuple[Callable[[Visit], str], ...] = (
    people.nobody,
    pages.clean,
    pages.narrow,
    pages.keyboard,
    pages.engagement_numbers,
    pages.blocked,
    pages.trace,
    people.petra_works,
    pages.team_numbers,
    people.viewer,
    people.hostile,
    people.inside,
    people.finance,
    billing.waiting_plan,
    billing.unbilled,
    billing.explained,
    billing.closed,
    people.no_outside_host,
)


def check(airflow: Airflow, shots: Path, waiting: str, say: Callable[[bool, str], None]) -> str:
    """
    Make every check and return `n of n`; `say` hears of each whether it holds and what was seen.

    Screenshots go to `shots`; `waiting` is the billing run that nobody approves.
    """
    from playwright.sync_api import Error

    held = 0
    with visit(airflow, shots, waiting) as seen:
        for of in CHECKS:
            try:
                said, holds = of(seen), True
            except (Unlike, Error) as error:
                said, holds = " ".join(str(error).split())[:500], False
            held += holds
            say(holds, f"{of.__doc__} {said}")
    return f"{held} of {len(CHECKS)}"

"""
The time gate with every failing key: Great Expectations as psflow runs it, beside the same checks as plain SQL.

`python -m bench.gate psflow URL LOAD` and `… sql URL LOAD` are the measured processes.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from typing import LiteralString

import psycopg

from bench.measure import arguments, say
from psflow.gates.suite import ExpectationGate

# what a person forgets or mistypes: no approval, no project, no role, too many hours
PLANT = """
update core.time_entry set
    is_approved = case when time_entry_id::bigint % 41 = 0 then null else is_approved end,
    project_code = case when time_entry_id::bigint % 31 = 0 then null else project_code end,
    billed_role = case when time_entry_id::bigint % 29 = 0 then null else billed_role end,
    minutes = case when time_entry_id::bigint % 37 = 0 then 6000 else minutes end
where 0 in (time_entry_id::bigint % 41, time_entry_id::bigint % 31, time_entry_id::bigint % 29,
            time_entry_id::bigint % 37)
"""
_CHECKS: tuple[LiteralString, ...] = (
    "select count(*)::text from core.time_entry_gate",
    "select time_entry_id, purpose from core.time_entry_gate where purpose is null",
    "select time_entry_id, project_code from core.time_entry_gate where purpose = 'to bill' and project_code is null",
    "select time_entry_id, resource_id from core.time_entry_gate where purpose = 'to bill' and resource_id is null",
    "select time_entry_id, billed_role from core.time_entry_gate where purpose = 'to bill' and billed_role is null",
    "select time_entry_id, worked_on from core.time_entry_gate where purpose = 'to bill' and worked_on is null",
    "select time_entry_id, minutes from core.time_entry_gate where purpose = 'to bill' and minutes is null",
    "select time_entry_id, minutes from core.time_entry_gate "
    "where purpose = 'to bill' and minutes not between -1440 and 1440",
)


def plain(url: str, load_id: str) -> None:
    """Ask each check for its failing rows."""
    began = time.perf_counter()
    with psycopg.connect(url) as db:
        db.execute("select set_config('psflow.batch_id', %s, false)", (load_id,))
        _, *failing = [db.execute(check).fetchall() for check in _CHECKS]
    keys = [row[0] for rows in failing for row in rows]
    _tell(began, keys)


def psflow(url: str, load_id: str) -> None:
    """Run the suite, after import."""
    import_began = time.perf_counter()
    import great_expectations  # noqa: F401

    began = time.perf_counter()
    verdict = ExpectationGate(url).run("time_expense/time_entry", load_id)
    named = sum(len(check.rows) for check in verdict.results)
    _tell(began, [row.key for row in verdict.failing], import_s=began - import_began, named=named)


def _tell(began: float, keys: Iterable[str], **more: object) -> None:
    seconds, keys = time.perf_counter() - began, sorted(keys)
    say(seconds=seconds, keys=len(keys), digest=hashlib.sha256("\n".join(keys).encode()).hexdigest(), **more)


if __name__ == "__main__":
    which, *given = arguments()
    {"psflow": psflow, "sql": plain}[which](*given)

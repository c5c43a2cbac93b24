"""
Entries to charges to invoice lines: psflow's billing, beside the fastest plain SQL found for a simpler set of rules.

`python -m bench.billing psflow URL` and `… baseline URL FILE` are the measured processes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from bench.ground import REGION, ROOT
from bench.masters import ENTITY
from bench.measure import arguments, say
from psflow import config as policy
from psflow.contracts import Period
from psflow.flows.billing_difference import report_left_out, stage_difference
from psflow.store.connection import Store, sql

PERIOD = Period(name="2026-12")


# per entry, what both engines charge where their rules are the same
_DIFFERENT = """
with ours as (select time_entry_id::bigint as entry_id, sum(amount) as billed from billing.counted_charge
              where time_entry_id is not null group by 1),
theirs as (select entry_id, billed from out.billing_entry where contract_type in ('TM', 'TM_CAP') and billed <> 0)
select (select count(*) from theirs) as compared,
       count(*) filter (where coalesce(ours.billed, 0) <> coalesce(theirs.billed, 0)) as different
from ours full join theirs using (entry_id)
"""

# per project, since an hour that is corrected leaves its place under a cap to those after it
_REBUILT = """
with ours as (select substr(project_code, 2)::integer as project_id, sum(amount) as billed from billing.counted_charge
              where time_entry_id is not null group by 1),
theirs as (select project_id, sum(billed) as billed from out.billing_entry
           where contract_type in ('TM', 'TM_CAP') group by 1)
select count(*) filter (where coalesce(ours.billed, 0) <> coalesce(theirs.billed, 0))
from ours full join theirs using (project_id)
"""


class Steps(dict[str, float]):
    """Seconds by step."""

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self[step] = round(time.perf_counter() - began, 3)


def psflow(url: str) -> None:
    """Bill the year's difference and post the batch; a batch before it becomes stale."""
    config, steps = policy.load(ROOT / "psflow.yaml"), Steps()
    entity = config.legal_entity(ENTITY).model_copy(update={"billing_starts_on": None})
    with Store.open(url, REGION) as store:
        with store.transaction("bench.difference"):
            with steps.timed("difference"):
                stage_difference(store, entity, PERIOD.end, skips_settled=True)
            with steps.timed("left out"):
                report_left_out(store, config, ENTITY, PERIOD.end)
            with steps.timed("freeze"):
                found = store.row(sql("warehouse.billing", "freeze"), entity=ENTITY, period=PERIOD.name, on=PERIOD.end)
        batch = str((found or {})["batch_id"])
        for step in ("invoices", "invoice_lines", "invoice_taxes", "charges"):
            with store.transaction("bench.release"), steps.timed(step):
                store.run(sql("warehouse.billing", step), batch=batch)
        with store.transaction("bench.posted"):
            store.run("update billing.batch set state = 'posted' where batch_id = %(batch)s", batch=batch)
    say(seconds=sum(steps.values()), steps=steps, batch=batch)


def baseline(url: str, file: str) -> None:
    """Run the plain SQL as it is."""
    text: Any = Path(file).read_text()
    with psycopg.connect(url, options="-c jit=off") as db:
        began = time.perf_counter()
        db.execute(text)
        db.commit()
        say(seconds=time.perf_counter() - began)


def compare(url: str) -> tuple[int, int]:
    """Return how many entries were compared and how many differ."""
    with psycopg.connect(url) as db:
        compared, different = db.execute(_DIFFERENT).fetchone() or (0, -1)
        return compared, different


def rebuilt(url: str) -> int:
    """Return how many projects a full rebuild would bill otherwise than the ledger that grew."""
    with psycopg.connect(url) as db:
        row = db.execute(_REBUILT).fetchone()
        return int(row[0]) if row else -1


if __name__ == "__main__":
    which, *given = arguments()
    if which == "psflow":
        psflow(*given)
    else:
        baseline(*given)

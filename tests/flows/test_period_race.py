"""A month is closed while invoices are posted: each invoice is wholly before the close, or not there at all."""

from __future__ import annotations

import multiprocessing
import random
import time
from typing import Any

import psycopg

from psflow.contracts import Period
from psflow.errors import GateFailed, TransientError
from psflow.flows import period
from psflow.store.connection import Store
from tests.database import REGION, shipped
from tests.flows.conftest import ENTITY, Firm

ROUNDS = 60
MONTHS = [Period(name=f"{1990 + n // 12}-{n % 12 + 1:02}") for n in range(ROUNDS)]


def poster(url: str, project: str, seed: int, meet: Any, took: Any) -> None:
    """Release and post one invoice a month, each in two transactions, as billing does."""
    luck = random.Random(seed)
    with Store.open(url, REGION) as store:
        for month in MONTHS:
            meet.wait(20)
            time.sleep(luck.random() * 1.5 * took.value)
            try:
                with store.transaction("race.release"):
                    _release(store, month, project)
                    time.sleep(luck.random() * 0.01)
            except psycopg.errors.CheckViolation as refused:
                assert refused.diag.constraint_name == "period_lock", refused
                continue
            time.sleep(luck.random() * 0.01)
            with store.transaction("race.posted"):
                store.run(
                    "update ops.effect set state = 'done', external_id = '1', settled_at = clock_timestamp() "
                    "where effect_key = %(month)s",
                    month=month.name,
                )
                store.run("update billing.batch set state = 'posted' where batch_id = %(month)s", month=month.name)


def _release(store: Store, month: Period, project: str) -> None:
    of = {
        "key": month.name,
        "month": month.name,
        "entity": ENTITY,
        "project": project,
        "on": month.end,
        "region": REGION,
    }
    for statement in (
        "insert into billing.batch values (%(key)s, %(entity)s, %(month)s, 1, %(on)s, 'released')",
        "insert into billing.batch_line (batch_id, charge_id, kind, time_entry_id, version, project_code, worked_on, "
        "role, minutes, hourly_rate, amount, currency) "
        "values (%(key)s, %(key)s, 'charge', %(key)s, 1, %(project)s, %(on)s, 'r', 60, 1, 1, 'USD')",
        "insert into billing.invoice values (%(key)s, %(key)s, %(project)s, %(entity)s, 'USD', %(on)s, 1)",
        "insert into ops.effect (effect_key, system, capability, batch_id, region, payload, payload_hash) "
        "values (%(key)s, 'tryton', 'draft_invoice', %(key)s, %(region)s, '{}', '')",
    ):
        store.run(statement, **of)  # type: ignore[arg-type]


def closer(url: str, seed: int, meet: Any, took: Any) -> None:
    """Close one month after the other, each as soon as nothing of it is open."""
    luck, rules = random.Random(seed), shipped()
    with Store.open(url, REGION) as store:
        for month in MONTHS:
            meet.wait(20)
            time.sleep(luck.random() * 0.01)
            began = time.monotonic()
            while not _closed(store, rules, month):
                began = time.monotonic()
            took.value = time.monotonic() - began  # so that the next invoice comes somewhere in a close


def _closed(store: Store, rules: Any, month: Period) -> bool:
    try:
        number = period.prepare(store, rules, ENTITY, month, "race")
        shown = period.find(store, number)["content_hash"]
        period.sign(
            store, rules, number, airflow_user="frank", approved=True, content_hash=shown, reason="raced", run_id="race"
        )
    except (GateFailed, TransientError):
        return False
    return True


def test_an_invoice_is_wholly_in_its_month_however_the_close_meets_it(firm: Firm, admin_url: str, app_url: str) -> None:
    firm.start()
    project = firm.store.value("select project_code from core.project")
    with psycopg.connect(admin_url, autocommit=True) as owner:  # its approvals are another test's
        owner.execute("alter table billing.invoice disable trigger user")
        owner.execute("alter table billing.invoice enable trigger guard_period")
        months = ",".join(f"('{ENTITY}', '{month.name}')" for month in MONTHS)
        owner.execute(f"insert into core.period (legal_entity_id, period) values {months}")  # type: ignore[arg-type]
    process = multiprocessing.get_context("spawn")
    meet, took, seed = process.Barrier(2), process.Value("d", 0.05), random.randrange(10**6)
    both = [
        process.Process(target=poster, args=(app_url, project, seed, meet, took)),
        process.Process(target=closer, args=(app_url, seed + 1, meet, took)),
    ]
    for each in both:
        each.start()
    for each in both:
        each.join(300)
    assert [each.exitcode for each in both] == [0, 0], f"seed {seed}"
    rows = firm.store.rows(
        "select period.period, period.state, invoice_key, effect.state as effect, settled_at < closed_at as is_before "
        "from core.period left join billing.invoice on invoice_key = period "
        "left join ops.effect on effect_key = period where period < '2026'"
    )
    assert len(rows) == ROUNDS and {row["state"] for row in rows} == {"closed"}
    posted = [row for row in rows if row["invoice_key"]]
    assert all(row["effect"] == "done" and row["is_before"] for row in posted), f"seed {seed}"
    assert ROUNDS // 20 < len(posted) < ROUNDS - ROUNDS // 20, (
        f"{len(posted)} of {ROUNDS}: they did not meet; seed {seed}"
    )

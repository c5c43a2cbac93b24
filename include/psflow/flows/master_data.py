"""Customers, people and rate cards as they are in `core`: what is wrong becomes an exception and stops no reading."""

from __future__ import annotations

from psflow.config import Config
from psflow.flows.gate import judge
from psflow.gates.suite import Gate, Verdict, load
from psflow.store import exceptions, gate_runs
from psflow.store.connection import Store

SUITES = ("master_data/customer", "master_data/resource", "master_data/rate_card")


def check(store: Store, config: Config, gate: Gate) -> dict[str, int]:
    """
    Let the gates look at all master data; return how many records of each entity are wrong.

    An entity that has no record yet is left out. Raises GateFailed without a verdict to trust.
    """
    return {
        suite: _check(store, config, gate, suite, content) for suite in SUITES if (content := _content(store, suite))
    }


def _check(store: Store, config: Config, gate: Gate, suite: str, content: str) -> int:
    batch_id, entity = f"core.{content[:12]}", suite.rpartition("/")[2]
    verdict = judge(store, gate, suite, batch_id, lambda: _content(store, suite))
    wrong = sorted({row.key for row in verdict.failing})
    with store.transaction("master_data.verdict"):
        gate_runs.record(
            store, suite, batch_id, content, verdict.rows, len(wrong), verdict.checks, verdict.failing, verdict.results
        )
        exceptions.open_all(store, config, _findings(entity, verdict))
        exceptions.resolve_others(store, "master_data", entity, wrong)
    return len(wrong)


def _findings(entity: str, verdict: Verdict) -> list[exceptions.Finding]:
    return [
        exceptions.Finding("master_data", entity, row.key, row.field, row.value, f"{row.rule}: {row.says}")
        for row in verdict.failing
    ]


def _content(store: Store, suite: str) -> str | None:
    found: str | None = store.value("select ops.content_hash(%(table)s::regclass)", table=load(suite)["meta"]["table"])
    return found

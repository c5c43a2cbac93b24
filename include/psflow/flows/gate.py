"""One gate on one frozen batch: no verdict, no way on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from psflow.errors import GateFailed
from psflow.gates import report
from psflow.gates.suite import Gate, Verdict
from psflow.store import gate_runs
from psflow.store.connection import Store

_LOG = logging.getLogger("psflow.gates")


def judge(store: Store, gate: Gate, suite: str, batch_id: str, content: Callable[[], str | None]) -> Verdict:
    """
    Return the verdict on a batch whose hash (`content`) is the same before and after, and print it as a test run.

    Raises GateFailed, and records it, when the gate stops the batch, crashes, sees nothing, or the batch changed.
    """
    before, verdict = content(), None
    try:
        verdict = gate.run(suite, batch_id)
        for line in report.lines(suite, batch_id, before, verdict):
            _LOG.info(line)
        if content() != before:
            raise GateFailed(f"{suite}: batch {batch_id} changed while the gate looked")
        if verdict.stopped:
            raise GateFailed(f"{suite} stops {batch_id}: {'; '.join(verdict.stopped)}")
    except Exception as error:  # a gate that cannot say yes says no
        with store.transaction("gate.failed"):
            why = f"{type(error).__name__}: {error}"[:2000]
            gate_runs.record_failure(store, suite, batch_id, why, before, verdict.results if verdict else ())
        raise (
            error if isinstance(error, GateFailed) else GateFailed(f"{suite} on {batch_id} crashed: {error}")
        ) from error
    return verdict

"""One gate on one frozen batch: no verdict, no way on."""

from __future__ import annotations

from collections.abc import Callable

from psflow.errors import GateFailed
from psflow.gates.suite import Gate, Verdict
from psflow.store import gate_runs
from psflow.store.connection import Store


def judge(store: Store, gate: Gate, suite: str, batch_id: str, content: Callable[[], str | None]) -> Verdict:
    """
    Return the verdict on a batch whose hash (`content`) is the same before and after.

    Raises GateFailed, and records it, when the gate fails, crashes, sees nothing, or the batch changed meanwhile.
    """
    before = content()
    try:
        verdict = gate.run(suite, batch_id)
        if content() != before:
            raise GateFailed(f"{suite}: batch {batch_id} changed while the gate looked")
    except Exception as error:  # a gate that cannot say yes says no
        with store.transaction("gate.failed"):
            gate_runs.record_failure(store, suite, batch_id, f"{type(error).__name__}: {error}"[:2000])
        raise (
            error if isinstance(error, GateFailed) else GateFailed(f"{suite} on {batch_id} crashed: {error}")
        ) from error
    return verdict

"""A run that ended by an error nobody is told of needs a person: the run alone is on nobody's work list."""

from __future__ import annotations

from psflow.config import Config
from psflow.errors import PsflowError
from psflow.rules.activation import GATES
from psflow.store import exceptions
from psflow.store.connection import Store, sql


def activation_failed(
    store: Store, config: Config, engagement_id: str, epoch: int, step: str, error: BaseException
) -> None:
    """
    Open an exception for a step of an activation that failed for good, unless a gate or an effect of it has one open.

    It closes when the deal is active. Only our own errors are repeated, since another's text may hold anything.
    """
    told = {"engagement_id": engagement_id, "rules": [*GATES, "activation", "effect"]}
    said = str(error).split("\n")[0] if isinstance(error, PsflowError) else f"{type(error).__name__}, see its log"
    with store.transaction("activation.failed"):
        if not store.value(sql("warehouse.activation", "is_told"), **told):
            name, message = f"{engagement_id}.{epoch}", f"{step} ended: {said}"
            finding = exceptions.Finding("effect", "activation", name, step, None, message, engagement_id)
            exceptions.open_all(store, config, [finding])

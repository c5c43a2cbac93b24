"""Which company of ours signs an engagement and invoices a batch? The books of that one are written, no others."""

from __future__ import annotations

from psflow.config import Config
from psflow.contracts import LegalEntity
from psflow.errors import NeedsReview
from psflow.store.connection import Store


def of_engagement(store: Store, config: Config, engagement_id: str) -> LegalEntity:
    """Return the company that signed. Raises NeedsReview before the gates passed."""
    query = "select legal_entity_id from core.contract where engagement_id = %(id)s"
    return _known(config, store.value(query, id=engagement_id), f"{engagement_id} has no contract; its gates")


def of_batch(store: Store, config: Config, batch_id: str) -> LegalEntity:
    """Return the company that invoices. Raises NeedsReview for a batch that nobody froze."""
    query = "select legal_entity_id from billing.batch where batch_id = %(id)s"
    return _known(config, store.value(query, id=batch_id), f"batch {batch_id!r} is unknown; its freeze")


def _known(config: Config, legal_entity_id: str | None, missing: str) -> LegalEntity:
    if legal_entity_id is None:
        raise NeedsReview(f"{missing} must pass first")
    return config.legal_entity(legal_entity_id)

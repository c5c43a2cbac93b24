"""Open effects for adapter tests; in the product `store.effects.claim` alone makes them."""

from __future__ import annotations

import time
from typing import Any

from psflow.contracts import OpenEffect


def open_effect(**overrides: Any) -> OpenEffect:
    """Return an effect that may be sent for a minute from now."""
    fields: dict[str, Any] = {
        "key": "kantata:create_project:E-1:1",
        "system": "kantata",
        "capability": "create_project",
        "engagement_id": "E-1",
        "payload": {},
        "fence": 1,
        "send_before": time.monotonic() + 60,
    }
    return OpenEffect(**(fields | overrides))

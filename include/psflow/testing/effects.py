"""Open effects for the tests of an adapter; in the product `store.effects.claim` alone makes them."""

from __future__ import annotations

import time
from typing import Any

from psflow.contracts import OpenEffect


def open_effect(system: str, capability: str, payload: dict[str, Any], key: str = "", **more: Any) -> OpenEffect:
    """Return an effect that may be sent for a minute from now; `more` sets its other fields."""
    usual: dict[str, Any] = {"engagement_id": "E-1", "fence": 1, "send_before": time.monotonic() + 60}
    key = key or f"{system}:{capability}:E-1.1"
    return OpenEffect(key=key, system=system, capability=capability, payload=payload, **(usual | more))

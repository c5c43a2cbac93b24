"""Open effects for the tests of adapters, Kantata's `create_project` unless told otherwise."""

from __future__ import annotations

from typing import Any

from psflow import testing
from psflow.contracts import OpenEffect


def open_effect(**overrides: Any) -> OpenEffect:
    """Return an effect that may be sent for a minute from now."""
    usual = {"key": "kantata:create_project:E-1:1", "system": "kantata", "capability": "create_project", "payload": {}}
    return testing.open_effect(**(usual | overrides))

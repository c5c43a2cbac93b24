"""The vendors' sandboxes over HTTP, as the tests of the adapters run them."""

from __future__ import annotations

from tests.systems.conftest import (
    _stopped_at_the_end,
    bamboohr_sandbox,
    float_sandbox,
    kantata_sandbox,
    salesforce_sandbox,
    serve,
)

__all__ = [
    "_stopped_at_the_end", "bamboohr_sandbox", "float_sandbox", "kantata_sandbox", "salesforce_sandbox", "serve",
]  # fmt: skip

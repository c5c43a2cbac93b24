"""Named crash points for the two chokepoints (commit, vendor call). One comparison when not under test."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

_AT = os.environ.get("PSFLOW_CRASH_AT")


def _die(name: str) -> None:
    """Kill this very process with SIGKILL at the point that `PSFLOW_CRASH_AT` names: no finally, no rollback."""
    if name == _AT:
        os.kill(os.getpid(), signal.SIGKILL)


watch: Callable[[str], None] | None = _die if _AT is not None else None


def point(name: str) -> None:
    """Tell whoever watches that this point is reached; nobody does outside tests."""
    if watch is not None:
        watch(name)

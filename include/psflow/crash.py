"""Named crash points for the two chokepoints (commit, vendor call). One comparison when not under test."""

from __future__ import annotations

import os
import signal

_AT = os.environ.get("PSFLOW_CRASH_AT")


def point(name: str) -> None:
    """Kill this very process with SIGKILL when `PSFLOW_CRASH_AT` names this point: no finally, no rollback."""
    if _AT is not None and name == _AT:
        os.kill(os.getpid(), signal.SIGKILL)

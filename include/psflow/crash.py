"""Named crash points for the two chokepoints (commit, vendor call). One comparison when not under test."""

from __future__ import annotations

import os
import signal

_AT = os.environ.get("PSFLOW_CRASH_AT")
_ONCE = os.environ.get("PSFLOW_CRASH_ONCE")  # a file: the process that makes it dies, and no other


def point(name: str) -> None:
    """Kill this very process with SIGKILL when `PSFLOW_CRASH_AT` names this point: no finally, no rollback."""
    if _AT is not None and name == _AT and (_ONCE is None or _made(_ONCE)):
        os.kill(os.getpid(), signal.SIGKILL)


def _made(marker: str) -> bool:
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True

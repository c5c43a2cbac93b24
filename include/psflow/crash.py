"""Named crash points for the two chokepoints (commit, vendor call). One comparison when not under test."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

_AT = os.environ.get("PSFLOW_CRASH_AT")
_ONCE = os.environ.get("PSFLOW_CRASH_ONCE")  # a file: the process that makes it dies, and no other


def _die(name: str) -> None:
    """Kill this very process with SIGKILL at the point that `PSFLOW_CRASH_AT` names: no finally, no rollback."""
    if name == _AT and (_ONCE is None or _made(_ONCE)):
        os.kill(os.getpid(), signal.SIGKILL)


def _made(marker: str) -> bool:
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        return False
    return True


watch: Callable[[str], None] | None = _die if _AT is not None else None


def point(name: str) -> None:
    """Tell whoever watches that this point is reached; nobody does outside tests."""
    if watch is not None:
        watch(name)

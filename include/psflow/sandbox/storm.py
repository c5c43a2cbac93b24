"""
Processes that are killed while the story goes on, and started again as a machine's service manager would.

One task dies between the ERP's answer to a posting and the note of it; scheduler, api-server and Postgres get SIGKILL
some seconds into a step. Postgres holds the ERP's and Airflow's databases, too: what ends with it is started again.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Self

import psutil

from psflow.errors import ConfigurationError, PsflowError
from psflow.sandbox.postgres import Postgres

if TYPE_CHECKING:
    from psflow.sandbox.stack import Stack

KILLS = {  # step of the story -> what dies, and how many seconds into it
    "activation": ("scheduler", 15.0),
    "time_expense": ("api-server", 8.0),
    "billing 2026-10": ("postgres", 35.0),
}
POINT = "tryton.post_invoice:answered"
_PATIENCE_S = 180
_LOOK_S = 1.0


class Storm:
    """What is killed in one demo: `killed` says how often each was. Raises ConfigurationError on a foreign Postgres."""

    def __init__(self, stack: Stack) -> None:
        if not isinstance(stack.postgres, Postgres):
            raise ConfigurationError(
                "FAULTS=storm kills Postgres, and yours is not its to kill: unset PSFLOW_DATABASE_URL"
            )
        self.stack = stack
        self._dead = dict.fromkeys(("scheduler", "api-server", "postgres"), 0)
        self._marker = stack.state / "demo" / "task_killed"
        self._marker.parent.mkdir(parents=True, exist_ok=True)
        self._marker.unlink(missing_ok=True)
        os.environ |= {"PSFLOW_CRASH_AT": POINT, "PSFLOW_CRASH_ONCE": str(self._marker)}  # Airflow's tasks inherit it
        stack.airflow.patience_s = _PATIENCE_S
        self._over = threading.Event()
        self._manager = threading.Thread(target=self._keep_up, daemon=True)

    @property
    def killed(self) -> dict[str, int]:
        """Part -> how often it was killed; `task` is the process of a task in the middle of posting."""
        return {"task": int(self._marker.exists())} | self._dead

    def __enter__(self) -> Self:
        self._manager.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._manager.join()

    @contextmanager
    def during(self, step: str) -> Iterator[None]:
        """Kill what is to die in this step, if it lasts long enough."""
        part, after_s = KILLS.get(step, ("", 0.0))
        timer = threading.Timer(after_s, self._kill, [part])
        if part:
            timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _kill(self, part: str) -> None:
        pid = self.stack.postgres.pid if part == "postgres" else self.stack.airflow.components().get(part)
        if pid:
            process = psutil.Process(pid)
            os.kill(pid, signal.SIGKILL)
            process.wait(timeout=10)
            self._dead[part] += 1

    def _keep_up(self) -> None:
        while not self._over.wait(_LOOK_S):
            with suppress(PsflowError):  # not yet: the dead one's children still hold what it needs; looked at again
                if not self.stack.postgres.running:
                    self.stack.postgres.start()
                else:
                    self.stack.airflow.revive()

"""
The points at which a worker may die, named by the two chokepoints, and the death itself.

`<transaction>:before-commit`, `:after-commit`; `<system>.<capability>:before-call`, `:sent`, `:answered`; and
`<task>:ended`, after a task's last word and before anybody knows of it. Each is one step of the run, counted over all
its workers.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

from urllib3.connection import HTTPConnection

from psflow import crash
from tests.crash.clock import Board

Steps = dict[int, float]  # step -> share of the late landing after which what was sent is applied; 0 at once
POSTGRES_DIES = -1.0  # in its place: not the worker dies at this step, but the database under it


@dataclass
class Plan:
    """Die at these steps of the run, or stop (SIGSTOP) at one; `trail` is a file that gets a line for each step."""

    board: Board
    trail: IO[str]
    kills: Steps = field(default_factory=dict)
    stop: int = 0
    postgres: int | None = None

    def install(self) -> None:
        """Watch this process from now on."""
        sending = list[str]()
        answer = HTTPConnection.getresponse

        def getresponse(connection: HTTPConnection) -> Any:
            if sending:
                self._reached(f"{sending.pop()}:sent")
            return answer(connection)

        def reached(name: str) -> None:
            self._reached(name)
            if name.endswith(":before-call"):
                sending[:] = [name.removesuffix(":before-call")]

        crash.watch = reached
        HTTPConnection.getresponse = getresponse  # type: ignore[method-assign]

    def _reached(self, name: str) -> None:
        step = self.board.step()
        self.board.advance(0.001 if self.board.virtual else 0)
        self.trail.write(f"{step} {name}\n")
        self.trail.flush()
        if name.endswith(":before-call") and (late := self.kills.get(step + 1, 0)) > 0:
            self.board.hold_s = late  # the next step is `:sent`, and what it sent lies before the vendor for a while
        if step == self.stop:
            os.kill(os.getpid(), signal.SIGSTOP)
        if step in self.kills:
            victim = self.postgres if self.kills[step] == POSTGRES_DIES else os.getpid()
            assert victim, "nobody may kill this Postgres"
            os.kill(victim, signal.SIGKILL)


def killed_at(point: str, work: Callable[[], object]) -> None:
    """Run `work` in a process that kills itself at the first such point, and make sure that it did."""
    child = os.fork()
    if child == 0:
        crash.watch = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == point else None
        try:
            work()
        finally:
            os._exit(3)  # the point was never reached
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"{point} was never reached"

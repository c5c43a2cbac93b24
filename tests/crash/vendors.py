"""
The firm's vendors in one process that outlives every worker: Salesforce's, Kantata's and Float's sandboxes, and books.

A worker that died in the middle of a request changes nothing for the vendor: what it sent is applied, at once or late.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from multiprocessing.connection import Connection
from typing import Any

from tests.crash.clock import Board
from tests.crash.world import VENDORS, World


class Vendors:
    """The handle of the process: everything its people and its weather do, and what it holds."""

    def __init__(self, board: Board) -> None:
        listeners = {vendor: socket.create_server(("127.0.0.1", 0)) for vendor in VENDORS}
        self.urls = {v: f"http://127.0.0.1:{s.getsockname()[1]}" for v, s in listeners.items()}
        self._line, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self.process = context.Process(target=_main, args=(board, listeners, theirs), daemon=True)
        self.process.start()
        theirs.close()
        for listener in listeners.values():
            listener.close()  # or a child would keep the port open

    def ask(self, what: str, *given: Any) -> Any:
        """Call a method of `World` over there. Raises RuntimeError with its error."""
        self._line.send((what, given))
        ok, answer = self._line.recv()
        if not ok:
            raise RuntimeError(f"vendors: {what}: {answer}")
        return answer

    def close(self) -> None:
        """End the process."""
        self._line.close()
        self.process.join(5)


def _main(board: Board, listeners: dict[str, socket.socket], line: Connection) -> None:
    asyncio.run(World(board, line).serve(listeners))

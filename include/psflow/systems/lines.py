"""The connections of one transport: cut at a deadline, and whether a failed call ever had one."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from weakref import WeakSet

from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError


class Lines(HTTPAdapter):
    """
    Connections that are cut at a deadline, whatever they wait for.

    A socket's own time-out begins anew with every byte: a vendor that trickles its head would outlive it.
    """

    def __init__(self) -> None:
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self._ends, self._is_calling = 0.0, False
        self._turn = threading.Condition()
        self._watcher: threading.Thread | None = None
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = self._pools()
        return manager

    def _pools(self) -> dict[str, Any]:
        """Return urllib3's pools whose connections tell us of themselves, and send nothing past the deadline."""
        lines = self

        def told(pool: Any) -> Any:
            class Connection(pool.ConnectionCls):  # type: ignore[misc]
                def connect(self) -> None:
                    super().connect()
                    lines._sockets.add(self.sock)  # not asked for later: a connection forgets it before its answer ends
                    if time.monotonic() > lines._ends:
                        raise ConnectTimeoutError(self, "no connection within the deadline")

            return type(pool.__name__, (pool,), {"ConnectionCls": Connection})

        return {"http": told(HTTPConnectionPool), "https": told(HTTPSConnectionPool)}

    @contextmanager
    def cut_after(self, seconds: float) -> Iterator[float]:
        """Let the block end by then; yield when that is, on this process's monotonic clock."""
        with self._turn:
            before, self._ends, self._is_calling = self._ends, time.monotonic() + seconds, True
            if self._ends < before:
                self._turn.notify()
            if not (self._watcher and self._watcher.is_alive()):
                self._watcher = threading.Thread(target=self._watch, daemon=True)
                self._watcher.start()
        try:
            yield self._ends
        finally:
            self._is_calling = False

    def _watch(self) -> None:
        """Cut at the deadline. One thread serves all calls in a row: to start one costs more than a page."""
        with self._turn:
            while (left := self._ends - time.monotonic()) > 0:  # also between calls: the next is mostly near
                self._turn.wait(left)
            self._watcher = None
            if self._is_calling:
                self._cut()

    def _cut(self) -> None:
        for line in list(self._sockets):
            with suppress(OSError):  # closed already
                socket.socket.shutdown(line, socket.SHUT_RDWR)  # TLS's own would first talk with the other end


def never_connected(error: BaseException) -> bool:
    """Walk the causes: urllib3 wraps a refused connection as NewConnectionError, everything later may have sent."""
    seen: BaseException | None = error
    while seen is not None:
        if type(seen).__name__ in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError"):
            return True
        inner = seen.args[0] if seen.args and isinstance(seen.args[0], BaseException) else None
        reason = getattr(inner or seen, "reason", None)
        seen = reason if isinstance(reason, BaseException) else inner or seen.__cause__
    return False

"""Benches side by side, each in a process of its own, over one Postgres server."""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psflow.sandbox.postgres import Postgres
from tests.crash.run import Bench

FORK = multiprocessing.get_context("fork")


@contextmanager
def memory() -> Iterator[Path]:
    """Yield a folder in memory that Postgres may read; it is gone afterwards."""
    fast = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="psflow-crash-", dir=fast if fast.is_dir() else None) as name:
        Path(name).chmod(0o755)  # Postgres may run as another user
        yield Path(name)


@contextmanager
def server() -> Iterator[tuple[Postgres, Path]]:
    """Yield a Postgres and a folder in memory; both are gone afterwards."""
    with memory() as folder:
        postgres = Postgres(folder / "postgres", durable=False)
        postgres.start()
        try:
            yield postgres, folder
        finally:
            postgres.remove()


@dataclass
class Pool:
    """Processes that take jobs (a function of a bench and what it is given) and hand back what came of them."""

    postgres: Postgres
    folder: Path
    size: int = 2
    virtual: bool = True
    _jobs: Any = field(default_factory=FORK.SimpleQueue)
    _done: Any = field(default_factory=FORK.SimpleQueue)
    _workers: list[Any] = field(default_factory=list)

    def __enter__(self) -> Pool:
        for number in range(self.size):
            worker = FORK.Process(target=self._serve, args=(f"bench{number}_{'v' if self.virtual else 'w'}",))
            worker.start()
            self._workers.append(worker)
        return self

    def __exit__(self, *_: object) -> None:
        for _worker in self._workers:
            self._jobs.put(None)
        for worker in self._workers:
            worker.join(20)

    def map(self, work: Callable[[Bench, Any], Any], given: Iterable[Any]) -> Iterator[Any]:
        """Yield what came of each, as they end. Raises RuntimeError when the harness itself is broken."""
        under_way = 0
        for each in given:
            self._jobs.put((work, each))
            under_way += 1
            if under_way > 2 * self.size:
                under_way -= 1
                yield self._taken()
        for _ in range(under_way):
            yield self._taken()

    def _taken(self) -> Any:
        ok, came = self._done.get()
        if not ok:
            raise RuntimeError(came)
        return came

    def _serve(self, name: str) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        bench = Bench(self.postgres, self.folder, name, self.virtual)
        try:
            while job := self._jobs.get():
                work, given = job
                try:
                    self._done.put((True, work(bench, given)))
                except Exception:
                    self._done.put((False, f"{given}: {traceback.format_exc()}"))
        finally:
            bench.close()

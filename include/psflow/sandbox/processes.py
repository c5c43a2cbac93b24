"""
What every service of the local stack needs: a free port, a secret kept in a 0600 file, and an end that is an end.

A pid alone names nobody for long, so a process is found by its pid and a marker in its command line or environment.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import psutil

from psflow.errors import ConfigurationError

COMPONENT = "PSFLOW_COMPONENT"  # in the environment of what a stack starts: which part of it this is


def free_port(wanted: int | None = None) -> int:
    """
    Return `wanted` if nobody listens there, else a free port on 127.0.0.1.

    Taken from below the range that systems give to outgoing connections: one of those could sit on it at a restart.
    """
    candidates = [wanted] if wanted else []
    candidates += random.sample(range(20000, 32000), 200)
    for port in (*candidates, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
            except OSError:
                continue
    raise ConfigurationError("no port is free on 127.0.0.1; end some program that listens and try again")


def keep(path: Path, value: Any) -> None:
    """Write JSON that only its owner reads, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(value, file, indent=1)
    draft.replace(path)


def kept(path: Path, make: Callable[[], Any] = dict) -> Any:
    """Return what `keep` wrote, or what `make` returns, then kept."""
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        value = make()
        keep(path, value)
        return value


def last_line(log: Path) -> str:
    """Return the last line that says something, for an error message."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] if log.exists() else []
    return lines[-1].strip()[:300] if lines else "(empty)"


def tail(logs: dict[str, Path], lines: int, *, follow: bool) -> Iterator[tuple[str, str]]:
    """Yield (name, line): the last `lines` of each log, then, with `follow`, what is added, until interrupted."""
    with ExitStack() as stack:
        files = {name: stack.enter_context(path.open(errors="replace")) for name, path in logs.items()}
        for name, file in files.items():
            yield from ((name, line.rstrip("\n")) for line in deque(file, lines))
        while follow:
            added = [(name, line.rstrip("\n")) for name, file in files.items() for line in file]
            yield from added
            if not added:
                time.sleep(0.3)


def find(pid: int | None, marker: str) -> psutil.Process | None:
    """Return the process of this pid if its command line holds `marker`; a zombie or a stranger is None."""
    try:
        process = psutil.Process(pid) if pid else None
        if process is None or process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process if marker in " ".join(process.cmdline()) else None
    except psutil.Error:
        return None


def marked(name: str, value: str, component: str | None = None) -> list[psutil.Process]:
    """
    Return the processes that have `name=value` in their environment, which everything they start inherits.

    With `component`, only those of this part.
    """
    found = []
    for process in psutil.process_iter():
        try:
            have = process.environ()
            ours = have.get(name) == value and component in (None, have.get(COMPONENT))
            if ours and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return [p for p in found if p.pid != os.getpid()]


def leaders(name: str, value: str) -> dict[str, int]:
    """Return component -> pid of the marked processes that lead a session and say by COMPONENT what they are."""
    found = {}
    for process in marked(name, value):
        with suppress(psutil.Error, ProcessLookupError):
            part = process.environ().get(COMPONENT)
            if part and os.getsid(process.pid) == process.pid:
                found[part] = process.pid
    return found


def end(processes: list[psutil.Process], how: signal.Signals = signal.SIGTERM, wait_s: float = 20) -> None:
    """Signal the processes, wait for them, and kill what is left after `wait_s` seconds."""
    for process in processes:
        _send(process, how)
    until = time.monotonic() + wait_s
    while (left := [p for p in processes if not _ended(p)]) and time.monotonic() < until:
        time.sleep(0.05)
    for process in left:
        _send(process, signal.SIGKILL)
    psutil.wait_procs(left, timeout=5)


def _send(process: psutil.Process, how: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(how)


def _ended(process: psutil.Process) -> bool:
    with suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)  # our own child: reap it, or it stays a zombie
    try:
        # a zombie whose other threads still die holds its files, and its port, a moment longer
        return not process.is_running() or (process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1)
    except psutil.NoSuchProcess:
        return True

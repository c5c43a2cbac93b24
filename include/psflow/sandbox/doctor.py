"""What `psflow doctor` looks at: machine, installation, configuration, then the stack. Nothing is changed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import psutil

from psflow import config
from psflow.errors import PsflowError
from psflow.sandbox.processes import free_port
from psflow.sandbox.stack import Stack, project_root, state_folder

DISK_MB, MEMORY_MB = 1000, 2000
UP = "psflow up"


class Finding(NamedTuple):
    """One check: what was found, and what to do when it is not `ok`."""

    check: str
    ok: bool
    found: str
    hint: str = ""


def examine() -> list[Finding]:
    """Return every finding. A check that cannot be made is a finding that failed, never an error."""
    checks: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("python", _python),
        ("installation", _installation),
        ("disk", _disk),
        ("memory", _memory),
        ("psflow.yaml", _configuration),
        ("stack", _stack),
    ]
    return [finding for name, check in checks for finding in _safely(name, check)]


def _safely(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return check()
    except PsflowError as error:
        return [Finding(name, False, str(error), "do what the message says, then psflow doctor again")]
    except Exception as error:  # whatever is broken is what the doctor was called for
        return [Finding(name, False, f"{type(error).__name__}: {error}", "psflow logs shows more")]


def _python() -> list[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    return [Finding("python", (3, 11) <= sys.version_info[:2] <= (3, 14), version, "use Python 3.11 to 3.14")]


def _installation() -> list[Finding]:
    bootstrap = _bootstrap(project_root() / "scripts" / "bootstrap.py")
    if bootstrap is None:
        return [Finding("installation", True, "installed without the project's own .venv")]
    wanted = bootstrap.wanted_stamp(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))
    fits = bootstrap.read(bootstrap.STAMP) == wanted
    found = ".venv fits requirements.lock" if fits else ".venv was not made from this requirements.lock and Python"
    return [Finding("installation", fits, found, "make test, or any other make command, makes it again")]


def _bootstrap(path: Path) -> ModuleType | None:
    spec = importlib.util.spec_from_file_location("bootstrap", path) if path.exists() else None
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _disk() -> list[Finding]:
    folder = state_folder(project_root())
    there = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(there).free // 1_000_000
    room = f"the stack needs {DISK_MB} MB there: make room, or set PSFLOW_STATE_DIR"
    mine = "set PSFLOW_STATE_DIR to a folder of yours"
    return [
        Finding("disk", free >= DISK_MB, f"{free} MB free at {there}", room),
        Finding("state folder", os.access(there, os.W_OK), str(folder), mine),
    ]


def _memory() -> list[Finding]:
    free = psutil.virtual_memory().available // 1_000_000
    ok = free >= MEMORY_MB or bool(Stack().airflow.components())  # a running stack has taken its part already
    return [Finding("memory", ok, f"{free} MB available", f"the stack needs {MEMORY_MB} MB: end other programs")]


def _configuration() -> list[Finding]:
    found = config.load()
    return [Finding("psflow.yaml", True, f"{config.default_path()}: {len(found.people)} people, region {found.region}")]


def _stack() -> list[Finding]:
    stack = Stack()
    rows = stack.status()
    findings = [Finding(name, row["healthy"], _say(row), UP) for name, row in rows.items()]
    findings += _ports(stack, rows["salesforce"]["running"])
    if rows["postgres"]["running"]:
        findings += _migrations(stack)
    if rows["airflow"]["healthy"]:
        findings += _airflow(stack)
    return findings


def _say(row: dict[str, object]) -> str:
    if not row["running"]:
        return "down"
    return f"{'answers' if row['healthy'] else 'does not answer'} at {row['url']}"


def _ports(stack: Stack, ours: bool) -> list[Finding]:
    taken = {} if ours else {n: p for n, p in stack.vendors.ports.items() if free_port(p) != p}
    found = ", ".join(f"{port} ({name}) is another program's" for name, port in taken.items()) or "free or ours"
    hint = f"end that program, or delete {stack.vendors.state_dir / 'vendors.json'} to get new ports"
    return [Finding("ports", not taken, found, hint)]


def _migrations(stack: Stack) -> list[Finding]:
    from psflow.warehouse import migrate

    missing = migrate.pending(stack.database_url("psflow"))
    found = f"lacks {', '.join(missing)}" if missing else "up to date"
    return [Finding("migrations", not missing, found, "psflow migrate")]


def _airflow(stack: Stack) -> list[Finding]:
    api = stack.airflow.api()
    broken = [error["filename"] for error in api.import_errors()]
    known = {connection["connection_id"] for connection in api.connections()}
    missing = sorted({f"psflow_{name}" for name in ("db", *config.load().systems)} - known)
    imports = f"do not import: {broken}" if broken else "all import"
    found = f"missing: {missing}" if missing else "all there"
    return [
        Finding("dags", not broken, imports, "psflow logs dag-processor, or Airflow's own page of import errors"),
        Finding("connections", not missing, found, "make demo sets them up; else add them in Airflow under Admin"),
    ]

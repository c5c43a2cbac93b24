"""
Tryton's own virtual environment, made once from its own lock.

Tryton is GPL: it lives apart, is run as a program and spoken to over HTTP, and is never imported here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from psflow.errors import ConfigurationError
from psflow.sandbox.processes import last_line

LOCK = Path(__file__).with_name("tryton_requirements.lock")


def python(cache: Path) -> Path:
    """Return the interpreter of the environment that belongs to this lock and this Python."""
    major, minor = sys.version_info[:2]
    return cache / f"venv-{digest(LOCK)}-{major}.{minor}" / "bin" / "python"


def ensure(cache: Path, environ: dict[str, str]) -> None:
    """Make the environment unless it is there whole. Raises ConfigurationError naming the log."""
    venv, log = python(cache).parents[1], cache / "environment.log"
    stamp = venv / "whole"
    if stamp.exists():
        return
    shutil.rmtree(venv, ignore_errors=True)
    if uv := _uv(cache):
        environ = {"UV_CACHE_DIR": str(cache / "uv-cache")} | environ  # same disk: files are linked, not copied
        make = [uv, "venv", "-q", "--no-python-downloads", "--python", sys.executable]
        install = [uv, "pip", "install", "-q", "--python", python(cache)]
    else:
        make = [sys.executable, "-m", "venv"]
        install = [python(cache), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-cache-dir"]
    run("make Tryton's environment", [*make, venv], log, environ)
    run("install Tryton", [*install, "--require-hashes", "-r", LOCK], log, environ)
    stamp.touch()


def run(what: str, command: list[Any], log: Path, environ: dict[str, str]) -> None:
    """Run a program to its end. Raises ConfigurationError naming the log when it fails."""
    with log.open("ab") as file:
        done = subprocess.run(
            [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=file, stderr=file, cwd=log.parent,
            check=False, env=environ,
        )  # fmt: skip
    if done.returncode:
        raise ConfigurationError(f"could not {what}; see {log}; its last line: {last_line(log)}")


def digest(*files: Path) -> str:
    """Return a name for what these files say."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _uv(cache: Path) -> str | None:
    """Return the uv that the bootstrap fetched into a folder above, else the machine's own, else None."""
    near = [place / "uv" / "bin" / "uv" for place in cache.parents]
    return next((str(path) for path in near if os.access(path, os.X_OK)), shutil.which("uv"))

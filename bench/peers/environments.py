"""Environments of the peers, made once with uv and kept: nothing of theirs is installed into psflow's own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = {
    "dlt": ("dlt[postgres]==1.31.0", "pyarrow", "adbc-driver-postgresql", "adbc-driver-manager", "msgspec", "requests"),
    "dbt": ("dbt-core==1.11.16", "dbt-postgres==1.11.0"),
}


def python(peer: str, folder: Path, uv: Path) -> Path:
    """Return the interpreter of a peer's environment, made unless it is there whole. Raises CalledProcessError."""
    wanted = "\n".join((sys.version, *PACKAGES[peer]))
    place = folder / f"{peer}-{hashlib.sha256(wanted.encode()).hexdigest()[:8]}"
    interpreter, whole = place / "bin" / "python", place / "whole"
    if not whole.exists():
        shutil.rmtree(place, ignore_errors=True)
        environ = {"UV_CACHE_DIR": str(uv.parents[2] / "uv-cache")} | os.environ
        make = [uv, "venv", "-q", "--no-python-downloads", "--python", sys.executable, place]
        install = [uv, "pip", "install", "-q", "--python", interpreter, *PACKAGES[peer]]
        for command in (make, install):
            subprocess.run([str(word) for word in command], env=environ, check=True)
        whole.touch()
    return interpreter

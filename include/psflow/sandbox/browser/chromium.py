"""Where the system's Chromium is. No browser is downloaded: as root on Debian its package is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from psflow.errors import ConfigurationError

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_APPLICATIONS = ("Chromium.app/Contents/MacOS/Chromium", "Google Chrome.app/Contents/MacOS/Google Chrome")
_INSTALL = "apt-get install -y --no-install-recommends chromium"


def chromium() -> str:
    """Return the path of Chromium. Raises ConfigurationError with the command that installs what is missing."""
    if find_spec("playwright") is None:
        raise ConfigurationError("playwright is not installed, it drives the browser: pip install 'psflow[browser]'")
    found = _found()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
        found = _found()
    if found is None:
        raise ConfigurationError(
            f"there is no Chromium: install it (Debian: sudo {_INSTALL}; macOS: brew install --cask chromium) and "
            "run the same again"
        )
    return found


def _found() -> str | None:
    installed = (str(Path("/Applications") / name) for name in _APPLICATIONS)
    paths = (*map(shutil.which, _NAMES), *filter(os.path.exists, installed))
    return next((path for path in paths if path), None)


def _install() -> None:
    for command in ("apt-get update -qq", f"{_INSTALL} -qq"):
        done = subprocess.run(
            command.split(), env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, stdout=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        if done.returncode:
            raise ConfigurationError(f"{command} failed, the reason is above; install Chromium and run the same again")

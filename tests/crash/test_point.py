"""Where a process is to die, one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path


def test_of_all_who_come_to_a_point_one_dies_when_one_is_to_die(tmp_path: Path) -> None:
    script = "from psflow import crash; crash.point('here')"
    settings = {"PSFLOW_CRASH_AT": "here", "PSFLOW_CRASH_ONCE": str(tmp_path / "dead")}
    ends = [
        subprocess.run([sys.executable, "-c", script], env=os.environ | settings, check=False).returncode
        for _ in range(3)
    ]
    assert ends == [-signal.SIGKILL, 0, 0]

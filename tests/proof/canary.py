"""
Planted secrets, runs that go well and that fail, and a search of everything that was written.

`python -m tests.proof.canary` runs `tests/airflow/test_canary.py`, which has the control too, and repeats its line.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys

import pytest

from tests.proof import report


def main() -> int:
    kept = report.state() / "proof" / "canary.json"
    kept.unlink(missing_ok=True)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = pytest.main(
            ["-q", "-x", "-m", "proof or not proof", str(report.REPOSITORY / "tests/airflow/test_canary.py")]
        )
    if code or not kept.exists():
        print(said.getvalue(), file=sys.stderr)
        return report.close("canary", {"ended": int(code)}, ok=False)
    found = json.loads(kept.read_text(encoding="utf-8"))
    return report.close("canary", {k: v for k, v in found.items() if k not in ("command", "at", "ok")}, found["ok"])


if __name__ == "__main__":
    raise SystemExit(main())

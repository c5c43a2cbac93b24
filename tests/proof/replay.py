"""Recorded ledgers under the code of today: `make replay`; `RECORD=1` writes down scenarios without a ledger."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.proof import report


class _Count:
    """What the tests say about the ledgers they replayed."""

    def __init__(self) -> None:
        self.figures = Counter[str]()

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count one test."""
        if report.when != "call":
            return
        told = dict(report.user_properties)
        self.figures["ledgers" if told or "recorded_ledger" in report.nodeid else "planted"] += 1
        self.figures["effects"] += told.get("effects", 0)
        self.figures["failed"] += report.failed


def main() -> int:
    """Replay every ledger and return the proof's exit code."""
    count = _Count()
    code = pytest.main(["-q", "--no-header", str(Path(__file__).with_name("test_replay.py"))], plugins=[count])
    figures = {name: count.figures[name] for name in ("ledgers", "effects", "planted", "failed")}
    return report.close("replay", figures, code == 0)


if __name__ == "__main__":
    raise SystemExit(main())

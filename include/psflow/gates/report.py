"""A verdict as a test run prints it: a line a check, then the counters. No values, since a log has no personal data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from psflow.gates.suite import Check, Verdict

_MARK = {"ok": "ok", "held": "held", "noted": "note", "failed": "FAIL"}


def lines(suite: str, batch_id: str, content_hash: str | None, verdict: Verdict) -> Iterator[str]:
    """Yield the verdict on one batch, line by line."""
    yield f"gate {suite} on {batch_id} ({(content_hash or 'no content')[:12]})"
    yield from map(_line, verdict.results)
    outcomes = Counter(check.outcome for check in verdict.results)
    held = len({row.key for row in verdict.failing})
    yield (
        f"{verdict.checks} checks: {outcomes['ok']} ok, {outcomes['held']} held, {outcomes['noted']} noted, "
        f"{outcomes['failed']} failed; {verdict.rows} rows, {held} held"
    )
    yield from (f"STOP {reason}" for reason in verdict.stopped)


def _line(check: Check) -> str:
    about = f"{check.field}: " if check.field else ""
    rows = f" ({len(check.rows)} rows)" if check.rows else ""
    return f"  {_MARK[check.outcome]:<4}  {check.rule}  {about}{check.says}{rows}"

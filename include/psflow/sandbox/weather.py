"""
Which faults a vendor's sandbox can make, and a plan of them that is the same for the same seed.

A fault waits for a *match*: `read` or `write` for any request of that kind, else how `METHOD /path` begins.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import NamedTuple

FAULTS = {
    "throttle": "refused before anything is done, each vendor's own way",
    "error_before": "a 5xx, and nothing was done",
    "error_after": "done, and then a 5xx",
    "timeout_after_commit": "done, and the answer does not come in time",
    "late_landing": "the caller's time runs out, and then it is done",
    "slow_index": "done, and then a 5xx; a search does not show it yet",
    "expired_token": "the token the caller came with is dead",
    "partial_success": "of a batch the last record fails",
}
NAMES = {name: name for name in FAULTS} | {"e503_before": "error_before", "e500_after": "error_after"}
BEFORE = {"throttle": 429, "error_before": 503, "expired_token": 401}  # fault -> status; the vendor finds its words
AFTER = {"error_after": 500, "slow_index": 500, "timeout_after_commit": 503}
_GAP = {
    "read": (3, 9),
    "write": (0, 2),
}  # requests that go through between two faults; a read starts again from page one


class Armed(NamedTuple):
    """One fault to come: `skip` requests that match go through before it."""

    match: str
    fault: str
    skip: int


def usual(writes: bool) -> dict[str, tuple[str, ...]]:
    """Return fault -> where it may strike, of a vendor who says nothing else."""
    both: tuple[str, ...] = ("read", "write") if writes else ("read",)
    lost = ("error_after", "timeout_after_commit", "late_landing") if writes else ()
    return {"throttle": both, "error_before": both} | dict.fromkeys(lost, both[1:])


def plan(where: Mapping[str, tuple[str, ...]], seed: str, each: int) -> list[Armed]:
    """Return every fault `each` times, dealt over the places where it may strike, in an order that the seed decides."""
    dice = random.Random(seed)
    dealt: dict[str, list[str]] = {}
    for fault in sorted(where):
        for n in range(each):
            dealt.setdefault(where[fault][n % len(where[fault])], []).append(fault)
    armed = []
    for match in sorted(dealt):
        dice.shuffle(dealt[match])
        armed += [Armed(match, fault, dice.randint(*_GAP.get(match, (0, 1)))) for fault in dealt[match]]
    return armed

"""
Which faults a vendor's sandbox can make, and plans of them that are the same for the same seed.

A fault waits for a *match*: `read` or `write` for any request of that kind, else how `METHOD /path` begins.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
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
_REFUSED = ("throttle", "error_before")
AFTER = {"error_after": 500, "slow_index": 500, "timeout_after_commit": 503}
EACH = 3  # how often at the least every fault strikes that a vendor can make
PLANS = {"weather": 0, "storm": 6}  # name -> refusals in a row: more than a read is tried, so that its task fails, too
_GAP = {"read": (1, 5), "write": (0, 1)}  # requests that go through between two faults
_SIGNED_IN = (1, 2)  # … after a dead token: one that dies at once says that the login is refused


class Armed(NamedTuple):
    """One fault to come: `skip` requests that match go through before it, then it strikes `times` in a row."""

    match: str
    fault: str
    skip: int
    times: int = 1


def usual(writes: bool) -> dict[str, tuple[str, ...]]:
    """Return fault -> where it may strike, of a vendor who says nothing else."""
    both: tuple[str, ...] = ("read", "write") if writes else ("read",)
    lost = ("error_after", "timeout_after_commit", "late_landing") if writes else ()
    return {"throttle": both, "error_before": both} | dict.fromkeys(lost, both[1:])


def plan(where: Mapping[str, tuple[str, ...]], seed: str, each: int = EACH, burst: int = 0) -> list[Armed]:
    """
    Return every fault `each` times, dealt over the places where it may strike, in an order that the seed decides.

    With `burst`, reads are also refused that often in a row, once in each way; writes half as often, for each may cost
    its effect an attempt.
    """
    dice = random.Random(seed)
    dealt: dict[str, list[tuple[str, int]]] = {}
    for fault in sorted(where):
        for n in range(each):
            dealt.setdefault(where[fault][n % len(where[fault])], []).append((fault, 1))
        for match in where[fault] if burst and fault in _REFUSED else ():
            dealt[match].append((fault, burst if match == "read" else burst // 2))
    armed = []
    for match in sorted(dealt):
        dice.shuffle(dealt[match])
        armed += [Armed(match, fault, dice.randint(*_gap(match, fault)), times) for fault, times in dealt[match]]
    return armed


def _gap(match: str, fault: str) -> tuple[int, int]:
    return _SIGNED_IN if fault == "expired_token" else _GAP.get(match, (0, 1))


def count(armed: Iterable[Armed]) -> dict[str, int]:
    """Return fault -> how often it is to strike."""
    found = Counter[str]()
    for each in armed:
        found[each.fault] += each.times
    return dict(found)


def short(planned: Mapping[str, Iterable[str]], struck: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return the faults that struck a vendor less than EACH times, of those planned for it."""
    counts = {(vendor, fault): struck[vendor].get(fault, 0) for vendor in planned for fault in planned[vendor]}
    return [f"{vendor} {fault}: {n} of {EACH}" for (vendor, fault), n in sorted(counts.items()) if n < EACH]

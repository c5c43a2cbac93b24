"""
How an audit row is sealed: a MAC over the row and the MAC before it, with a key the database never sees.

The process seals what it said itself, so neither the database's owner nor a trigger of theirs can put a row in, take
one out or change one unseen. Only the end of the chain could be cut off; each commit therefore leaves its head in a
file outside the database, the anchor.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from psflow.errors import ConfigurationError

KEY, ANCHOR = "PSFLOW_AUDIT_KEY", "PSFLOW_AUDIT_ANCHOR"
_SHORTEST = 32
Detail = Mapping[str, str | int | list[str] | None]  # no float: its text may change on the way through jsonb


class Entry(NamedTuple):
    """What somebody did, not yet sealed. Without an actor it is the database role of the session."""

    action: str
    subject: str
    actor: str | None
    detail: Detail


class Head(NamedTuple):
    """The end of a chain: its last row's number, which counts them, and that row's MAC."""

    audit_id: int
    mac: str


@dataclass(frozen=True, slots=True)
class Seal:
    """
    A key and the file its heads are anchored in; without a file the heads are anchored by `psflow audit anchor` alone.

    Raises ConfigurationError when the key is shorter than 32 characters.
    """

    key: str = field(repr=False)
    anchor: Path | None = None

    def __post_init__(self) -> None:
        if len(self.key) < _SHORTEST:
            raise ConfigurationError(
                f"the audit's key has {len(self.key)} characters; give connection psflow_audit (or {KEY}) a random "
                f"one of at least {_SHORTEST}"
            )

    @classmethod
    def of_environment(cls) -> Self | None:
        """Return the seal that the environment names, None without a key."""
        key, anchor = os.environ.get(KEY), os.environ.get(ANCHOR)
        return cls(key, Path(anchor) if anchor else None) if key else None

    def mac(self, before: str, audit_id: int, at: str, actor: str, action: str, subject: str, detail: Any) -> str:
        """Return the MAC of a row after the one of MAC `before`; `at` is seconds since 1970, as Postgres says them."""
        said = json.dumps([before, audit_id, at, actor, action, subject, detail], sort_keys=True, separators=(",", ":"))
        return hmac.new(self.key.encode(), said.encode(), hashlib.sha256).hexdigest()

    def keep(self, head: Head) -> None:
        """Append a head to the anchor, if there is one."""
        if self.anchor:
            append(self.anchor, head)


def append(anchor: Path, head: Head) -> None:
    """Append a head to an anchor file: one write, so that processes may do it at once."""
    anchor.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(anchor, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        os.write(file, f"{head.audit_id} {head.mac}\n".encode())
    finally:
        os.close(file)


def anchored(anchor: Path) -> list[Head]:
    """Return the heads of an anchor file, shortest chain first. Raises ConfigurationError on a line that is none."""
    if not anchor.exists():
        return []
    lines = anchor.read_text(encoding="ascii", errors="replace").splitlines()
    heads = [parts for line in lines if (parts := line.split())]
    for parts in heads:
        if len(parts) != 2 or not parts[0].isdigit() or len(parts[1]) != 64:
            raise ConfigurationError(f"{anchor}: {' '.join(parts)[:40]!r} is no head of an audit; was it edited?")
    return sorted({Head(int(number), mac) for number, mac in heads})

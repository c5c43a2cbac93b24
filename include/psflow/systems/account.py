"""
What a transport asks before a call and tells after it: may this account be called, and how did it take it.

The account is one login at one vendor, shared by all processes. Its keeper is the store (`store.accounts`), which the
hooks connect; without one a transport asks nobody.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal, Protocol

News = Literal["answered", "failed", "throttled", "refused"]
Sign = tuple[int, str]  # a status, and a word its body must hold; '' for any body


class Account(Protocol):
    """Who keeps a vendor account's rate budget and circuit breaker."""

    def admit(self, patience_s: float, *, is_write: bool) -> None:
        """Return once a call may go. Raises TransientError when it may not within `patience_s`: nothing is sent."""
        ...

    def note(self, news: News, reason: str = "", wait_s: float | None = None) -> None:
        """Say what a call met: failed is the vendor's trouble, refused our credentials'; `wait_s` is its wish."""
        ...

    def signing_in(self) -> AbstractContextManager[None]:
        """Hold the account's lock, so that one process at a time signs in. Raises TransientError."""
        ...


@dataclass(frozen=True, slots=True)
class Signs:
    """
    Which answers of a vendor speak of the account and not of the one request; `throttled` goes first.

    A 503 that says when to come back is throttling everywhere. A vendor whose token dies by itself has no 401 here:
    only one after a fresh sign-in is a refusal.
    """

    throttled: tuple[Sign, ...] = ((429, ""),)
    refused: tuple[Sign, ...] = ((401, ""), (403, ""))


class Nobody:
    """Keeps nothing: every call may go."""

    def admit(self, patience_s: float, *, is_write: bool) -> None:
        """Let it go."""

    def note(self, news: News, reason: str = "", wait_s: float | None = None) -> None:
        """Forget it."""

    def signing_in(self) -> AbstractContextManager[None]:
        """Lock nothing."""
        return nullcontext()

"""What every write to another system must hold: an open effect, sent within its vendor's profile."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from psflow.contracts.values import Record
from psflow.errors import TransientError, UncertainOutcome

Capability = Literal[
    "create_customer", "create_project", "close_project", "activate_contract", "update_opportunity",
    "request_resource", "close_request", "assign_resource", "release_resource", "update_milestone",
    "post_time", "void_time", "draft_invoice", "post_invoice", "cancel_invoice", "revenue_status",
]  # fmt: skip
Stream = Literal[
    "customer", "opportunity", "project", "task", "milestone", "resource", "employment", "absence", "work_pattern",
    "cost_rate", "rate_card", "assignment", "time_entry", "expense_entry", "fx_rate", "invoice",
]  # fmt: skip


Lookup = Literal["unique_external_id", "idempotency_key", "search", "none"]


class VendorProfile(Record):
    """
    How one vendor behaves around a write; it chooses the look-up and bounds the lease. Seconds throughout.

    `lookup` says how a lost write is named again: by an external id that is unique there (a repeated write is refused
    or changes nothing), by an idempotency key that the vendor remembers for `key_lifetime_s`, by a search for our
    reference, or not at all. Which answers prove what became of a write is beside each client (`transport.Proof`).

    Raises ValueError when the lease would not outlast the longest life of a request (a third of the lease to send, then
    deadline + late landing + search lag), and for settings that contradict each other.
    """

    lookup: Lookup = Field(description="how a lost write is found again")
    key_lifetime_s: float | None = Field(default=None, gt=0, description="how long the vendor remembers a key")
    deadline_s: float = Field(gt=0, description="total time one request may take")
    late_landing_s: float = Field(ge=0, description="how long after the deadline the vendor may still apply it")
    search_lag_s: float = Field(ge=0, description="how long a new record stays invisible to search")
    lease_s: float = Field(gt=0, description="how long a claimed effect belongs to its worker")
    writes_per_request: int = Field(default=1, ge=1, le=200, description="how many writes one request may carry")
    max_attempts: int = Field(default=8, ge=1)
    calls: int | None = Field(default=None, ge=4, description="how many calls an account may make in per_s; none: any")
    per_s: float = Field(default=60, gt=0, description="the window of `calls`; no window ever sees more")
    write_counts: int = Field(default=1, ge=1, le=4, description="how many calls a write counts as")
    pause_s: float = Field(default=5, gt=0, description="rest of a throttled account if the vendor says none; doubles")
    probe_s: float = Field(default=30, gt=0, description="how long an open breaker waits before a call tries; doubles")

    @model_validator(mode="after")
    def _lease_outlasts_the_request(self) -> VendorProfile:
        longest = self.lease_s / 3 + self.deadline_s + self.late_landing_s + self.search_lag_s
        if self.lease_s <= longest:
            raise ValueError(
                f"lease_s {self.lease_s:g} must be longer than lease/3 + deadline + late landing + search lag "
                f"= {longest:g}; raise lease_s above {1.5 * (longest - self.lease_s / 3):g}"
            )
        return self

    @model_validator(mode="after")
    def _a_key_has_a_lifetime(self) -> VendorProfile:
        if self.lookup != "idempotency_key":
            if self.key_lifetime_s is not None:
                raise ValueError(
                    f"key_lifetime_s {self.key_lifetime_s:g} belongs to lookup: idempotency_key, not {self.lookup}; "
                    "drop one"
                )
            return self
        if self.key_lifetime_s is None:
            raise ValueError("lookup: idempotency_key needs key_lifetime_s: how long the vendor remembers a key")
        if self.key_lifetime_s <= 2 * self.lease_s:
            raise ValueError(
                f"key_lifetime_s {self.key_lifetime_s:g} ends before the first retry may rely on it (half of it, "
                f"after a lease of {self.lease_s:g}); use lookup: search, or a lease below {self.key_lifetime_s / 2:g}"
            )
        return self

    @property
    def request_limit(self) -> int:
        """How many requests a third of the lease can send at the slowest, at least 1."""
        return max(1, int(self.lease_s / 3 / self.deadline_s))

    @property
    def batch_limit(self) -> int:
        """How many effects one claim may take: what a third of the lease can send, at most 100."""
        return min(100, self.request_limit * self.writes_per_request)


@dataclass(frozen=True, slots=True)
class OpenEffect:
    """
    A claimed effect: the only ticket with which an adapter may write.

    Made by `store.effects.claim` alone (a test looks for other makers). `send_before` is on this process's
    monotonic clock and lies a third of the lease after the claim.
    """

    key: str
    system: str
    capability: str
    engagement_id: str | None
    payload: dict[str, Any]
    fence: int
    send_before: float

    def permit(self, system: str) -> None:
        """Raise unless this effect may be sent to `system` now; TransientError when it is too late for this claim."""
        if system != self.system:
            raise UncertainOutcome(f"effect {self.key} is for {self.system}, not for {system}; nothing was sent")
        if time.monotonic() > self.send_before:
            raise TransientError(f"effect {self.key} is older than a third of its lease; nothing was sent")

"""What every write to another system must hold: an open effect, sent within its vendor's profile."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field, model_validator

from psflow.contracts.values import Record
from psflow.errors import UncertainOutcome

Capability = Literal[
    "create_customer", "create_project", "close_project", "activate_contract", "update_opportunity",
    "request_resource", "close_request", "assign_resource", "release_resource", "update_milestone",
    "draft_invoice", "post_invoice", "cancel_invoice", "revenue_status",
]  # fmt: skip
Stream = Literal[
    "customer", "opportunity", "project", "task", "milestone", "resource", "absence", "work_pattern", "cost_rate",
    "rate_card", "assignment", "time_entry", "expense_entry", "fx_rate", "invoice",
]  # fmt: skip


class VendorProfile(Record):
    """
    How one vendor behaves around a write; it chooses the look-up and bounds the lease. Seconds throughout.

    Raises ValueError when the lease would not outlast the longest life of a request
    (a third of the lease to send, then deadline + late landing + search lag).
    """

    lookup: Literal["unique_external_id", "search"] = Field(description="how a lost write is found again")
    deadline_s: float = Field(gt=0, description="total time one request may take")
    late_landing_s: float = Field(ge=0, description="how long after the deadline the vendor may still apply it")
    search_lag_s: float = Field(ge=0, description="how long a new record stays invisible to search")
    lease_s: float = Field(gt=0, description="how long a claimed effect belongs to its worker")
    max_attempts: int = Field(default=8, ge=1)

    @model_validator(mode="after")
    def _lease_outlasts_the_request(self) -> VendorProfile:
        longest = self.lease_s / 3 + self.deadline_s + self.late_landing_s + self.search_lag_s
        if self.lease_s <= longest:
            raise ValueError(
                f"lease_s {self.lease_s:g} must be longer than lease/3 + deadline + late landing + search lag "
                f"= {longest:g}; raise lease_s above {1.5 * (longest - self.lease_s / 3):g}"
            )
        return self

    @property
    def batch_limit(self) -> int:
        """How many effects one claim may take: what a third of the lease can send at the slowest, at most 100."""
        return max(1, min(100, int(self.lease_s / 3 / self.deadline_s)))


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
        """Raise unless this effect may be sent to `system` now."""
        if system != self.system:
            raise UncertainOutcome(f"effect {self.key} is for {self.system}, not for {system}; nothing was sent")
        if time.monotonic() > self.send_before:
            raise UncertainOutcome(f"effect {self.key} is older than a third of its lease; nothing was sent")

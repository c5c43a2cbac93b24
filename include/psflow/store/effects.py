"""
Writes to other systems, durable before they are sent.

register (in the deciding transaction) → claim (intent, with lease and fence) → the call → settle. A claimed effect
whose process died stays an intent; once its lease is over it is claimed again as *uncertain* and looked up first.
Source of the protocol: docs/decisions.md, "Effects".
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from psflow.contracts import OpenEffect, VendorProfile
from psflow.errors import NeedsReview
from psflow.store.connection import Row, Store

Outcome = Literal["done", "refused", "not_applied", "unknown", "dead"]


@dataclass(frozen=True, slots=True)
class NewEffect:
    """A write that was decided. The key is the business name of the write and never changes with its content."""

    system: str
    capability: str
    subject: str
    payload: dict[str, Any]
    engagement_id: str | None = None
    batch_id: str | None = None

    @property
    def key(self) -> str:
        """`system:capability:subject`."""
        return f"{self.system}:{self.capability}:{self.subject}"


@dataclass(frozen=True, slots=True)
class Claimed:
    """
    A ticket to write. `uncertain`: an earlier call may have landed, look first. `attempts` counts this one.

    `last_error` is how the call before ended.
    """

    effect: OpenEffect
    uncertain: bool
    attempts: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Result:
    """How one call ended."""

    effect: OpenEffect
    outcome: Outcome
    external_id: str | None = None
    error: str | None = None
    retry_after_s: float | None = None


def payload_hash(payload: dict[str, Any]) -> str:
    """Return the SHA-256 of a payload, keys sorted."""
    return hashlib.sha256(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def register(store: Store, effects: Iterable[NewEffect]) -> list[str]:
    """
    Write effects down in the caller's transaction and return their keys; one that is there already stays as it is.

    One that was refused never landed, and takes what is decided now, to be released anew. Raises NeedsReview when any
    other is there with another payload: that would be a second truth under one name.
    """
    rows: list[dict[str, Any]] = [
        {
            "key": e.key,
            "system": e.system,
            "capability": e.capability,
            "engagement": e.engagement_id,
            "batch": e.batch_id,
            "payload": json.dumps(e.payload),
            "hash": payload_hash(e.payload),
        }
        for e in effects
    ]
    store.run_many(_REDECIDE, rows)
    store.run_many(_REGISTER, rows)
    keys = [row["key"] for row in rows]
    wanted = {row["key"]: row["hash"] for row in rows}
    for found in store.rows(
        "select effect_key, payload_hash from ops.effect where effect_key = any(%(keys)s)", keys=keys
    ):
        if found["payload_hash"] != wanted[found["effect_key"]]:
            raise NeedsReview(f"effect {found['effect_key']} was registered with another payload; nothing was changed")
    return keys


_REDECIDE = """
with old as (
    select effect_key, payload_hash from ops.effect
    where effect_key = %(key)s and state = 'refused' and payload_hash <> %(hash)s for update
), redecided as (
    update ops.effect set payload = %(payload)s::jsonb, payload_hash = %(hash)s, released_by = null, released_at = null
    from old
    where effect.effect_key = old.effect_key
    returning effect.effect_key, old.payload_hash as was, effect.payload_hash as is_now
)
insert into ops.audit (actor, action, subject, detail)
select current_user, 'effect.redecided', effect_key, jsonb_build_object('was', was, 'is', is_now) from redecided
"""
_REGISTER = """
insert into ops.effect (effect_key, system, capability, engagement_id, batch_id, region, payload, payload_hash)
select %(key)s, %(system)s, %(capability)s, %(engagement)s, %(batch)s, region, %(payload)s::jsonb, %(hash)s
from ops.deployment
on conflict (effect_key) do nothing
"""


def reopen(store: Store, keys: Sequence[str]) -> int:
    """
    Give refused and dead effects another try, in the caller's transaction; returns how many.

    A person did something about the cause: they cleared the task. What was refused never landed and is sent again;
    what was given up may have landed and is looked up first.
    """
    return store.run(
        "update ops.effect set state = case state when 'dead' then 'intent' else 'pending' end, attempts = 0, "
        "lease_until = case state when 'dead' then clock_timestamp() end, next_try_at = clock_timestamp(), "
        "settled_at = null where effect_key = any(%(keys)s) and state in ('refused', 'dead')",
        keys=list(keys),
    )


def claim(store: Store, profile: VendorProfile, keys: Sequence[str]) -> list[Claimed]:
    """
    Take effects that are due, at most as many as a third of the lease can send, and commit.

    Concurrent workers never take the same one. Returns [] when nothing is due now.
    """
    asked_at = time.monotonic()  # before the database's clock starts the lease: the ticket ends early, never late
    with store.transaction("effect.intent"):
        found = store.rows(_CLAIM, keys=list(keys), lease_s=profile.lease_s, limit=profile.batch_limit)
    return [_claimed(row, asked_at + profile.lease_s / 3) for row in found]


_CLAIM = """
with due as (
    select effect_key, state from ops.effect
    where effect_key = any(%(keys)s)
      and ((state = 'pending' and next_try_at <= clock_timestamp())
           or (state = 'intent' and lease_until < clock_timestamp()))
    order by registered_at, effect_key
    limit %(limit)s
    for update skip locked
)
update ops.effect effect
set state = 'intent', attempts = attempts + 1, fence = fence + 1,
    lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s)
from due
where effect.effect_key = due.effect_key
returning effect.*, due.state = 'intent' as uncertain
"""


def _claimed(row: Row, send_before: float) -> Claimed:
    effect = OpenEffect(
        key=row["effect_key"],
        system=row["system"],
        capability=row["capability"],
        engagement_id=row["engagement_id"],
        payload=row["payload"],
        fence=row["fence"],
        send_before=send_before,
    )
    return Claimed(effect, row["uncertain"], row["attempts"], row["last_error"])


def settle(store: Store, results: Sequence[Result]) -> list[Result]:
    """
    Write down how calls ended, with their audit rows, in the caller's transaction; return what was written.

    A result whose fence is no longer the effect's is dropped: somebody else settles it.
    """
    written = list[Result]()
    for result in results:
        settled = store.row(
            _SETTLE[result.outcome],
            key=result.effect.key,
            fence=result.effect.fence,
            external_id=result.external_id,
            error=result.error,
            wait_s=result.retry_after_s,
        )
        if settled:
            store.run(
                _AUDIT,
                action=f"effect.{result.outcome}",
                subject=result.effect.key,
                detail=json.dumps({"external_id": result.external_id, "attempt": settled["attempts"]}),
            )
            written.append(result)
    return written


_MINE = " where effect_key = %(key)s and fence = %(fence)s and state = 'intent' returning attempts"
_SETTLE = {
    "done": "update ops.effect set state = 'done', external_id = %(external_id)s, last_error = null, "
    "lease_until = null, settled_at = clock_timestamp()" + _MINE,
    "refused": "update ops.effect set state = 'refused', last_error = %(error)s, lease_until = null, "
    "settled_at = clock_timestamp()" + _MINE,
    "dead": "update ops.effect set state = 'dead', last_error = %(error)s, lease_until = null, "
    "settled_at = clock_timestamp()" + _MINE,
    "not_applied": "update ops.effect set state = 'pending', attempts = attempts - 1, last_error = %(error)s, "
    "lease_until = null, next_try_at = clock_timestamp() + make_interval(secs => coalesce(%(wait_s)s, 1))" + _MINE,
    "unknown": "update ops.effect set last_error = %(error)s" + _MINE,
}
_AUDIT = """
insert into ops.audit (actor, action, subject, detail) values (current_user, %(action)s, %(subject)s, %(detail)s::jsonb)
"""


def states(store: Store, keys: Sequence[str]) -> dict[str, Row]:
    """Return key -> {state, external_id, last_error, wait_s, …} of effects; `wait_s` seconds until one is due."""
    found = store.rows(_STATES, keys=list(keys))
    return {row["effect_key"]: row for row in found}


_STATES = """
select effect_key, state, external_id, last_error, capability, engagement_id,
       greatest(0, extract(epoch from coalesce(lease_until, next_try_at) - clock_timestamp()))::float as wait_s
from ops.effect where effect_key = any(%(keys)s)
"""

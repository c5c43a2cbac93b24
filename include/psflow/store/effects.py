"""
Writes to other systems, durable before they are sent.

register (in the deciding transaction) → claim (intent, with lease and fence) → the call → settle. A claimed effect
whose process died stays an intent; once its lease is over it is claimed again as *uncertain* and looked up first. One
that the vendor accepted as a job stays an intent too, with the job's id, and is claimed again to ask for it.
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
from psflow.store import audit
from psflow.store.connection import Row, Store

Outcome = Literal["done", "accepted", "refused", "not_applied", "not_asked", "unknown", "dead"]


@dataclass(frozen=True, slots=True)
class NewEffect:
    """
    A write that was decided. The key is the business name of the write and never changes with its content.

    `undoes` is the key of the effect whose record this one closes: it waits until nothing of that one can land late.
    """

    system: str
    capability: str
    subject: str
    payload: dict[str, Any]
    engagement_id: str | None = None
    batch_id: str | None = None
    undoes: str | None = None

    @property
    def key(self) -> str:
        """`system:capability:subject`."""
        return f"{self.system}:{self.capability}:{self.subject}"


@dataclass(frozen=True, slots=True)
class Claimed:
    """
    A ticket to write. `uncertain`: an earlier call may have landed, look first. `attempts` counts this one.

    `last_error` is how the call before ended, `job_id` the job it became. `key_is_old`: first claimed so long ago that
    the vendor may soon forget the idempotency key. `was_corrected`: it may have landed with the payload it had before.
    """

    effect: OpenEffect
    uncertain: bool
    attempts: int
    last_error: str | None
    job_id: str | None = None
    key_is_old: bool = False
    was_corrected: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """How one call ended."""

    effect: OpenEffect
    outcome: Outcome
    external_id: str | None = None
    error: str | None = None
    retry_after_s: float | None = None
    job_id: str | None = None


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
            "undoes": e.undoes,
        }
        for e in effects
    ]
    keys = [row["key"] for row in rows]
    wanted = {row["key"]: row["hash"] for row in rows}
    for was in store.rows(_REFUSED, keys=list(wanted), hashes=list(wanted.values())):
        audit.write(store, "effect.redecided", was["effect_key"],
                    detail={"was": was["payload_hash"], "is": wanted[was["effect_key"]]})  # fmt: skip
    store.run_many(_REDECIDE, rows)
    store.run_many(_REGISTER, rows)
    for found in store.rows(
        "select effect_key, payload_hash from ops.effect where effect_key = any(%(keys)s)", keys=keys
    ):
        if found["payload_hash"] != wanted[found["effect_key"]]:
            key = found["effect_key"]
            raise NeedsReview(f"IDEMPOTENCY_CONFLICT: {key} was registered with another payload; nothing was changed")
    return keys


_REFUSED = """
select effect_key, payload_hash from ops.effect
join unnest(%(keys)s::text[], %(hashes)s::text[]) as decided (effect_key, hash) using (effect_key)
where state = 'refused' and payload_hash <> decided.hash order by effect_key for update of effect
"""
_REDECIDE = """
update ops.effect set payload = %(payload)s::jsonb, payload_hash = %(hash)s, released_by = null, released_at = null
where effect_key = %(key)s and state = 'refused' and payload_hash <> %(hash)s
"""
_REGISTER = """
insert into ops.effect (effect_key, system, capability, engagement_id, batch_id, region, payload, payload_hash, undoes)
select %(key)s, %(system)s, %(capability)s, %(engagement)s, %(batch)s, region, %(payload)s::jsonb, %(hash)s, %(undoes)s
from ops.deployment
on conflict (effect_key) do nothing
"""


def reopen(store: Store, keys: Sequence[str], given_up: bool = True) -> int:
    """
    Give refused effects, and those given up on, another try, in the caller's transaction; returns how many.

    A person did something about the cause: they cleared the task. What was refused never landed and is sent again;
    what was given up may have landed and is looked up first.
    """
    return store.run(
        "update ops.effect set state = case state when 'dead' then 'intent' else 'pending' end, attempts = 0, "
        "lease_until = case state when 'dead' then clock_timestamp() end, next_try_at = clock_timestamp(), "
        "settled_at = null where effect_key = any(%(keys)s) and state = any(%(states)s)",
        keys=list(keys),
        states=["refused", "dead"] if given_up else ["refused"],
    )


def withdraw(store: Store, keys: Sequence[str], reason: str) -> list[str]:
    """Refuse what waits to be sent, in the caller's transaction; return the keys. What may be on its way stays."""
    withdrawn = store.rows(
        "update ops.effect set state = 'refused', last_error = %(reason)s, settled_at = clock_timestamp() "
        "where effect_key = any(%(keys)s) and state = 'pending' returning effect_key",
        keys=list(keys),
        reason=reason,
    )
    for row in withdrawn:
        audit.write(store, "effect.withdrawn", row["effect_key"])
    return [row["effect_key"] for row in withdrawn]


def adopt(store: Store, key: str, external_id: str) -> None:
    """Write down that an effect which was given up did land, in the caller's transaction."""
    if store.run(
        "update ops.effect set state = 'done', external_id = %(external_id)s, last_error = null "
        "where effect_key = %(key)s and state = 'dead'",
        key=key,
        external_id=external_id,
    ):
        audit.write(store, "effect.found", key, detail={"external_id": external_id})


def claim(store: Store, profile: VendorProfile, keys: Sequence[str]) -> list[Claimed]:
    """
    Take effects that are due, at most as many as a third of the lease can look up and send, and commit.

    Concurrent workers never take the same one. Returns [] when nothing is due now.
    """
    asked_at = time.monotonic()  # before the database's clock starts the lease: the ticket ends early, never late
    with store.transaction("effect.intent"):
        found = store.rows(
            _CLAIM,
            keys=list(keys),
            lease_s=profile.lease_s,
            limit=profile.batch_limit,
            writes=profile.writes_per_request,
            budget=profile.request_limit * profile.writes_per_request,
            half_life_s=profile.key_lifetime_s and profile.key_lifetime_s / 2,
        )
    return [_claimed(row, asked_at + profile.lease_s / 3) for row in found]


# one write costs a share of a request, a look-up a whole one
_CLAIM = """
with due as (
    select effect_key, state, registered_at, first_sent_at from ops.effect
    where effect_key = any(%(keys)s)
      and ((state = 'pending' and next_try_at <= clock_timestamp())
           or (state = 'intent' and lease_until < clock_timestamp()))
      and not exists (select from ops.effect undone
                      where undone.effect_key = effect.undoes and undone.lease_until > clock_timestamp())
    order by registered_at, effect_key
    limit %(limit)s
    for update skip locked
),
priced as (
    select *, row_number() over row as place,
           sum(case state when 'intent' then %(writes)s + 1 else 1 end) over row as cost
    from due window row as (order by registered_at, effect_key)
)
update ops.effect effect
set state = 'intent', attempts = attempts + 1, fence = fence + 1,
    lease_until = clock_timestamp() + make_interval(secs => %(lease_s)s),
    first_sent_at = coalesce(effect.first_sent_at, clock_timestamp())
from priced
where effect.effect_key = priced.effect_key and (cost <= %(budget)s or place = 1)
returning effect.*, priced.state = 'intent' as uncertain,
          coalesce(clock_timestamp() - priced.first_sent_at > make_interval(secs => %(half_life_s)s), false)
              as key_is_old
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
    return Claimed(
        effect,
        row["uncertain"],
        row["attempts"],
        row["last_error"],
        job_id=row["job_id"],
        key_is_old=row["key_is_old"],
        was_corrected=row["doubted_hash"] is not None,
    )


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
            job_id=result.job_id,
        )
        if settled:
            detail = {"external_id": result.external_id, "attempt": settled["attempts"]}
            audit.write(store, f"effect.{result.outcome}", result.effect.key, detail=detail)
            written.append(result)
    return written


_MINE = " where effect_key = %(key)s and fence = %(fence)s and state = 'intent' returning attempts"
_SETTLE = {
    "done": "update ops.effect set state = 'done', external_id = %(external_id)s, last_error = null, "
    "settled_at = clock_timestamp()" + _MINE,
    "accepted": "update ops.effect set job_id = %(job_id)s, last_error = null, "
    "attempts = attempts - (job_id is not distinct from %(job_id)s)::integer, "
    "lease_until = clock_timestamp() + make_interval(secs => coalesce(%(wait_s)s, 1))" + _MINE,
    "refused": "update ops.effect set state = 'refused', last_error = %(error)s, "
    "settled_at = clock_timestamp()" + _MINE,
    "dead": "update ops.effect set state = 'dead', last_error = %(error)s, settled_at = clock_timestamp()" + _MINE,
    "not_applied": "update ops.effect set state = 'pending', attempts = attempts - 1, last_error = %(error)s, "
    "lease_until = null, next_try_at = clock_timestamp() + make_interval(secs => coalesce(%(wait_s)s, 1))" + _MINE,
    "not_asked": "update ops.effect set attempts = attempts - 1, last_error = %(error)s, "
    "lease_until = clock_timestamp() + make_interval(secs => coalesce(%(wait_s)s, 1))" + _MINE,
    "unknown": "update ops.effect set last_error = %(error)s" + _MINE,
}


def states(store: Store, keys: Sequence[str]) -> dict[str, Row]:
    """Return key -> {state, external_id, last_error, wait_s, …} of effects; `wait_s` seconds until one is due."""
    found = store.rows(_STATES, keys=list(keys))
    return {row["effect_key"]: row for row in found}


_STATES = """
select effect_key, state, external_id, last_error, capability, engagement_id,
       greatest(0, extract(epoch from greatest(
           case state when 'pending' then next_try_at else lease_until end,
           (select undone.lease_until from ops.effect undone where undone.effect_key = effect.undoes)
       ) - clock_timestamp()))::float as wait_s
from ops.effect where effect_key = any(%(keys)s)
"""

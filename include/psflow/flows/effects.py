"""
Drive effects to their end: claim, look up when uncertain, send, settle.

The same loop sends and recovers: an effect whose worker died comes back as uncertain once its lease is over.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from psflow.config import Config
from psflow.errors import ConfigurationError, NeedsReview, PsflowError, Rejected, TransientError, Withheld
from psflow.flows import modes
from psflow.store import effects, exceptions
from psflow.store.connection import Row, Store
from psflow.store.effects import Claimed, Result
from psflow.systems.ports import System


def drive(store: Store, config: Config, system: System, keys: Sequence[str], wait_s: float = 90) -> dict[str, Row]:
    """
    Send these effects of one system and return key -> state once each is done, refused or dead.

    Refused and dead ones open an exception; those of an earlier run get another try first, since somebody ran this
    again. Raises Withheld before any is sent when policy lets one not out, TransientError when some are still open
    after `wait_s`.
    """
    until = time.monotonic() + wait_s
    if held := modes.withheld(store, config, keys):
        raise Withheld(modes.told(held))
    with store.transaction("effect.reopen"):
        effects.reopen(store, keys)
    while True:
        claimed = effects.claim(store, system.profile, keys)
        if claimed:
            _settle(store, config, [_send(system, ticket) for ticket in claimed])
            continue
        states = effects.states(store, keys)
        due = [row["wait_s"] for row in states.values() if row["state"] in ("pending", "intent")]
        if not due:
            return states
        if time.monotonic() + min(due) > until:
            raise TransientError(f"{system.key}: {len(due)} of {len(keys)} effects are still open; run again", min(due))
        time.sleep(min(due) + 0.05)


def done(states: dict[str, Row]) -> dict[str, str]:
    """
    Return key -> the vendor's id. Raises Rejected naming every effect that is refused; NeedsReview when one was given
    up on, since it may have landed: then nothing is to be compensated.
    """
    failed = [f"{key} {row['state']}: {row['last_error']}" for key, row in states.items() if row["state"] != "done"]
    if any(row["state"] == "dead" for row in states.values()):
        raise NeedsReview("; ".join(failed))
    if failed:
        raise Rejected("; ".join(failed))
    return {key: row["external_id"] for key, row in states.items()}


def _send(system: System, ticket: Claimed) -> Result:
    effect = ticket.effect
    try:
        if ticket.uncertain:
            if found := system.find(effect):
                return Result(effect, "done", found)
            if ticket.attempts > system.profile.max_attempts:
                tried = f"not found after {ticket.attempts - 1} attempts; given up"
                return Result(effect, "dead", error=f"{tried}; at last: {ticket.last_error or 'no answer'}")
    except NeedsReview as error:
        return Result(effect, "dead", error=str(error))
    except PsflowError as error:  # the look-up told nothing: it stays an intent
        return Result(effect, "unknown", error=str(error))
    return _perform(system, ticket)


def _perform(system: System, ticket: Claimed) -> Result:
    effect = ticket.effect
    try:
        return Result(effect, "done", system.perform(effect))
    except Rejected as error:
        return Result(effect, "refused", error=str(error))
    except TransientError as error:
        return Result(effect, "not_applied", error=str(error), retry_after_s=error.retry_after_s)
    except ConfigurationError as error:  # raised before anything is sent
        return Result(effect, "dead", error=str(error))
    except Exception as error:  # whatever else happened, the request may have landed
        return Result(effect, "unknown", error=f"{type(error).__name__}: {error}")


def _settle(store: Store, config: Config, results: list[Result]) -> None:
    with store.transaction("effect.result"):
        results = effects.settle(store, results)
        lost = [r for r in results if r.outcome in ("refused", "dead")]
        exceptions.open_all(
            store,
            config,
            [
                exceptions.Finding(
                    "effect", "effect", r.effect.key, r.outcome, None, r.error or "", r.effect.engagement_id
                )
                for r in lost
            ],
        )
        exceptions.resolve(store, "effect", "effect", [r.effect.key for r in results if r.outcome == "done"])

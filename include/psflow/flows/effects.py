"""
Drive effects to their end: claim, look up when uncertain, send, settle.

The same loop sends and recovers: an effect whose worker died comes back as uncertain once its lease is over. The
vendor's profile says how that one is looked up; what became a job is asked for by the job's id.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby

from psflow.config import Config
from psflow.contracts import OpenEffect, VendorProfile
from psflow.errors import (
    ConfigurationError,
    NeedsReview,
    PsflowError,
    Rejected,
    TransientError,
    Unauthorized,
    UncertainOutcome,
    Withheld,
)
from psflow.flows import modes
from psflow.store import effects, exceptions
from psflow.store.connection import Row, Store
from psflow.store.effects import Claimed, Result
from psflow.systems.ports import Accepted, Answer, PerformsMany, Polls, System


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
        # what cannot be looked up would be sent blindly: only a person may say that it never landed
        effects.reopen(store, keys, given_up=system.profile.lookup != "none")
    while True:
        claimed = effects.claim(store, system.profile, keys)
        if claimed:
            _settle(store, config, _send(system, claimed))
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


def _send(system: System, claimed: Sequence[Claimed]) -> list[Result]:
    """Look up what is uncertain, send the rest, and return how each ended."""
    known = {ticket.effect.key: _known(system, ticket) for ticket in claimed}
    fresh = [ticket.effect for ticket in claimed if known[ticket.effect.key] is None]
    results = [result for result in known.values() if result]
    for _, same in groupby(sorted(fresh, key=lambda e: e.capability), key=lambda e: e.capability):
        results += _perform(system, list(same))
    return results


def _known(system: System, ticket: Claimed) -> Result | None:
    """Return what became of an effect that may have landed, None when it is to be sent."""
    effect = ticket.effect
    try:
        if ticket.job_id and isinstance(system, Polls) and (answer := system.poll(effect, ticket.job_id)):
            return _result(effect, answer)
    except Rejected as error:
        return Result(effect, "refused", error=str(error))
    except PsflowError as error:
        return _untold(effect, error)
    return _looked_up(system, ticket) if ticket.uncertain or ticket.key_is_old else None


def _looked_up(system: System, ticket: Claimed) -> Result | None:
    effect, given_up = ticket.effect, ticket.attempts > system.profile.max_attempts
    last = ticket.last_error or "no answer"
    if system.profile.lookup == "none":
        if ticket.attempts == 1:  # a person replayed it: they looked, and say that it never landed
            return None
        said = f"{system.key} cannot be asked whether it landed; look there, and replay it if it did not"
        return Result(effect, "dead", error=f"{said}; at last: {last}")
    try:
        if (given_up or _must_look(system.profile, ticket)) and (found := system.find(effect)):
            return Result(effect, "dead", error=_EITHER) if ticket.was_corrected else _result(effect, found)
    except NeedsReview as error:
        return Result(effect, "dead", error=str(error))
    except PsflowError as error:
        return _untold(effect, error)
    tried = f"not found after {ticket.attempts - 1} attempts; given up"
    return Result(effect, "dead", error=f"{tried}; at last: {last}") if given_up else None


def _untold(effect: OpenEffect, error: PsflowError) -> Result:
    """Return what a question that told nothing comes to: it stays an intent, and one put off is no attempt, either."""
    wait_s = error.retry_after_s if isinstance(error, TransientError | Unauthorized) else None
    put_off = wait_s is not None or isinstance(error, Unauthorized)
    return Result(effect, "not_asked" if put_off else "unknown", error=str(error), retry_after_s=wait_s)


_EITHER = "it is there, and was corrected after it may have landed: make the copy say what stands there, and replay it"


def _must_look(profile: VendorProfile, ticket: Claimed) -> bool:
    # a vendor that still knows our key answers the same write again; half its life leaves room for its clock
    return ticket.key_is_old if profile.lookup == "idempotency_key" else ticket.uncertain


def _perform(system: System, same: list[OpenEffect]) -> list[Result]:
    """Send effects of one capability, together where the vendor takes several at once: each has its own outcome."""
    if isinstance(system, PerformsMany) and len(same) > 1:
        size = system.profile.writes_per_request
        return [result for n in range(0, len(same), size) for result in _together(system, same[n : n + size])]
    return [_alone(system, effect) for effect in same]


def _alone(system: System, effect: OpenEffect) -> Result:
    try:
        return _result(effect, system.perform(effect))
    except Exception as error:
        return _result(effect, error)


def _together(system: PerformsMany, same: list[OpenEffect]) -> list[Result]:
    try:
        answers = system.perform_many(same)
        if len(answers) != len(same):
            raise UncertainOutcome(f"{len(same)} writes were sent and {len(answers)} were answered")
    except (Rejected, ConfigurationError):  # nothing was written: one of them spoiled it for the others
        return [_alone(system, effect) for effect in same]
    except Exception as error:
        return [_result(effect, error) for effect in same]
    return [_result(effect, answer) for effect, answer in zip(same, answers, strict=True)]


def _result(effect: OpenEffect, answer: Answer | Exception) -> Result:
    match answer:
        case str():
            return Result(effect, "done", answer)
        case Accepted():
            return Result(effect, "accepted", job_id=answer.job_id, retry_after_s=answer.poll_after_s)
        case Rejected():
            return Result(effect, "refused", error=str(answer))
        case TransientError() | Unauthorized():
            return Result(effect, "not_applied", error=str(answer), retry_after_s=answer.retry_after_s)
        case ConfigurationError():  # raised before anything is sent
            return Result(effect, "dead", error=str(answer))
        case _:  # whatever else happened, the request may have landed
            return Result(effect, "unknown", error=f"{type(answer).__name__}: {answer}")


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
        for r in lost:  # what was told of it before is not so any more
            before = "dead" if r.outcome == "refused" else "refused"
            exceptions.resolve(store, "effect", "effect", [r.effect.key], field=before)

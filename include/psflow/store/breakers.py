"""Breakers as people see and operate them: every vendor account with its state and budget, open one, close one."""

from __future__ import annotations

from typing import Literal

from psflow.config import Config, Person
from psflow.contracts import VendorProfile
from psflow.errors import ConfigurationError, NeedsReview
from psflow.store import audit, exceptions
from psflow.store.accounts import bucket
from psflow.store.connection import Row, Store, sql


def overview(store: Store, config: Config) -> list[Row]:
    """
    Return every account that was ever asked, by system and instance.

    A row is {system, instance, breaker: closed|open|half-open, since, reason, opened_by, failures, next_probe_at,
    probe_in_s, paused_until, used, burst, calls, per_s}: `used` of `burst` calls at once are taken, and no `per_s`
    seconds see more than `calls` (None: no budget). Instants are aware, seconds floats.
    """
    return [
        _with_budget(row, config.systems.get(row["system"]))
        for row in store.rows(sql("warehouse.accounts", "overview"))
    ]


def open_breaker(store: Store, config: Config, system: str, instance: str | None, by: Person, reason: str) -> Row:
    """
    Let nothing out to an account until a person closes it, and return its {system, instance}.

    Without an instance the only one of the system is meant. Raises NeedsReview when `by` may not, or gives no reason;
    ConfigurationError when there is no such account or several.
    """
    return _operate(store, config, system, instance, by, reason, "open")


def close_breaker(store: Store, config: Config, system: str, instance: str | None, by: Person, reason: str) -> Row:
    """Let calls out again at once, whoever opened it, and end its pause. Returns and raises as `open_breaker`."""
    return _operate(store, config, system, instance, by, reason, "close")


def may_operate(person: Person) -> bool:
    """Whether a person may open and close breakers: data engineering, and who works on every team's exceptions."""
    return "exceptions" in person.may or "data engineering" in person.teams


def _operate(
    store: Store,
    config: Config,
    system: str,
    instance: str | None,
    by: Person,
    reason: str,
    act: Literal["open", "close"],
) -> Row:
    if not may_operate(by):
        raise NeedsReview(f"{by.airflow_user} may not {act} a breaker; data engineering may, or the duty `exceptions`")
    if not reason.strip():
        raise NeedsReview(f"say why the breaker is to {act}: the audit and everybody who waits will ask")
    with store.transaction(f"account.{act}"):
        named = {"system": system, "instance": instance or _only(store, config, system)}
        if not store.run(sql("warehouse.accounts", act), **named, reason=reason.strip(), person=by.person):
            raise ConfigurationError(f"{system} has no account {instance!r}; {_known(store, system)}")
        audit.write(store, f"breaker.{act}", f"{system} {named['instance']}", by.person, {"reason": reason.strip()})
        if act == "close":
            exceptions.resolve(store, "account", "account", [f"{system} {named['instance']}"])
    return dict(named)


def _only(store: Store, config: Config, system: str) -> str:
    if system not in config.systems:
        raise ConfigurationError(f"there is no system {system!r} in psflow.yaml; there is {', '.join(config.systems)}")
    found = store.rows("select instance from ops.account where system = %(system)s order by instance", system=system)
    if len(found) != 1:
        raise ConfigurationError(f"name an instance of {system}; {_known(store, system)}")
    return str(found[0]["instance"])


def _known(store: Store, system: str) -> str:
    found = store.rows("select instance from ops.account where system = %(system)s order by instance", system=system)
    return f"those that were asked before: {', '.join(row['instance'] for row in found) or 'none'}"


def _with_budget(row: Row, profile: VendorProfile | None) -> Row:
    burst, token_s = bucket(profile) if profile else (1, 0.0)
    used = round(row.pop("busy_s") / token_s) if token_s else 0
    calls = profile.calls if profile else None
    budget = {
        "used": used,
        "burst": burst if calls else None,
        "calls": calls,
        "per_s": profile.per_s if profile else None,
    }
    return row | budget

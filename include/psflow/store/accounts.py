"""
Vendor accounts, as all processes share them: how fast one may be asked, and whether it is to be asked at all.

A token bucket keeps every window of `per_s` seconds within `calls`. The breaker opens after `_FAILURES` failures in a
row, or at once when the vendor refuses our credentials; after a wait one call tries (half-open), and its outcome closes
or opens it. What a vendor says of one process's call, all heed. Times are the database's.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

import psycopg

from psflow.config import Config
from psflow.contracts import VendorProfile
from psflow.errors import TransientError
from psflow.store import exceptions
from psflow.store.connection import Row, Store, sql

News = Literal["answered", "failed", "throttled", "refused"]
_FAILURES, _WINDOW_S = 5, 60
_LONGEST_PAUSE_S, _LONGEST_WAIT_S = 900, 3600
_REFUSED = 20  # times probe_s: wrong passwords lock a login, so they are not tried as often as a vendor that is down
_BURST = 25  # the part of a budget that may go at once
_FROZEN, _PATIENT = 2, 4  # deadlines: who signs in and does nothing for so long is frozen; the next one waits longer
_FOR_WRITES = 2  # the part of it that reads leave: they are patient, and would take every turn of a write


@dataclass(slots=True)
class SharedAccount:
    """
    One login at one vendor: what `systems.account.Account` asks for, kept in Postgres.

    It works on the store's second connection, so that it stays whatever becomes of the flow's transaction.
    """

    store: Store
    config: Config
    system: str
    instance: str
    _me: str = field(default_factory=lambda: secrets.token_hex(8), init=False)
    _watched: bool = field(default=False, init=False)

    def admit(self, patience_s: float, *, is_write: bool) -> None:
        """
        Return once a call may go, after at most `patience_s`.

        Raises TransientError when it may not: nothing was sent, and `retry_after_s` says when to ask again.
        """
        try:
            row = self._take(patience_s, is_write)
        except psycopg.OperationalError:
            raise TransientError(f"{self.system}: the business database does not answer; nothing was sent") from None
        if not row["is_admitted"]:
            raise _shut(self.system, row) if row["is_shut"] else _busy(self.system, row)
        self._watched = row["is_watched"]
        if row["wait_s"]:
            time.sleep(row["wait_s"])

    def note(self, news: News, reason: str = "", wait_s: float | None = None) -> None:
        """Say what an admitted call met. An answer of an account in good health costs nothing."""
        if news == "answered" and not self._watched:
            return
        try:
            with self.store.beside.transaction("account.note"):
                self._changed(news, reason, wait_s)
        except psycopg.OperationalError:
            pass  # the call itself is over, and the next one meets the same

    @contextmanager
    def signing_in(self) -> Iterator[None]:
        """
        Hold the account's lock: one sign-in at a time, or a vendor locks the login. Raises TransientError.

        Death frees it at once; a holder that does nothing for two deadlines loses it with its session.
        """
        try:
            self._lock(self.store.beside)
        except psycopg.OperationalError:
            raise TransientError(f"{self.system}: another process is signing in; nothing was sent", 1) from None
        try:
            yield
        finally:
            with suppress(psycopg.OperationalError):  # it was frozen: session and lock are gone
                self._unlock(self.store.beside)

    def _lock(self, store: Store) -> None:
        deadline_ms = 1000 * self._profile.deadline_s
        with store.transaction("account.sign_in"):
            store.run("select set_config('lock_timeout', %(ms)s, true)", ms=f"{_PATIENT * deadline_ms:.0f}")
            store.run("select set_config('idle_session_timeout', %(ms)s, false)", ms=f"{_FROZEN * deadline_ms:.0f}")
            store.run("select pg_advisory_lock(hashtextextended(%(name)s, 0))", name=self._sign_in)

    def _unlock(self, store: Store) -> None:
        with store.transaction("account.signed_in"):
            store.run("select set_config('idle_session_timeout', '0', false)")
            store.run("select pg_advisory_unlock(hashtextextended(%(name)s, 0))", name=self._sign_in)

    @property
    def _sign_in(self) -> str:
        return f"sign-in {self.system}/{self.instance}"

    @property
    def _profile(self) -> VendorProfile:
        return self.config.systems[self.system]

    def _take(self, patience_s: float, is_write: bool) -> Row:
        profile, store = self._profile, self.store.beside
        burst, token_s = bucket(profile)
        cost, spared = (min(profile.write_counts, burst), 0) if is_write else (1, burst // _FOR_WRITES)
        with store.transaction("account.admit"):
            given = self._named | {"burst": burst - spared, "token_s": token_s, "cost": cost, "me": self._me}
            given |= {"patience_s": patience_s, "probe_s": max(profile.probe_s, 2 * profile.deadline_s)}
            row = store.row(sql("warehouse.accounts", "admit"), **given)
            if row is None:
                _know(store, self.system, self.instance)
                row = store.row(sql("warehouse.accounts", "admit"), **given)
        assert row is not None
        return row

    def _changed(self, news: News, reason: str, wait_s: float | None) -> None:
        """Write down the news, and tell data engineering when the breaker opened on it or closed."""
        profile = self._profile
        found = self.store.beside.row(
            sql("warehouse.accounts", news),
            **self._named, reason=reason, asked_s=wait_s, pause_s=profile.pause_s, longest_pause_s=_LONGEST_PAUSE_S,
            wait_s=profile.probe_s * (_REFUSED if news == "refused" else 1), longest_wait_s=_LONGEST_WAIT_S,
            failures=_FAILURES, window_s=_WINDOW_S,
        )  # fmt: skip
        if found and found["breaker"] == "closed":
            exceptions.resolve(self.store.beside, "account", "account", [self._record_id])
        elif found and (news == "refused" or found["probes"]):  # what one wait heals, nobody need hear of
            self._tell("refuses our credentials" if news == "refused" else "still fails", reason)

    def _tell(self, what: str, reason: str) -> None:
        told = f"{self.system} at {self.instance} {what}: {reason}; nothing is sent to it, and nothing is lost"
        finding = exceptions.Finding("account", "account", self._record_id, "breaker", None, told)
        exceptions.open_all(self.store.beside, self.config, [finding])

    @property
    def _record_id(self) -> str:
        return f"{self.system} {self.instance}"

    @property
    def _named(self) -> dict[str, str]:
        return {"system": self.system, "instance": self.instance}


def _know(store: Store, system: str, instance: str) -> None:
    store.run(
        "insert into ops.account (system, instance) values (%(system)s, %(instance)s) on conflict do nothing",
        system=system, instance=instance,
    )  # fmt: skip


def bucket(profile: VendorProfile) -> tuple[int, float]:
    """Return how many calls may go at once and the seconds for each one more: together never above the budget."""
    if profile.calls is None:
        return 1, 0.0
    burst = max(1, profile.write_counts, profile.calls // _BURST)
    return burst, profile.per_s / (profile.calls - burst)


def _shut(system: str, row: Row) -> TransientError:
    next_try = (
        f"next probe in {row['probe_in_s']:.0f} s" if row["probe_in_s"] is not None else "until a person closes it"
    )
    why = f"{row['reason']} (opened by {row['opened_by']})" if row["opened_by"] else row["reason"]
    return TransientError(
        f"{system}: breaker open since {row['since']:%Y-%m-%d %H:%M:%S %Z}, {next_try}: {why}; nothing was sent; "
        f"open or close it: psflow breaker open|close {system}",
        max(1.0, row["probe_in_s"] or _LONGEST_PAUSE_S),
        "breaker",
    )


def _busy(system: str, row: Row) -> TransientError:
    why = f"it throttles us ({row['reason']})" if row["is_paused"] else "its rate budget is used up"
    return TransientError(f"{system}: {why}, free in {row['wait_s']:.1f} s; nothing was sent", row["wait_s"], "budget")

"""
Tell owner teams what is new, overdue or over, once each, and every day where they stand.

What is told is written in the transaction that sends it, so it is told at least once: a program that dies between the
two tells it again, under the same key (`Item.key`, and the message's, which is its Message-ID or Idempotency-Key when
nothing came in between). Two workers at once tell once, since the second waits for the first one's row. A team without
a channel in psflow.yaml is told nothing, and all that is open once it has one.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from itertools import groupby

from psflow.config import Channel, Config, Person
from psflow.errors import PsflowError
from psflow.flows.alert_message import Alert, Item, Message, Standing, of_alert, of_standing
from psflow.store import audit, workflow
from psflow.store.connection import Row, Store, sql

Send = Callable[[Channel, Message], None]
_SQL = "warehouse.alerts"


def due(store: Store, config: Config) -> list[Alert]:
    """Return what each team with a channel was not told yet: new, overdue (once an opening), or over."""
    rows = store.rows(sql(_SQL, "due"), teams=list(config.channels))
    return [
        Alert(team, tuple(Item(**{name: row[name] for name in Item.__slots__}) for row in group))
        for team, group in groupby(rows, key=lambda row: row["team"])
    ]


def mark_told(store: Store, alert: Alert) -> Alert:
    """Write down that this is told, in the caller's transaction; return it without what was told meanwhile."""
    items = [{"exception_id": i.exception_id, "event": i.event, "occurrence": i.occurrence} for i in alert.items]
    rows = store.rows(sql(_SQL, "mark_told"), team=alert.team, items=json.dumps(items))
    ours = {row["exception_id"] for row in rows}
    return replace(alert, items=tuple(item for item in alert.items if item.exception_id in ours))


def tell(store: Store, config: Config, base_url: str, send: Send) -> dict[str, int]:
    """
    Tell every team what is due; return how many exceptions were told as new, escalated and resolved.

    `base_url` is Airflow's. A team that cannot be reached is told next time and keeps no other from it; then raises
    the first error, with the teams named.
    """
    counts: Counter[str] = Counter(new=0, escalated=0, resolved=0)
    failed: dict[str, PsflowError] = {}
    for alert in due(store, config):
        try:
            counts.update(_tell(store, config, alert, base_url, send))
        except PsflowError as error:
            failed[alert.team] = error
    _raise(failed)
    return dict(counts)


def digest(store: Store, config: Config) -> list[Standing]:
    """Return where each team with a channel stands; one with nothing open and nothing to approve is left out."""
    open_by_team = {row["owner_team"]: row for row in workflow.teams(store)}
    batches = store.rows(sql(_SQL, "waiting"))
    standings = [_standing(config, team, open_by_team.get(team), batches) for team in config.channels]
    return [each for each in standings if each.exceptions or each.waiting]


def tell_digest(store: Store, config: Config, base_url: str, send: Send, day: dt.date) -> int:
    """Tell every team where it stands, once a day; return how many were told. Raises as `tell` does."""
    told, failed = 0, dict[str, PsflowError]()
    for standing in digest(store, config):
        try:
            told += _tell_standing(store, config, standing, base_url, send, day)
        except PsflowError as error:
            failed[standing.team] = error
    _raise(failed)
    return told


def _tell(store: Store, config: Config, alert: Alert, base_url: str, send: Send) -> dict[str, int]:
    with store.transaction("alert.tell"):
        ours = mark_told(store, alert)
        if ours.items:
            send(config.channels[alert.team], of_alert(ours, _money(store, ours.at_risk), base_url))
    return {str(event): count for event, count in ours.counts.items()}


def _tell_standing(store: Store, config: Config, standing: Standing, base_url: str, send: Send, day: dt.date) -> int:
    message = of_standing(standing, _money(store, standing.at_risk), base_url, day)
    with store.transaction("alert.digest"):
        store.run("select pg_advisory_xact_lock(hashtextextended(%(key)s, 0))", key=message.key)
        if store.value(sql(_SQL, "told_today"), key=message.key):
            return 0
        audit.write(store, "digest.told", message.key, "psflow")
        send(config.channels[standing.team], message)
    return 1


def _standing(config: Config, team: str, row: Row | None, batches: list[Row]) -> Standing:
    counts = row or {"exceptions": 0, "overdue": 0, "unassigned": 0, "oldest": Decimal(), "at_risk": []}
    at_risk = {currency: Decimal(amount) for amount, currency in counts["at_risk"]}
    waiting = tuple(b for b in batches if any(team in p.teams for p in _asked(config, b)))
    return Standing(
        team, counts["exceptions"], counts["overdue"], counts["unassigned"], counts["oldest"], at_risk, waiting
    )


def _asked(config: Config, batch: Row) -> tuple[Person, ...]:
    return config.people_who_may(batch["step"], batch["legal_entity_id"])


def _money(store: Store, amounts: dict[str, Decimal]) -> str:
    """Return amounts as people read them: `400.00 EUR, 1,235 JPY`; empty when there are none."""
    found: str | None = store.value(
        "select string_agg(billing.money_text(value::numeric, key), ', ' order by key) "
        "from jsonb_each_text(%(amounts)s::jsonb)",
        amounts=json.dumps({currency: str(amount) for currency, amount in amounts.items()}),
    )
    return found or ""


def _raise(failed: dict[str, PsflowError]) -> None:
    if failed:
        first = next(iter(failed.values()))
        raise type(first)("; ".join(f"{team} was not told: {error}" for team, error in failed.items()))

"""
Close a month of a legal entity: its controls, kept as a version, are signed by a person who did not prepare them.

From then on Postgres refuses whoever writes into it. What was signed is asked again every day; a different answer is
told, and the month waits for another signature.
"""

from __future__ import annotations

import psycopg

from psflow.config import Config
from psflow.contracts import Period
from psflow.errors import ConfigurationError, GateFailed, TransientError
from psflow.flows.period_controls import ask, differs, keep, question, told, worded
from psflow.flows.period_lock import lock, note
from psflow.store import audit, duties, exceptions
from psflow.store.connection import Row, Store


def prepare(
    store: Store, config: Config, legal_entity_id: str, period: Period, run_id: str, airflow_user: str | None = None
) -> int:
    """
    Keep the controls of a period as a new version and return its id.

    Raises TransientError while a batch or a write of the period is open, GateFailed when it is closed and signed as
    it is, or is not over.
    """
    person = _name(config, airflow_user)
    with store.transaction("period.prepare"):
        _refuse(store, legal_entity_id, period)
        asked = question(store, config, legal_entity_id, period)
        ask(store, asked)
        close: int = store.value(
            _PREPARE, entity=legal_entity_id, period=period.name, run=run_id, person=person, as_of=asked["as_of"],
            since=asked["since"],
        )  # fmt: skip
        keep(store, close, asked)
    return close


def sign(
    store: Store, config: Config, close_id: int, *, airflow_user: str, approved: bool, content_hash: str, reason: str,
    run_id: str,
) -> None:  # fmt: skip
    """
    Store a person's decision on a version as it was shown; signed, the period is closed from then on.

    Raises GateFailed on a reject, when the person may not (no duty, or prepared it), when a control is broken and no
    reason is given, when something changed since, and while a batch or a write of the period is open.
    """
    head, person = find(store, close_id), config.person_of(airflow_user).person
    entity, period = head["legal_entity_id"], Period(name=head["period"])
    try:
        with store.transaction("period.sign"):
            lock(store, entity, period)
            if approved and (changed := differs(store, config, head)):
                raise GateFailed(f"{told(changed)} since version {head['version']} was shown; run close again")
            duties.tell(store, config)
            store.run(
                _SIGN, close=close_id, decision="signed" if approved else "rejected", person=person, user=airflow_user,
                run=run_id, hash=content_hash, reason=reason,
            )  # fmt: skip
            audit.write(
                store, f"period.{'sign' if approved else 'reject'}", f"{entity} {period.name}", person,
                {"version": head["version"], "content_hash": content_hash, "reason": reason},
            )  # fmt: skip
            if approved:
                _close(store, entity, period, person, f"version {head['version']} is signed", run_id)
    except (psycopg.errors.CheckViolation, psycopg.errors.UniqueViolation) as error:
        raise GateFailed(f"{entity} {period.name} is not closed: {error.diag.message_primary}") from None
    if not approved:
        raise GateFailed(f"{entity} {period.name} was not signed by {airflow_user}: {reason or 'no reason given'}")


def _close(store: Store, entity: str, period: Period, person: str, reason: str, run_id: str) -> None:
    store.run(
        "update core.period set closed_at = coalesce(closed_at, clock_timestamp()), changed_at = null "
        "where (legal_entity_id, period) = (%(entity)s, %(period)s)",
        entity=entity, period=period.name,
    )  # fmt: skip
    note(store, entity, period, "closed", person, reason, run_id)
    exceptions.resolve(store, "period", "period", [f"{entity} {period.name}"])


def soft_close(
    store: Store, config: Config, legal_entity_id: str, period: Period, airflow_user: str, reason: str
) -> None:
    """Let a period take nothing any more but credits and write-offs that two persons decide. Raises GateFailed."""
    person = _may_close(config, legal_entity_id, airflow_user)
    try:
        with store.transaction("period.soft_close"):
            if (state := lock(store, legal_entity_id, period)) != "open":
                raise GateFailed(f"{legal_entity_id} {period.name} is {state}, not open")
            store.run(
                "update core.period set soft_closed_at = clock_timestamp() "
                "where (legal_entity_id, period) = (%(entity)s, %(period)s)",
                entity=legal_entity_id, period=period.name,
            )  # fmt: skip
            note(store, legal_entity_id, period, "soft_closed", person, reason)
    except psycopg.errors.CheckViolation as error:
        raise GateFailed(f"{legal_entity_id} {period.name} is not soft-closed: {error.diag.message_primary}") from None


def reopen(
    store: Store, config: Config, legal_entity_id: str, period: Period, airflow_user: str, reason: str, run_id: str = ""
) -> None:
    """Open a period again; the next close is a new version of its controls. Raises GateFailed when it is open."""
    person = _may_close(config, legal_entity_id, airflow_user)
    with store.transaction("period.reopen"):
        if lock(store, legal_entity_id, period) == "open":
            raise GateFailed(f"{legal_entity_id} {period.name} is open")
        note(store, legal_entity_id, period, "reopened", person, reason, run_id)
        store.run(
            "update core.period set closed_at = null, soft_closed_at = null, changed_at = null "
            "where (legal_entity_id, period) = (%(entity)s, %(period)s)",
            entity=legal_entity_id, period=period.name,
        )  # fmt: skip
        exceptions.resolve(store, "period", "period", [f"{legal_entity_id} {period.name}"])


def recheck(store: Store, config: Config) -> dict[str, int]:
    """
    Ask every signed control again; return how many periods are signed and how many are not as signed any more.

    Such a period is `changed`: closed as before, and finance has an exception a control until somebody signs anew.
    """
    signed, changed = store.rows(_SIGNED), 0
    for head in signed:
        with store.transaction("period.recheck"):
            state = lock(store, head["legal_entity_id"], Period(name=head["period"]))
            found = differs(store, config, head) if state in ("closed", "changed") else []
            changed += bool(found)
            if found:
                _changed(store, config, head, found, state)
    return {"signed": len(signed), "changed": changed}


def _changed(store: Store, config: Config, head: Row, found: list[Row], state: str) -> None:
    entity, period = head["legal_entity_id"], Period(name=head["period"])
    where, record = {"entity": entity, "period": period.name}, f"{entity} {period.name}"
    findings = [
        exceptions.Finding(
            "period", "period", record, row["control"], worded(row["sums"]), f"{told([row])}, and is signed"
        )
        for row in found
    ]
    exceptions.open_all(store, config, findings)
    if state == "closed":
        store.run(
            "update core.period set changed_at = clock_timestamp() "
            "where (legal_entity_id, period) = (%(entity)s, %(period)s)",
            **where,
        )
        note(store, entity, period, "changed", None, told(found))


def find(store: Store, close_id: int) -> Row:
    """Return a version with its content hash. Raises ConfigurationError when there is none."""
    found = store.row(
        "select head.*, ops.close_hash(close_id) as content_hash, decision, person, signed_at, reason "
        "from ops.close head left join ops.close_signature using (close_id) where close_id = %(close)s",
        close=close_id,
    )
    if found is None:
        raise ConfigurationError(f"controls {close_id} are unknown; see ops.close")
    return found


def _refuse(store: Store, legal_entity_id: str, period: Period) -> None:
    where = {"entity": legal_entity_id, "period": period.name}
    state = store.value(
        "select state from core.period where (legal_entity_id, period) = (%(entity)s, %(period)s)", **where
    )
    if state == "closed":
        raise GateFailed(f"{legal_entity_id} {period.name} is closed; re-open it first, with a reason")
    if not store.value("select current_date > %(end)s", end=period.end):
        raise GateFailed(f"{legal_entity_id} {period.name} is not over; close it after {period.end}")
    if work := store.rows("select what from core.open_work(%(entity)s, %(period)s)", **where):
        open_work = "; ".join(row["what"] for row in work)
        raise TransientError(f"{legal_entity_id} {period.name} waits for open work: {open_work}")


def _name(config: Config, airflow_user: str | None) -> str | None:
    try:
        return config.person_of(airflow_user).person if airflow_user else None
    except ConfigurationError:  # an administrator's login may start a run; it is nobody who could sign
        return None


def _may_close(config: Config, legal_entity_id: str, airflow_user: str) -> str:
    person = config.person_of(airflow_user)
    if person not in config.people_who_may("close", legal_entity_id):
        raise GateFailed(
            f"{airflow_user} may not close or open periods of {legal_entity_id}; psflow.yaml names who may"
        )
    return person.person


_PREPARE = """
insert into ops.close (legal_entity_id, period, version, run_id, prepared_by, as_of, since)
select %(entity)s, %(period)s, coalesce(max(version), 0) + 1, %(run)s, %(person)s, %(as_of)s, %(since)s
from ops.close where (legal_entity_id, period) = (%(entity)s, %(period)s)
returning close_id
"""
_SIGN = """
insert into ops.close_signature (close_id, decision, person, airflow_user, run_id, content_hash, reason)
values (%(close)s, %(decision)s, %(person)s, %(user)s, %(run)s, %(hash)s, %(reason)s)
"""
_SIGNED = """
select distinct on (legal_entity_id, period) head.* from ops.close head
join ops.close_signature using (close_id)
where decision = 'signed'
order by legal_entity_id, period, version desc
"""

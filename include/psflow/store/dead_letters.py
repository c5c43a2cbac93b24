"""
What was given up on: effects refused or dead, records that could not be read or stored. Nothing of it is lost.

What came stays as it was. A person may correct a copy and replay it: an effect is put back in line under its key, and
the run that owns it sends it; a payload is read again by the next read of its stream, before what is new. A newer
version always wins: a correction belongs to the very version it was made of.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec

from psflow.config import Person
from psflow.errors import NeedsReview
from psflow.store import audit, effects
from psflow.store.connection import Row, Store

MOST = 500
_READ = msgspec.json.Decoder(float_hook=Decimal)


class Change(NamedTuple):
    """One field of a correction: its path (`lines.0.amount`), what was there and what is; absent is None."""

    field: str
    was: Any
    now: Any


class Replayed(NamedTuple):
    """What became of one wish to replay: whether it is in line now, and a sentence about it."""

    id: str
    is_in_line: bool
    says: str


def listing(
    store: Store, *, system: str | None = None, about: str | None = None, text: str | None = None,
    since: dt.datetime | None = None,
) -> list[Row]:  # fmt: skip
    """
    Return dead letters, newest first, by system, capability or stream, words of the error and when they were given up.

    Each is {id, kind ('effect' or 'payload'), system, about, record_id, state, error, given_up_at, engagement_id,
    edited_by, reason, is_waiting, found}; `found` counts all that fit, of which at most 500 are returned.
    """
    return store.rows(_LISTING, system=system, about=about, text=text, since=since, limit=MOST)


def show(store: Store, letter_id: str) -> Row:
    """
    Return one dead letter with its `payload` as it came (JSON, indented), the correction `edited` (None without one)
    and its `changes`, each a `Change`.

    Raises NeedsReview when it is none, or none any more.
    """
    row = _found(store, letter_id)
    changes = [] if row["edited"] is None else diff(_read(row["payload"]), _read(row["edited"]))
    return row | {
        "payload": _shown(row["payload"]),
        "edited": row["edited"] and _shown(row["edited"]),
        "changes": changes,
    }


def edit(store: Store, letter_id: str, text: str, who: Person, reason: str) -> list[Change]:
    """
    Keep a corrected copy, the whole payload as JSON, and return what it changes; `replay` sends it.

    Raises NeedsReview when it is no dead letter or no JSON, nothing changes, no reason is given or the person may not.
    """
    _must_be_allowed(who)
    if not reason.strip():
        raise NeedsReview(f"say why {letter_id} is corrected: the audit keeps it")
    with store.transaction("dead_letter.edit"):
        row = _found(store, letter_id)
        changes = diff(_read(row["payload"]), _decoded(letter_id, text))
        if moved := [change.field for change in changes if change.field in ("id", "Id")]:
            raise NeedsReview(f"the copy of {letter_id} has another {moved[0]}: it would be another record")
        if not changes:
            raise NeedsReview(f"the copy of {letter_id} is as it was; nothing was kept")
        store.run(_EDIT, id=letter_id, hash=row["payload_hash"], original=row["payload"],
                  payload=text, person=who.person, reason=reason)  # fmt: skip
        fields = [change.field for change in changes]
        audit.write(store, "dead_letter.edited", letter_id, who.person, {"reason": reason, "fields": fields})
    return changes


def replay(store: Store, letter_ids: Sequence[str], who: Person) -> list[Replayed]:
    """
    Put dead letters back in line, each as it was last corrected, and say what became of each.

    One that is in line, done or read again meanwhile is left alone, so that a second replay changes nothing. Raises
    NeedsReview when the person may not.
    """
    _must_be_allowed(who)
    return [_replay(store, letter_id, who) for letter_id in dict.fromkeys(letter_ids)]


def is_waiting(store: Store, system: str, instance: str, stream: str) -> bool:
    """Return whether somebody wants payloads of a stream read again."""
    return bool(store.value(_IS_WAITING, system=system, instance=instance, stream=stream))


def waiting(store: Store, system: str, instance: str, stream: str) -> list[Row]:
    """
    Return what of a stream is to be read again, in the caller's transaction, oldest wish first.

    Each is {replay_id, record_id, payload (to read), original (as received), person}. What was read again in a newer
    version since is overtaken and left out.
    """
    for row in store.rows(_OVERTAKE, system=system, instance=instance, stream=stream):
        _tell(store, row, "overtaken")
    return store.rows(_WAITING, system=system, instance=instance, stream=stream)


def ended(store: Store, asked: Sequence[Row]) -> None:
    """Close these wishes, in the transaction that read them: read, or still unreadable (its exception is open)."""
    for row in store.rows(_END, ids=[row["replay_id"] for row in asked]):
        _tell(store, row, row["outcome"])


def diff(was: Any, now: Any, field: str = "") -> list[Change]:
    """Return the fields in which two JSON values differ, by path."""
    if isinstance(was, dict) and isinstance(now, dict):
        names = [*was, *(name for name in now if name not in was)]
        inner = [(name, was.get(name), now.get(name)) for name in names]
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        inner = [(str(place), a, b) for place, (a, b) in enumerate(zip(was, now, strict=True))]
    else:
        # by repr: JSON's true is no 1 and its 1.0 no 1, which Python's == takes them for
        return [] if repr(was) == repr(now) else [Change(field, was, now)]
    return [change for name, a, b in inner for change in diff(a, b, f"{field}.{name}".lstrip("."))]


def corrected(store: Store, system: str, instance: str, stream: str, versions: dict[str, str]) -> set[str]:
    """Return those of these records (id -> payload hash) that were read as corrected, and in no newer version since."""
    rows = store.rows(_CORRECTED, system=system, instance=instance, stream=stream,
                      ids=list(versions), hashes=list(versions.values()))  # fmt: skip
    return {row["record_id"] for row in rows}


def _replay(store: Store, letter_id: str, who: Person) -> Replayed:
    with store.transaction("dead_letter.replay"):
        row = store.row("select * from ops.dead_letter where id = %(id)s", id=letter_id)
        if row is None:
            return Replayed(letter_id, False, "is no dead letter: done, in line or read again meanwhile")
        put = _effect(store, row) if row["kind"] == "effect" else _payload(store, row, who)
        if not put:
            return Replayed(letter_id, False, "is in line already")
        edited = {"edited_by": row["edited_by"], "reason": row["reason"], "is": put} if row["edited"] else {}
        audit.write(store, "dead_letter.replayed", letter_id, who.person, {"was": row["payload_hash"], **edited})
    by = "the run that owns it" if row["kind"] == "effect" else f"the next read of {row['system']} {row['about']}"
    return Replayed(letter_id, True, f"{by} takes it{' as corrected' if row['edited'] else ''}")


def _effect(store: Store, row: Row) -> str | None:
    """Put an effect back in line and return the hash of what it will send; None when somebody else did."""
    payload = json.loads(row["edited"] or row["payload"])
    is_now = effects.payload_hash(payload)
    corrected = store.run(
        _CORRECT, key=row["id"], was=row["payload_hash"], now=is_now, payload=json.dumps(payload)
    )  # fmt: skip
    return is_now if corrected and effects.reopen(store, [row["id"]]) else None


def _payload(store: Store, row: Row, who: Person) -> str | None:
    asked = store.run(
        _ASK, system=row["system"], instance=row["instance"], stream=row["about"], record=row["record_id"],
        hash=row["payload_hash"], payload=row["edited"] or row["payload"], person=who.person,
    )  # fmt: skip
    return str(row["payload_hash"]) if asked else None


def _tell(store: Store, row: Row, outcome: str) -> None:
    letter_id = f"{row['system']}/{row['stream']}/{row['record_id']}"
    audit.write(store, f"dead_letter.{outcome}", letter_id, row["person"], {"was": row["payload_hash"]})


def _found(store: Store, letter_id: str) -> Row:
    row = store.row("select * from ops.dead_letter where id = %(id)s", id=letter_id)
    if row is None:
        raise NeedsReview(f"{letter_id!r} is no dead letter; `psflow deadletters` lists them")
    return row


def _must_be_allowed(who: Person) -> None:
    if "exceptions" not in who.may:
        raise NeedsReview(f"{who.person} may not work on dead letters: psflow.yaml gives them no duty `exceptions`")


def _decoded(letter_id: str, text: str) -> Any:
    try:
        return _READ.decode(text)
    except msgspec.DecodeError as error:
        raise NeedsReview(f"the copy of {letter_id} is no JSON: {error}") from None


def _read(text: str) -> Any:
    """Return what a payload says, numbers with a point as Decimal; one that is no JSON says its text."""
    try:
        return _READ.decode(text)
    except msgspec.DecodeError:
        return text


def _shown(text: str) -> str:
    try:
        return msgspec.json.format(text, indent=2)  # its text, so that no digit of a number is lost
    except msgspec.DecodeError:
        return text


_LISTING = """
select id, kind, system, about, record_id, state, error, given_up_at, engagement_id, edited_by, reason, is_waiting,
       count(*) over () as found
from ops.dead_letter
where (%(system)s::text is null or system = %(system)s) and (%(about)s::text is null or about = %(about)s)
  and (%(text)s::text is null or strpos(lower(error), lower(%(text)s)) > 0)
  and (%(since)s::timestamptz is null or given_up_at >= %(since)s)
order by given_up_at desc, id limit %(limit)s
"""
_EDIT = """
insert into ops.dead_letter_edit (dead_letter, original_hash, original, payload, person, reason)
values (%(id)s, %(hash)s, %(original)s, %(payload)s, %(person)s, %(reason)s)
"""
# what a dead one may have landed with stays known; a refused one landed with nothing
_CORRECT = """
update ops.effect set payload = %(payload)s::jsonb, payload_hash = %(now)s,
    doubted_hash = case state when 'dead' then nullif(coalesce(doubted_hash, payload_hash), %(now)s) end,
    released_by = case when payload_hash = %(now)s then released_by end,
    released_at = case when payload_hash = %(now)s then released_at end
where effect_key = %(key)s and payload_hash = %(was)s and state in ('dead', 'refused')
"""
_ASK = """
insert into ops.payload_replay (system, instance, stream, record_id, payload_hash, payload, person)
values (%(system)s, %(instance)s, %(stream)s, %(record)s, %(hash)s, %(payload)s, %(person)s)
on conflict (system, instance, stream, record_id) where ended_at is null do nothing
"""
_IS_WAITING = """
select exists (select from ops.payload_replay
               where (system, instance, stream) = (%(system)s, %(instance)s, %(stream)s) and ended_at is null)
"""
_OVERTAKE = """
update ops.payload_replay waiting set outcome = 'overtaken', ended_at = clock_timestamp()
where (system, instance, stream) = (%(system)s, %(instance)s, %(stream)s) and ended_at is null and not exists (
    select from ops.dead_letter where (id, payload_hash)
        = (concat_ws('/', waiting.system, waiting.stream, waiting.record_id), waiting.payload_hash))
returning system, stream, record_id, payload_hash, person
"""
_WAITING = """
select waiting.*, (
    select payload from raw.record where (system, instance, kind, record_id, payload_hash)
        = (waiting.system, waiting.instance, waiting.stream, waiting.record_id, waiting.payload_hash)) as original
from ops.payload_replay waiting
where (system, instance, stream) = (%(system)s, %(instance)s, %(stream)s) and ended_at is null
order by replay_id for update
"""
_CORRECTED = """
select distinct record_id from ops.payload_replay done
join unnest(%(ids)s::text[], %(hashes)s::text[]) as given (record_id, payload_hash) using (record_id, payload_hash)
where (system, instance, stream, outcome) = (%(system)s, %(instance)s, %(stream)s, 'read')
  and not exists (select from raw.record newer
                  where (newer.system, newer.instance, newer.kind, newer.record_id)
                            = (done.system, done.instance, done.stream, done.record_id)
                    and newer.payload_hash <> done.payload_hash and newer.received_at > done.ended_at)
"""
_END = """
update ops.payload_replay waiting
set ended_at = clock_timestamp(), outcome = case when exists (
    select from ops.exceptions
    where (rule, field, state, entity, record_id) = ('record', 'payload', 'open', waiting.stream, waiting.record_id)
      and starts_with(message, waiting.system || ': ')) then 'unreadable' else 'read' end
where replay_id = any(%(ids)s) returning *
"""

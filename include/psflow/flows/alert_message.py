"""
What a team is told, in words: a subject, plain text, the same as HTML, and a text for chats.

Other systems' words (names, reasons, ids) are one line without control characters, escaped in HTML, and never in a
subject or in a chat, where a name could be a header, a mention or a link. Of what is about a person, the record and the
rule are told and not the reason, which may hold a value.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode

from psflow.contracts.text import one_line

Event = Literal["new", "escalated", "resolved"]
MOST = 20  # records a message lists
_LONGEST = 300
_HEADS: dict[Event, str] = {"escalated": "Overdue", "new": "New", "resolved": "Closed"}
_PERSONAL = {
    "resource", "resource_deletion", "resource_request", "absence", "assignment", "capacity", "cost_rate",
    "work_pattern",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Item:
    """One exception, and what of it is told. `occurrence`: how often it was opened."""

    exception_id: int
    event: Event
    occurrence: int
    rule: str
    entity: str
    record_id: str
    field: str
    message: str
    fix: str
    state: str
    due_at: dt.datetime
    amount_at_risk: Decimal | None
    currency: str | None
    money: str | None

    @property
    def key(self) -> str:
        """Name of this piece of news; it is the same however often it is told."""
        return f"{self.exception_id}.{self.event}.{self.occurrence}"


@dataclass(frozen=True, slots=True)
class Alert:
    """What one team is told now, the oldest first."""

    team: str
    items: tuple[Item, ...]

    @property
    def counts(self) -> dict[Event, int]:
        """Return event -> number of exceptions, what is most urgent first."""
        return {event: sum(item.event == event for item in self.items) for event in _HEADS}

    @property
    def at_risk(self) -> dict[str, Decimal]:
        """Return currency -> money of what is open."""
        found: dict[str, Decimal] = {}
        for item in self.items:
            if item.currency and item.amount_at_risk is not None and item.event != "resolved":
                found[item.currency] = found.get(item.currency, Decimal()) + item.amount_at_risk
        return found


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one team stands: its open exceptions, and the billing batches that wait for one of its people."""

    team: str
    exceptions: int
    overdue: int
    unassigned: int
    oldest: Decimal
    at_risk: dict[str, Decimal]
    waiting: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent. `key` is the same for the same news; `chat` is the JSON of a webhook."""

    key: str
    team: str
    subject: str
    text: str
    html: str
    chat: dict[str, Any]


class _Line(NamedTuple):
    ours: str
    link: str
    more: tuple[str, ...] = ()  # not for chats


def of_alert(alert: Alert, money: str, base_url: str) -> Message:
    """Return the message of an alert; `money` is what is at risk, as people read it."""
    said = {"new": "new", "escalated": "overdue", "resolved": "closed"}
    subject = f"{alert.team}: {', '.join(f'{n} {said[event]}' for event, n in alert.counts.items() if n)}"
    shown = [item for event in _HEADS for item in alert.items if item.event == event][:MOST]
    blocks = {head: [_line(item, base_url) for item in shown if item.event == event] for event, head in _HEADS.items()}
    if more := len(alert.items) - len(shown):
        blocks["More"] = [_Line(f"and {more} more", _page(base_url, team=alert.team))]
    keys = [item.key for item in alert.items]
    items = [{"key": i.key, "event": i.event, "rule": i.rule, "link": _link(i, base_url)} for i in shown]
    return _message("alert", keys, alert.team, subject, money, blocks, items)


def of_standing(standing: Standing, money: str, base_url: str, day: dt.date) -> Message:
    """Return the digest of a day."""
    team = standing.team
    oldest = f", the oldest for {standing.oldest} business days" if standing.exceptions else ""
    counts = [
        _Line(f"{standing.exceptions} open{oldest}", _page(base_url, team=team)),
        _Line(f"{standing.overdue} overdue", _page(base_url, team=team, overdue="true")),
        _Line(f"{standing.unassigned} assigned to nobody", _page(base_url, team=team, assignee="nobody")),
    ]
    waiting = [
        _Line(f"{row['step']} {row['batch_id']}: {row['totals']}", f"{base_url}/required_actions")
        for row in standing.waiting
    ]
    subject = f"{team} on {day}: {standing.exceptions} open, {standing.overdue} overdue, {len(waiting)} to approve"
    return _message("digest", [str(day)], team, subject, money, {"Exceptions": counts, "To approve": waiting}, [])


def _message(
    kind: str, keys: Iterable[str], team: str, subject: str, money: str, blocks: dict[str, list[_Line]],
    items: list[dict[str, Any]],
) -> Message:  # fmt: skip
    named = hashlib.sha256("\n".join([team, *sorted(keys)]).encode()).hexdigest()[:32]
    subject, key = f"[psflow] {_plain(subject)}", f"{kind}-{named}"
    head = [subject, *([f"At risk: {money}"] if money else [])]
    filled = {title: lines for title, lines in blocks.items() if lines}
    chat = {"text": "\n".join([*head, *_chat(filled)]), "key": key, "team": team, "items": items}
    return Message(key, team, subject, "\n".join([*head, *_text(filled)]) + "\n", "".join(_html(head, filled)), chat)


def _line(item: Item, base_url: str) -> _Line:
    ours = [f"#{item.exception_id} {item.rule}"]
    ours += [item.state] if item.event == "resolved" else [f"due {item.due_at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"]
    ours += [f"{item.money} at risk"] if item.money and item.event != "resolved" else []
    theirs = f"{item.entity} {item.record_id}, {item.field}"
    if item.entity not in _PERSONAL and item.rule != "effect":  # a vendor's answer may name anybody
        theirs += f": {item.message}"
    what_to_do = [] if item.event == "resolved" else [_plain(f"Do: {item.fix}")]
    return _Line(", ".join(ours), _link(item, base_url), (_plain(theirs), *what_to_do))


def _plain(text: str) -> str:
    """Return one line without control and direction characters, not longer than a reader wants."""
    line = one_line(text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _link(item: Item, base_url: str) -> str:
    return f"{base_url}/psflow/exceptions/{item.exception_id}"


def _page(base_url: str, **filters: str) -> str:
    return f"{base_url}/psflow/exceptions?{urlencode(filters)}"


def _text(blocks: dict[str, list[_Line]]) -> Iterator[str]:
    for title, lines in blocks.items():
        yield f"\n{title}"
        for line in lines:
            yield f"- {line.ours}"
            yield from (f"  {more}" for more in (*line.more, line.link))


def _chat(blocks: dict[str, list[_Line]]) -> Iterator[str]:
    for title, lines in blocks.items():
        yield title
        yield from (f"- {line.ours} {line.link}" for line in lines)


def _html(head: list[str], blocks: dict[str, list[_Line]]) -> Iterator[str]:
    yield "".join(f"<p>{escape(line)}</p>" for line in head)
    for title, lines in blocks.items():
        yield f"<h3>{escape(title)}</h3><ul>"
        for line in lines:
            more = "".join(f"<br>{escape(words)}" for words in line.more)
            yield f'<li><a href="{escape(line.link)}">{escape(line.ours)}</a>{more}</li>'
        yield "</ul>"

"""
The part of SOQL that psflow speaks: writing literals for the client, reading statements for the sandbox.

Grammar read: `SELECT field | (SELECT ... FROM children), ... FROM Object [WHERE field op literal [AND ...]]
[ORDER BY SystemModstamp, Id] [LIMIT n]` with op one of = != < <= > >= IN. Everything else is MalformedQuery.
Source: SOQL and SOSL Reference; an id literal is 15 or 18 letters and digits.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<datetime>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))|(?P<date>\d{4}-\d\d-\d\d)"
    r"|(?P<number>-?\d+(?:\.\d+)?)|(?P<text>'(?:[^'\\]|\\['\\])*')|(?P<word>[A-Za-z_]\w*)|(?P<mark><=|>=|!=|[=<>(),]))"
)
_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_OPERATORS = {"=", "!=", "<", "<=", ">", ">="}
_KEYWORDS = {"SELECT", "FROM", "WHERE", "AND", "OR", "IN", "ORDER", "BY", "LIMIT", "NOT", "LIKE"}


class MalformedQuery(ValueError):
    """The statement is not the SOQL spoken here; the message says where."""


def soql_datetime(value: dt.datetime) -> str:
    """Return a SOQL dateTime literal in UTC, cut to milliseconds. Raises ValueError without a time zone."""
    if value.tzinfo is None:
        raise ValueError("a SOQL dateTime needs a time zone")
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


def soql_id(value: str) -> str:
    """Return a quoted record id. Raises ValueError on anything that is not one, quotes included."""
    if not _ID.fullmatch(value):
        raise ValueError(f"{value!r} is not a Salesforce record id (15 or 18 letters and digits)")
    return f"'{value}'"


@dataclass(frozen=True, slots=True)
class Condition:
    """`field op value`; the value is a list for IN, None for null."""

    field: str
    op: str
    value: Any


@dataclass(frozen=True, slots=True)
class Query:
    """One statement. `child` is its only sub-query, whose `source` is a relationship's name."""

    fields: tuple[str, ...]
    source: str
    child: Query | None
    where: tuple[Condition, ...]
    order: tuple[str, ...]
    limit: int | None


def parse(statement: str) -> Query:
    """Read a statement. Raises MalformedQuery."""
    reader = _Reader(_tokens(statement))
    query = reader.query(nested=False)
    if reader.rest:
        raise MalformedQuery(f"unexpected token: '{reader.rest[0][1]}'")
    return query


def _tokens(statement: str) -> list[tuple[str, str]]:
    found, at, text = [], 0, statement.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise MalformedQuery(f"unexpected character at position {at}: '{text[at : at + 10]}'")
        found.append((match.lastgroup, match.group(match.lastgroup)))
        at = match.end()
    return found


class _Reader:
    """Recursive descent over the tokens; `rest` is what was not read yet."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.rest = tokens

    def take(self) -> tuple[str, str]:
        if not self.rest:
            raise MalformedQuery("unexpected end of query")
        return self.rest.pop(0)

    def have(self, *words: str) -> bool:
        """Read these words or marks when they come next."""
        ahead = [text.upper() for _, text in self.rest[: len(words)]]
        if ahead != list(words):
            return False
        del self.rest[: len(words)]
        return True

    def need(self, word: str) -> None:
        if not self.have(word):
            raise MalformedQuery(f"expected {word}, found '{self.rest[0][1] if self.rest else 'end of query'}'")

    def name(self) -> str:
        kind, text = self.take()
        if kind != "word" or text.upper() in _KEYWORDS:
            raise MalformedQuery(f"expected a name, found '{text}'")
        return text

    def query(self, nested: bool) -> Query:
        self.need("SELECT")
        fields: list[str] = []
        children: list[Query] = []
        while True:
            if self.have("("):
                if nested or children:
                    raise MalformedQuery("one sub-query, one level deep, is all this sandbox reads")
                children.append(self.query(nested=True))
                self.need(")")
            else:
                fields.append(self.name())
            if not self.have(","):
                break
        self.need("FROM")
        source = self.name()
        where = self.conditions() if self.have("WHERE") else ()
        order = self.order() if self.have("ORDER", "BY") else ()
        limit = self.number() if self.have("LIMIT") else None
        return Query(tuple(fields), source, children[0] if children else None, where, order, limit)

    def conditions(self) -> tuple[Condition, ...]:
        found = [self.condition()]
        while self.have("AND"):
            found.append(self.condition())
        return tuple(found)

    def condition(self) -> Condition:
        field = self.name()
        if self.have("IN"):
            self.need("(")
            values = [self.literal()]
            while self.have(","):
                values.append(self.literal())
            self.need(")")
            return Condition(field, "IN", values)
        _, op = self.take()
        if op not in _OPERATORS:
            raise MalformedQuery(f"unexpected operator: '{op}'")
        return Condition(field, op, self.literal())

    def literal(self) -> Any:
        kind, text = self.take()
        if kind == "datetime":
            return dt.datetime.fromisoformat(text)
        if kind == "text":
            return re.sub(r"\\(['\\])", r"\1", text[1:-1])
        if kind == "number":
            return float(text)
        if kind == "word" and text.lower() in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text.lower()]
        if kind == "date":
            return text
        raise MalformedQuery(f"unexpected token: '{text}'")

    def order(self) -> tuple[str, ...]:
        found = [self.name()]
        self.have("ASC")
        while self.have(","):
            found.append(self.name())
            self.have("ASC")
        if tuple(found) not in (("SystemModstamp", "Id"), ("SystemModstamp",), ("Id",)):
            raise MalformedQuery(f"this sandbox orders by SystemModstamp, Id only, not by {', '.join(found)}")
        return tuple(found)

    def number(self) -> int:
        kind, text = self.take()
        if kind != "number" or not text.isdigit():
            raise MalformedQuery(f"unexpected token: '{text}'")
        return int(text)

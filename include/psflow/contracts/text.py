"""What others wrote, made fit to be shown: without the characters that move a cursor, turn a line or hide a text."""

from __future__ import annotations

import re

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()<>#+.!|~&:@$])")


def storable(text: str) -> str:
    """Return text as Postgres takes it: a NUL as JSON writes it."""
    return text.replace("\0", "\\u0000")


def one_line(text: str) -> str:
    """Return text as one line of printable characters, each run of blanks as one."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def lines(text: str) -> str:
    """Return text line by line as `one_line` has it; blanks at the start of a line stay."""
    return "\n".join("".join(c if c.isprintable() else " " for c in line) for line in text.split("\n"))


def markdown(text: str) -> str:
    """Return text as one line that Markdown shows as it is, also in a table: no markup, link or address comes of it."""
    return _MARKDOWN.sub(r"\\\1", one_line(text))

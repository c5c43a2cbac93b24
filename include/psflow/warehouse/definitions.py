"""
What each of finance's numbers means, read from the head of the SQL file that makes it.

`python -m psflow.warehouse.definitions` writes `docs/definitions.md`; migrating makes the views from the same files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

from psflow.errors import ConfigurationError

PAGE = Path(__file__).parents[3] / "docs" / "definitions.md"
_HERE = Path(__file__).parent
_COLUMN = re.compile(r"comment on column (\w+\.\w+)\.(\w+) is\s+'((?:[^']|'')*)'")
_WORDS = ("id", "grain", "unit", "owner", "source")


@dataclass(frozen=True, slots=True)
class Definition:
    """One table or view of schema `finance`. `source` are the tables it reads, `columns` name -> meaning with unit."""

    relation: str
    says: str
    id: str
    grain: str
    unit: str
    owner: str
    source: tuple[str, ...]
    columns: dict[str, str]
    text: str


def views() -> list[Definition]:
    """Return the views of `metrics/`, each after those it reads. Raises ConfigurationError when a head lacks a word."""
    read = [_read("metrics", path.stem) for path in sorted((_HERE / "metrics").glob("*.sql"))]
    found = {definition.relation: definition for definition in read}
    order = TopologicalSorter({name: sorted(set(d.source) & set(found)) for name, d in found.items()})
    return [found[name] for name in order.static_order()]


def tables() -> list[Definition]:
    """Return what is written record by record rather than defined as a view."""
    return [_read("reconciliation", "tie_out", "finance.invoice_tie_out")]


def _read(folder: str, name: str, relation: str | None = None) -> Definition:
    text = (_HERE / folder / f"{name}.sql").read_text(encoding="utf-8")
    says, words = _head(text)
    if missing := [word for word in _WORDS if not words.get(word)]:
        raise ConfigurationError(f"warehouse/{folder}/{name}.sql: its head lacks {', '.join(missing)}")
    source = tuple(re.split(r",\s*", words["source"]))
    columns = {column: meaning.replace("''", "'") for _, column, meaning in _COLUMN.findall(text)}
    return Definition(
        relation or f"finance.{name}", says, words["id"], words["grain"], words["unit"], words["owner"], source,
        columns, text,
    )  # fmt: skip


def _head(text: str) -> tuple[str, dict[str, str]]:
    """Return the first line, and `word: value` of those below; an indented line goes on with the value above."""
    says, *lines = [line[3:] for line in text.split("\n\n")[0].splitlines() if line.startswith("-- ")]
    words: dict[str, str] = {}
    for line in lines:
        word, colon, value = line.partition(":")
        if line.startswith(" "):
            words[list(words)[-1]] += " " + line.strip()
        elif colon:
            words[word] = value.strip()
    return says, words


def page() -> str:
    """Return the page of definitions as Markdown."""
    head = (
        "# Definitions\n\n"
        "What each number in schema `finance` means. Generated from the SQL files by "
        "`python -m psflow.warehouse.definitions`;\nchange the file, not this page.\n\n"
        "A number that lacks a rate, an exchange rate or a capacity is null and its row says what is `missing`. "
        "It is never 0.\n"
    )
    return head + "".join(_section(d) for d in sorted([*tables(), *views()], key=lambda d: d.relation))


def _section(d: Definition) -> str:
    facts = f"`{d.id}` · grain: {d.grain} · unit: {d.unit} · owner: {d.owner}"
    rows = "".join(f"| `{name}` | {meaning} |\n" for name, meaning in d.columns.items())
    table = f"\n| column | meaning and unit |\n|---|---|\n{rows}" if rows else ""
    source = ", ".join(f"`{name}`" for name in d.source)
    return f"\n## {d.relation}\n\n{d.says}\n\n{facts}\n\nSource: {source}\n{table}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

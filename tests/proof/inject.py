"""
Hostile names and notes through every sink that psflow writes to, each by the product's own writer.

`python -m tests.proof.inject`, with STRINGS (2000) and SEED (1). A naive writer beside each must be caught, or the
check could not have seen an escape. psflow writes no XLSX.
"""

from __future__ import annotations

import os
import shutil
import sys

from tests.airflow.conftest import HOME
from tests.proof import report
from tests.security import hostile
from tests.security.place import business_database
from tests.security.sinks import SINKS, Sink
from tests.security.sql_sinks import by_copy, by_parameter, naive_copy, naive_sql


def escapes(sink: Sink, strings: list[str]) -> int:
    """Return how many strings did not arrive as themselves."""
    found = 0
    for text in strings:
        if not sink.checked(text):
            found += 1
            if found <= 3:
                print(f"inject: {sink.name}: {text!r}", file=sys.stderr)
    return found


def naive_is_caught(sink: Sink) -> bool:
    """Whether the check of a sink sees what a writer without its care does, on the plainest of the strings."""
    return any(not sink.holds(text, sink.naive(text)) for text in hostile.SEEDS)


def main() -> int:
    count, seed = int(os.environ.get("STRINGS") or 2000), int(os.environ.get("SEED") or 1)
    strings = list(hostile.strings(count, seed))
    found: dict[str, int] = {}
    blind: list[str] = []
    for sink in SINKS:
        found[sink.name] = escapes(sink, strings)
        blind += [] if naive_is_caught(sink) else [sink.name]
    with business_database() as url:
        found |= {"sql": by_parameter(url, strings), "copy": by_copy(url, strings)}
        blind += [name for name, caught in (("sql", naive_sql(url)), ("copy", naive_copy(url))) if not caught]
    figures = {"strings": count, "sinks": len(found), "written": count * len(found), "escapes": sum(found.values()),
               "controls_caught": len(found) - len(blind), "seed": seed}  # fmt: skip
    if blind or figures["escapes"]:
        print(f"inject: escapes {found}; checks that see nothing: {blind}", file=sys.stderr)
    return report.close("inject", figures, figures["escapes"] == 0 and not blind)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    finally:
        shutil.rmtree(HOME, ignore_errors=True)

"""
Hostile names and notes through every sink that psflow writes to, each by the product's own writer.

`python -m tests.proof.inject`, with STRINGS (2000) and SEED (1). A naive writer beside each must be caught, or the
check could not have seen an escape.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import shutil
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.airflow.conftest import HOME
from tests.proof import report
from tests.security import hostile
from tests.security.place import business_database
from tests.security.sinks import SINKS, Sink
from tests.security.sql_sinks import by_copy, by_parameter, naive_copy, naive_sql

_SLICE = 5000


def escapes(strings: list[str], start: int) -> Counter[str]:
    """Return sink -> how many strings of a slice did not arrive as themselves."""
    found = Counter({sink.name: 0 for sink in SINKS})
    for sink in SINKS:
        failing = sink.failing(strings[start : start + _SLICE])
        found[sink.name] = len(failing)
        for text in failing[:3]:
            print(f"inject: {sink.name}: {text!r}", file=sys.stderr)
    return found


def naive_is_caught(sink: Sink) -> bool:
    """Whether the check of a sink sees what a writer without its care does, on the plainest of the strings."""
    return any(not sink.holds(text, sink.naive(text)) for text in hostile.SEEDS)


def main() -> int:
    logging.disable(logging.INFO)  # with Airflow's settings each step of the migration would be told
    count, seed = int(os.environ.get("STRINGS") or 2000), int(os.environ.get("SEED") or 1)
    strings = list(hostile.strings(count, seed))
    found, blind = Counter[str](), [sink.name for sink in SINKS if not naive_is_caught(sink)]
    with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
        for part in pool.map(partial(escapes, strings), range(0, count, _SLICE)):
            found.update(part)
    with business_database() as url:
        found.update({"sql": by_parameter(url, strings), "copy": by_copy(url, strings)})
        blind += [name for name, caught in (("sql", naive_sql(url)), ("copy", naive_copy(url))) if not caught]
    figures = {"strings": count, "sinks": len(found), "written": count * len(found), "escapes": found.total(),
               "controls_caught": len(found) - len(blind), "seed": seed}  # fmt: skip
    if blind or figures["escapes"]:
        print(f"inject: escapes {dict(found)}; checks that see nothing: {blind}", file=sys.stderr)
    return report.close("inject", figures, figures["escapes"] == 0 and not blind)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    finally:
        shutil.rmtree(HOME, ignore_errors=True)

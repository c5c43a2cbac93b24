"""`python -m tests.proof.table`: the proofs that ran here as the Markdown table of docs/reliability.md."""

from __future__ import annotations

import json
from pathlib import Path

from tests.proof import report

RUN = {
    "crash": "make crash",
    "crash-pairs": "make crash PAIRS=",
    "crash-schedules": "make crash SCHEDULES=",
    "crash-postgres": "make crash PGKILLS=",
    "crash-mutants": "make crash MUTANTS=all",
}


def line(file: Path) -> str:
    """Return the row of one proof."""
    figures = json.loads(file.read_text(encoding="utf-8"))
    command, at, ok = (figures.pop(name) for name in ("command", "at", "ok"))
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures.items())
    how, when = RUN.get(command, f"make {command}"), at[:16].replace("T", " ")
    return f"| `{how}` | {when} | {told} | {'ok' if ok else 'FAILED'} |"


def main() -> None:
    """Print the table."""
    print("| command | UTC | figures | |", "|---|---|---|---|", sep="\n")
    print(*map(line, sorted((report.state() / "proof").glob("*.json"))), sep="\n")


if __name__ == "__main__":
    main()

"""What was measured, against the goals: on the screen, in `results.json`, and in docs/performance.md from that."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Said = dict[str, dict[str, Any]]  # what each contender of a round said of itself
Rounds = Sequence[Said]
Sign = Literal["<=", ">="]


@dataclass(frozen=True)
class Row:
    """
    One goal. `ratio` is null when it was not measured; `goal` is `<=` or `>=` and a number.

    `indicative`: measured, but not in the way that the goal is meant (a small form, or a machine that was busy).
    """

    name: str
    ratio: float | None
    goal: str
    met: bool
    indicative: bool

    @classmethod
    def of(cls, name: str, ratio: float | None, sign: Sign, bound: float, indicative: bool = False) -> Row:
        """Return the row of a measured number; a missing one misses its goal."""
        met = ratio is not None and (ratio <= bound if sign == "<=" else ratio >= bound)
        return cls(name, None if ratio is None else round(ratio, 3), f"{sign} {bound:g}", met, indicative)


def rows(rounds: Rounds, smaller: Said, fifth: float, posting: dict[str, float], loose: bool) -> list[Row]:
    """
    Return a row a goal.

    `smaller` is the round of a firm with `fifth` of the entries; `loose`: every ratio of seconds is only indicative.
    """

    def mid(name: str, what: str = "seconds") -> float:
        return statistics.median(float(each[name][what]) for each in rounds)

    def most(name: str, what: str) -> float:
        return max(float(each[name][what]) for each in rounds)

    def ratio(name: str, over: float, under: float, sign: Sign, bound: float) -> Row:
        return Row.of(name, over / under, sign, bound, loose)

    gave_up = any("gave_up" in each["psflow bills"] for each in rounds)  # then nothing was billed to compare

    def billed(row: Row) -> Row:
        return Row(row.name, None, row.goal, False, row.indicative) if gave_up else row

    lands, bills, plain = mid("psflow lands"), mid("psflow bills"), mid("plain SQL bills")
    ours, theirs = mid("psflow lands", "whole_s") + bills, mid("dlt lands") + mid("dbt bills")
    small = float(smaller["psflow lands"]["whole_s"]) + float(smaller["psflow bills"]["seconds"])
    return [
        ratio("landing: psflow / raw COPY", lands, mid("copy"), "<=", 1.6),
        ratio("landing: dlt / psflow", mid("dlt lands"), lands, ">=", 4),
        Row.of("landing: peak memory in MB", most("psflow lands", "peak_mb"), "<=", 150),
        ratio("merge of a tenth: psflow / COPY of it", mid("psflow merges"), mid("copy a tenth"), "<=", 2.8),
        Row.of("merge of a tenth: unchanged rows touched", most("psflow merges", "unchanged_touched"), "<=", 0),
        ratio("gate, all failing keys: psflow / plain SQL", mid("gate"), mid("plain SQL checks"), "<=", 1.8),
        Row.of("gate: peak memory of the process in MB", most("gate", "peak_mb"), "<=", 300),
        Row.of("gate: failing keys missing or too many", max(map(_wrong_keys, rounds)), "<=", 0),
        ratio("billing: psflow / plain SQL", bills, plain, "<=", 1.5),
        billed(Row.of("billing: charges that differ from plain SQL", most("same charges", "different"), "<=", 0)),
        billed(ratio("billing, 0.1 % changed: / full", mid("0.1 % changed"), bills, "<=", 0.08)),
        billed(ratio("billing, 1 % changed: / full", mid("1 % changed"), bills, "<=", 0.3)),
        billed(
            Row.of("billing, changed: projects that differ from a full rebuild", most("rebuilt", "different"), "<=", 0)
        ),
        ratio("landing to lines: dlt + dbt / psflow", theirs, ours, ">=", 2.5),
        ratio("landing to lines: seconds a row / at a fifth of the rows", ours * fifth, small, "<=", 1.15),
        Row.of("posting: share of the sandbox's rate, 16 in flight", posting["sandbox"], ">=", 0.9, loose),
        Row.of("posting: share of Tryton's own rate, one company at a time", posting["tryton"], ">=", 0, loose),
    ]


def _wrong_keys(each: Said) -> int:
    gate, plain = each["gate"], each["plain SQL checks"]
    wrong = abs(gate["keys"] - plain["keys"]) + abs(gate["named"] - gate["keys"])
    return wrong or int(gate["digest"] != plain["digest"])


def keep(folder: Path, about: dict[str, Any], found: Sequence[Row], rounds: Rounds) -> None:
    """Write `results.json`: what the bench ran on, a row a goal, and what each process said."""
    content = about | {"rows": [asdict(row) for row in found], "rounds": rounds}
    (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def lines(found: Sequence[Row]) -> list[str]:
    """Return the rows as a table for the screen."""
    return [f"{_word(row):<7}{_number(row.ratio):>10}  {row.goal:<8}{row.name}" for row in found]


def _word(row: Row) -> str:
    return "not run" if row.ratio is None else ("met" if row.met else "MISSED") + ("~" if row.indicative else "")


def _number(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.3g}" if ratio < 100 else f"{ratio:.0f}"


def document(results: Path, target: Path) -> None:
    """Write the page for people from `results.json`, and from nothing else."""
    found = json.loads(results.read_text(encoding="utf-8"))
    measured = [Row(**row) for row in found["rows"]]
    table = [f"| {r.name} | {_number(r.ratio)} | {r.goal} | {_verdict(r)} |" for r in measured]
    steps = [f"| {name} | {seconds:.2f} | {peak:.0f} |" for name, seconds, peak in _contenders(found["rounds"])]
    text = Path(__file__).with_name("page.md").read_text(encoding="utf-8").format(
        rows=f"{found['size']:,}", seed=found["seed"], cores=found["cores"], load=found["load"],
        rounds=len(found["rounds"]), table="\n".join(table), steps="\n".join(steps),
        missed=sum(not r.met for r in measured), all=len(measured),
    )  # fmt: skip
    target.write_text(text, encoding="utf-8")


def _verdict(row: Row) -> str:
    said = "not measured" if row.ratio is None else "met" if row.met else "**missed**"
    return f"{said}, indicative" if row.indicative and row.ratio is not None else said


def _contenders(rounds: Rounds) -> list[tuple[str, float, float]]:
    return [
        (
            name + (" (given up)" if any("gave_up" in each[name] for each in rounds) else ""),
            statistics.median(each[name]["seconds"] for each in rounds),
            max(each[name]["peak_mb"] for each in rounds),
        )
        for name, said in rounds[0].items()
        if "seconds" in said
    ]

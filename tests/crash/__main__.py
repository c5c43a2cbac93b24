"""`python -m tests.crash [overlap|pause]`: run a proof and close it with one line; its size is in the environment."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash import hunt, modes, together
from tests.crash.case import Case, Result
from tests.crash.mutants import EXPLAINED, MUTANTS
from tests.crash.pool import Pool, server
from tests.crash.run import Bench
from tests.proof import report

SEEDS = Path(__file__).with_name("seeds.txt")
VIRTUAL = os.environ.get("CLOCK") != "wall"
WORKERS = int(os.environ.get("WORKERS") or 2)
A_SEED = 100  # cases of one seed, of what is drawn by lot
KINDS = ("lost", "doubled", "cents", "blocked", "audit")


def run_case(bench: Bench, case: Case) -> Result:
    """Run one case."""
    return bench.run(case)


@dataclass
class Proof:
    """What a proof has seen so far."""

    name: str
    began: float = field(default_factory=time.monotonic)
    runs: int = 0
    kills: int = 0
    struck: int = 0
    points: set[str] = field(default_factory=set)
    wrong: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result) -> None:
        """Count a result; what is wrong is printed with the line that replays it, and kept."""
        self.runs += 1
        self.kills += result.kills
        self.struck += result.struck
        self.points |= set(result.points)
        if result.wrong:
            self.wrong.update({said.partition(":")[0] for said in result.wrong})
            print(f"BROKEN {self.again(result.case)}", *result.wrong[:5], sep="\n    ", flush=True)
            if self.name.startswith("crash") and VIRTUAL:
                keep(result.case)

    def again(self, case: Case) -> str:
        """Return the line that runs a case again; workers at once are not the same twice."""
        return "make overlap, of " + str(case) if self.name == "overlap" else f"make {self.name[:5]} REPLAY='{case}'"

    def figures(self) -> dict[str, Any]:
        """Return the numbers of the closing line."""
        counts = {kind: self.wrong[kind] for kind in KINDS}
        return {"runs": self.runs, "kills": self.kills, "points": len(self.points), "faults": self.struck} | counts


def keep(case: Case) -> None:
    """Keep a failing case for ever."""
    kept = SEEDS.read_text().splitlines() if SEEDS.exists() else []
    if str(case) not in kept and not case.mutant and (case.kills or case.faults):
        SEEDS.write_text("\n".join([*kept, str(case)]) + "\n")


def remembered() -> list[Case]:
    """Return the cases that once failed."""
    lines = SEEDS.read_text().splitlines() if SEEDS.exists() else []
    return [Case.parse(line) for line in lines if line and not line.startswith("#")]


Choose = Callable[[int, modes.Trails, list[str], int], list[Case]]


def run_without_postgres(bench: Bench, case: Case) -> Result:
    """Run one case in which Postgres dies: what was committed must be on disk."""
    bench.databases.synchronous = "on"
    return bench.run(case)


def prove(
    name: str, choose: Choose, count: int, done: Callable[[Proof], int],
    work: Callable[[Bench, Case], Result] = run_case, size: int = 0,
) -> int:  # fmt: skip
    """Run cases of one seed after another until `count` are counted."""
    seed, profiles = int(os.environ.get("SEED") or 1), modes.chosen(os.environ.get("PROFILES") or "")
    proof = Proof(name)
    with server() as at, Pool(*at, size=size or WORKERS, virtual=VIRTUAL) as pool:
        for result in pool.map(run_case, remembered()):
            proof.add(result)
        for each in modes.seeds(seed):
            left = count - done(proof)
            if left <= 0:
                break
            trails = {r.case.stage: r.points for r in collected(proof, pool.map(run_case, modes.baselines(each)))}
            trails = {stage: trails[stage] for stage in modes.STAGES}
            some = left if choose is modes.every_point else min(left, A_SEED)
            for result in pool.map(work, choose(each, trails, profiles, some)):
                proof.add(result)
        planted = hunted(pool, sample(max(1, count // 20))) if name == "crash" and VIRTUAL else {}
    return close(proof, planted | {"profiles": len(profiles), "seed": seed})


def collected(proof: Proof, results: Iterable[Result]) -> Iterator[Result]:
    """Count results and pass them on."""
    for result in results:
        proof.add(result)
        yield result


def close(proof: Proof, more: dict[str, Any]) -> int:
    """Print the closing line, write the figures, and return the exit code."""
    took = {"minutes": round((time.monotonic() - proof.began) / 60, 1)}
    living = int(more.get("mutants", 0)) - int(more.get("mutants_killed", 0))
    return report.close(proof.name, proof.figures() | more | took, ok=not proof.wrong and living <= len(EXPLAINED))


def overlap(count: int) -> int:
    """Let three workers at once do the same, on the real clock."""
    seed, profiles, proof = (
        int(os.environ.get("SEED") or 1),
        modes.chosen(os.environ.get("PROFILES") or ""),
        Proof("overlap"),
    )
    with server() as at, Pool(*at, size=WORKERS, virtual=False) as pool:
        for result in pool.map(together.overlap, together.overlaps(seed, count, profiles)):
            proof.add(result)
    return close(proof, {"profiles": len(profiles), "seed": seed})


def replay(line: str, work: Callable[[Bench, Case], Result]) -> int:
    """Run one case twice and tell whether both runs were the same."""
    proof, case = Proof("crash-again"), Case.parse(line)
    with server() as at, Pool(*at, size=1) as pool:
        digests = {r.digest for r in collected(proof, pool.map(work, [case, case]))}
    return close(proof, {"same": len(digests) == 1})


def hunted(pool: Pool, names: list[str]) -> dict[str, Any]:
    """Plant and hunt these mutants; print each, and return the figures."""
    kills = list[hunt.Kill]()
    for kill in pool.map(hunt.hunt, names):
        kills.append(kill)
        said = kill.healthy or kill.unjudged or kill.found or kill.why
        print(f"{'killed' if kill.counts else 'ALIVE '} {kill.mutant}: {said}", flush=True)
    return {"mutants": len(kills), "mutants_killed": sum(kill.counts for kill in kills)}


def mutants(names: list[str]) -> int:
    """Hunt mutants alone."""
    proof = Proof("crash-mutants")
    with server() as at, Pool(*at, size=WORKERS) as pool:
        return close(proof, hunted(pool, names))


def sample(count: int) -> list[str]:
    """Return that many mutants, spread over the table."""
    every = list(MUTANTS)
    return every[:: max(1, len(every) // count)][:count] if count < len(every) else every


def main(arguments: list[str]) -> int:
    """Run what the environment asks for."""
    size = {name: int(os.environ.get(name) or 0) for name in ("KILLS", "PAIRS", "SCHEDULES", "PGKILLS", "RUNS")}
    if line := os.environ.get("REPLAY"):
        return replay(line, together.pause if arguments == ["pause"] else run_without_postgres)
    if arguments == ["overlap"]:
        return overlap(size["RUNS"] or 300)
    if arguments == ["pause"]:
        return prove("pause", together.pauses, size["RUNS"] or 100, lambda proof: proof.kills, together.pause)
    if size["PGKILLS"]:
        return prove("crash-postgres", modes.without_postgres, size["PGKILLS"], lambda proof: proof.kills,
                     run_without_postgres, 1)  # fmt: skip
    if names := os.environ.get("MUTANTS"):
        return mutants(list(MUTANTS) if names == "all" else names.split(","))
    if size["PAIRS"]:
        return prove("crash-pairs", modes.pairs, size["PAIRS"], lambda proof: proof.runs)
    if size["SCHEDULES"]:
        return prove("crash-schedules", modes.schedules, size["SCHEDULES"], lambda proof: proof.runs)
    return prove("crash", modes.every_point, size["KILLS"] or 5000, lambda proof: proof.kills)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

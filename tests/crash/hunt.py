"""Each mutant is planted and hunted, in few runs; the guard itself is seen to hold before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import psycopg

from psflow.errors import PsflowError
from tests.crash import attacks, clock, workloads
from tests.crash.attacks import Attack
from tests.crash.case import Case, Result
from tests.crash.mutants import EXPLAINED, MUTANTS
from tests.crash.planting import Mutant
from tests.crash.profiles import PROFILES
from tests.crash.run import Bench

SEEDS = (3, 1, 2)  # a mutant that none of these finds has survived
_HUNT = re.compile(
    r"(?P<stage>\w+)/(?P<profile>\w+)(?:@(?P<point>[^+~!?]+)(?:\+(?P<late>[\d.]+))?)?(?:~(?P<down>\d+))?"
    r"(?:!(?P<fault>[^?]+))?(?:\?(?P<broken>\w+))?"
)
_PASSED, _REFUSED = 0, 9


@dataclass(frozen=True, slots=True)
class Kill:
    """What became of a mutant: how it was found, or None; and what is wrong without it, which must be nothing."""

    mutant: str
    found: str | None
    runs: int
    healthy: str | None = None
    why: str = ""  # the last refusal, of an attack
    unjudged: str | None = None  # what is found of it with the oracle off, which must be nothing

    @property
    def counts(self) -> bool:
        """Whether the harness found it, and only it, and only by looking."""
        return self.found is not None and self.healthy is None and self.unjudged is None


def hunt(bench: Bench, name: str) -> Kill:
    """Plant one mutant and look for it."""
    try:
        return _hunt(bench, name)
    except (RuntimeError, LookupError, psycopg.Error) as error:
        return Kill(name, None, 0, f"could not be planted or tried: {error}")


def _hunt(bench: Bench, name: str) -> Kill:
    mutant, runs = MUTANTS[name], 0
    if mutant.attack:
        if said := attacked(bench, mutant.attack, None, mutant.beside):
            return Kill(name, None, 1, f"the attack passes with the guard on: {said}")
        return Kill(name, attacked(bench, mutant.attack, mutant, mutant.beside), 2, why=bench.why)
    for seed in SEEDS:
        for case in cases(bench, mutant, name, seed):
            runs += 1
            if wrong := bench.run(case).wrong:
                placebo = replace(mutant, by=mutant.text, statement="")
                healthy, unjudged = bench.run(case, mutant=placebo).wrong, blind(bench, case).wrong
                said = f"{case}: {wrong[0][:200]}"
                return Kill(name, said, runs, next(iter(healthy), None), unjudged=next(iter(unjudged), None))
    return Kill(name, None, runs)


def cases(bench: Bench, mutant: Mutant, name: str, seed: int) -> Iterator[Case]:
    """Yield the cases of a seed in which the mutant is hunted."""
    for text in mutant.hunts:
        found = _HUNT.fullmatch(text)
        assert found, text
        stage, point = found["stage"], found["point"]
        kills: tuple[tuple[int, float], ...] = ()
        if point:
            trail = bench.run(Case(stage, "unique", seed), judge=False).points
            kills = ((trail.index(point) + 1, float(found["late"] or 0)),)
        faults = ((found["fault"].split(":")[0], found["fault"].split(":")[1]),) if found["fault"] else ()
        yield Case(stage, found["profile"], seed, kills, faults, found["broken"] or "", name, float(found["down"] or 1))


def blind(bench: Bench, case: Case) -> Result:
    """Run a case and look at nothing."""
    return bench.run(case, judge=False)


def attacked(bench: Bench, attack: Attack, mutant: Mutant | None, beside: str) -> str | None:
    """Try what must not pass, in the books of a firm that has billed once; return how it passed, None when refused."""
    case = Case("correction", "unique", SEEDS[0])
    firm, desk = bench.before(case)
    for statement in (beside, mutant.statement if mutant else ""):
        if statement:
            bench.databases.as_owner(statement)
    bench.vendors.ask("behave", PROFILES["unique"])
    workloads.act(case.stage, firm, desk)
    code = bench.reap(bench.fork(lambda: _attack(bench, attack, mutant)))
    bench.settle()
    if code == _REFUSED:
        bench.why = bench.memory.with_name(f"{bench.memory.name}.refused").read_text()
        return None
    if code != _PASSED:
        raise RuntimeError(f"the attack broke: {bench.error()}")
    return "it passed"


def _attack(bench: Bench, attack: Attack, mutant: Mutant | None) -> None:
    if mutant:
        mutant.apply()
    clock.install_in_workers(bench.board)
    try:
        bench.with_day(PROFILES["unique"], attack)
    except (PsflowError, psycopg.Error, attacks.Held) as error:
        bench.memory.with_name(f"{bench.memory.name}.refused").write_text(f"{type(error).__name__}: {error}"[:300])
        raise SystemExit(_REFUSED) from None


def survivors(kills: list[Kill]) -> list[str]:
    """Return what is to be said about mutants that live."""
    return [
        f"{k.mutant}: {k.healthy or EXPLAINED.get(k.mutant, f'nobody found it {k.why}')}" for k in kills if not k.counts
    ]

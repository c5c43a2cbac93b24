"""Which cases a proof runs: every point, pairs of them, schedules of faults; the same list for the same seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence

from tests.crash.case import Case
from tests.crash.points import POSTGRES_DIES
from tests.crash.profiles import PROFILES
from tests.crash.workloads import STAGES

FAULTS = ("throttle", "error_before", "error_after", "timeout_after_commit", "late_landing", "reset_after",
          "expired_token")  # fmt: skip
_BROKEN = "1001"  # in every request about the first deal
Trails = dict[str, list[str]]  # stage -> the points that an undisturbed run reaches


def baselines(seed: int) -> list[Case]:
    """Return the undisturbed run of each stage."""
    return [Case(stage, "unique", seed) for stage in STAGES]


def every_point(seed: int, trails: Trails, profiles: Sequence[str], limit: int) -> list[Case]:
    """
    Return one death at each step under each profile, the first occurrence of each point first, at most `limit`.

    What was sent when the worker died is applied at once, or late, by turns.
    """
    ranked = list[tuple[int, int, Case]]()
    for stage, trail in trails.items():
        seen = Counter[str]()
        for step, name in enumerate(trail, 1):
            for turn, profile in enumerate(profiles):
                late = (0.0, 1.0, 0.4)[(step + turn) % 3] if name.endswith(":sent") else 0.0
                rank = seen[name] * len(profiles) + (turn + step) % len(profiles)
                ranked.append((rank, len(ranked), Case(stage, profile, seed, ((step, late),))))
            seen[name] += 1
    chosen = [case for *_, case in sorted(ranked, key=lambda each: each[:2])[:limit]]
    return sorted(chosen, key=lambda case: STAGES.index(case.stage))


def without_postgres(seed: int, trails: Trails, profiles: Sequence[str], count: int) -> list[Case]:
    """Return deaths of the database, each at another step."""
    dice = random.Random(f"postgres {seed}")
    steps = [(stage, dice.randint(1, len(trail))) for stage, trail in dice.choices(list(trails.items()), k=count)]
    cases = [Case(stage, dice.choice(list(profiles)), seed, ((step, POSTGRES_DIES),)) for stage, step in steps]
    return sorted(cases, key=lambda case: STAGES.index(case.stage))


def pairs(seed: int, trails: Trails, profiles: Sequence[str], count: int) -> list[Case]:
    """Return deaths that are followed by the death of whoever came to finish the work."""
    dice = random.Random(f"pairs {seed}")
    cases = [_dying(dice, seed, trails, profiles, 2) for _ in range(count)]
    return sorted(cases, key=lambda case: STAGES.index(case.stage))


def _dying(dice: random.Random, seed: int, trails: Trails, profiles: Sequence[str], times: int) -> Case:
    stage = dice.choice(list(trails))
    steps, at = list[tuple[int, float]](), 0
    for _ in range(times):
        at += dice.randint(1, max(1, len(trails[stage]) // times))
        steps.append((at, dice.choice((0.0, 0.4, 1.0))))
    return Case(stage, dice.choice(list(profiles)), seed, tuple(steps))


def schedules(seed: int, trails: Trails, profiles: Sequence[str], count: int) -> list[Case]:
    """Return up to four faults a run, up to two deaths, and now and then one deal that its vendors take no more."""
    dice = random.Random(f"schedules {seed}")
    cases = list[Case]()
    for _ in range(count):
        case = _dying(dice, seed, trails, profiles, dice.choice((0, 0, 1, 2)))
        faults = {dice.randint(1, max(4, len(trails[case.stage]) // 2)): dice.choice(FAULTS) for _ in range(4)}
        some = tuple(sorted(faults.items())[: dice.randint(1, 4)])
        broken = _BROKEN if dice.random() < 0.1 else ""
        cases.append(Case(case.stage, case.profile, seed, case.kills, some, broken))
    return sorted(cases, key=lambda case: STAGES.index(case.stage))


def seeds(first: int) -> Iterator[int]:
    """Yield the seeds of a proof, without end."""
    while True:
        yield first
        first += 1


def chosen(names: str) -> list[str]:
    """Return the profiles of a comma-separated list; all of them for ''. Raises SystemExit on an unknown one."""
    wanted = [name for name in names.split(",") if name] or list(PROFILES)
    if strangers := sorted(set(wanted) - PROFILES.keys()):
        raise SystemExit(f"PROFILES names {', '.join(strangers)}; there are {', '.join(PROFILES)}")
    return wanted

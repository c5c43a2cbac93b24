"""Two workers of one stage: at once, on the real clock; or one that sleeps past its lease while another takes over."""

from __future__ import annotations

import os
import random
import re
import signal
from pathlib import Path

from tests.crash import workloads
from tests.crash.case import Case, Result
from tests.crash.profiles import PROFILES
from tests.crash.run import Bench, Blocked

CAST = ("live", "backfill", "rerun")
_ALIVE = (0, 75)  # it ended by itself, or asks to be tried again
_BY_HAND = ("ERP customers", "PSA allocations")  # a stray of these is closed by a person
_OUTSIDE = (":before-commit", ":ended")  # whoever sleeps in a transaction holds its locks until its session is ended


def overlap(bench: Bench, case: Case) -> Result:
    """
    Let a live run, a backfill and a rerun of one stage work at once, one of them killed in every second run.

    Each does every task by itself, and may be told that another was faster; none may end by an error of ours.
    """
    result = Result(case)
    firm, desk = bench.before(case)
    bench.vendors.ask("behave", PROFILES[case.profile])
    bench.trail.write_text("")
    workloads.act(case.stage, firm, desk)
    crew = {name: bench.memory.with_name(f"{bench.memory.name}.{name}") for name in CAST}
    undisturbed = Case(case.stage, case.profile, case.seed)
    pids = {
        name: bench.fork(
            lambda plan=case if name == "live" else undisturbed, at=memory: bench.work(plan, memory=_fresh(at))
        )
        for name, memory in crew.items()
    }
    try:
        for name, pid in pids.items():
            code = bench.reap(pid)
            result.kills += code == -signal.SIGKILL
            if code not in (*_ALIVE, -signal.SIGKILL):
                result.wrong.append(f"blocked: {name} died: {bench.error(f'.{name}')}")
        bench.settle()
        bench.finish(undisturbed, result)
    except Blocked as error:
        result.wrong.append(f"blocked: {error}")
    workloads.ended(case.stage, firm)
    result.wrong += [] if result.wrong else bench.judge(firm)
    return result


def _fresh(memory: Path) -> Path:
    memory.unlink(missing_ok=True)
    return memory


def overlaps(first: int, count: int, profiles: list[str]) -> list[Case]:
    """Return the stages by turns; in every second one a worker dies early."""
    dice = random.Random(f"overlap {first}")
    cases = list[Case]()
    for number in range(count):
        stage = workloads.STAGES[number % len(workloads.STAGES)]
        kills = ((dice.randint(5, 60), 0.0),) if number % 2 else ()
        cases.append(Case(stage, profiles[number % len(profiles)], first + number // 70, kills))
    return sorted(cases, key=lambda case: (case.seed, workloads.STAGES.index(case.stage)))


def pause(bench: Bench, case: Case) -> Result:
    """
    Stop a worker at the step of the case, let another do the work to its end, and wake the first.

    A vendor with unique ids must hold everything once. Another may hold a record twice when the worker slept inside its
    request: then one of the two is closed, or a person is told.
    """
    result, stop = Result(case), case.kills[0][0]
    firm, desk = bench.before(case)
    undisturbed = Case(case.stage, case.profile, case.seed)
    bench.vendors.ask("behave", PROFILES[case.profile])
    bench.trail.write_text("")
    workloads.act(case.stage, firm, desk)
    sleeper = bench.fork(
        lambda: bench.work(undisturbed, stop=stop, memory=bench.memory.with_name(f"{bench.memory.name}.sleeper"))
    )
    _, status = os.waitpid(sleeper, os.WUNTRACED)
    try:
        if os.WIFSTOPPED(status):
            result.kills += 1
            _copy(bench.memory.with_name(f"{bench.memory.name}.sleeper"), bench.memory)
            bench.finish(undisturbed, result, barrier=False)
            os.kill(sleeper, signal.SIGCONT)
            if (code := bench.reap(sleeper)) not in _ALIVE:
                result.wrong.append(f"blocked: the sleeper ended with {code}: {bench.error('.sleeper')}")
        bench.settle()
        bench.memory.unlink(missing_ok=True)
        bench.finish(undisturbed, result)
    except Blocked as error:
        os.kill(sleeper, signal.SIGKILL)
        result.wrong.append(f"blocked: {error}")
    workloads.ended(case.stage, firm)
    wrong = [] if result.wrong else bench.judge(firm)
    result.wrong += [] if case.profile != "unique" and _told(wrong) else wrong
    return result


def _copy(old: Path, new: Path) -> None:
    if old.exists():
        new.write_text(old.read_text())


def _told(wrong: list[str]) -> bool:
    """Whether all that is wrong is one record twice, of a kind that psflow does not close, and a person knows of it."""
    counted = [re.fullmatch(r"doubled: (\d+) of (\d+) (.+)", said) for said in wrong]
    twice = [one for one in counted if one and int(one[1]) == int(one[2]) + 1 and one[3] in _BY_HAND]
    told = [said for said in wrong if "1 open exceptions" in said and "it is there twice" in said]
    return len(twice) == len(told) == 1 and len(wrong) == 2


def pauses(seed: int, trails: dict[str, list[str]], profiles: list[str], count: int) -> list[Case]:
    """Return cases that sleep at steps outside of transactions, spread over the stages."""
    dice = random.Random(f"pause {seed}")
    places = [(s, n) for s, trail in trails.items() for n, name in enumerate(trail, 1) if not name.endswith(_OUTSIDE)]
    chosen = [(*dice.choice(places), profiles[number % len(profiles)]) for number in range(count)]
    cases = [Case(stage, profile, seed, ((step, 0.0),)) for stage, step, profile in chosen]
    return sorted(cases, key=lambda case: workloads.STAGES.index(case.stage))

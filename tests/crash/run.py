"""
One case, run: workers forked from a warm parent do a stage's tasks, die as planned, and are followed by others.

`Bench` is one parent with a database and vendors of its own; several run side by side.
"""

from __future__ import annotations

import copy
import gc
import json
import os
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rapidfuzz.process  # noqa: F401 - see warm

from psflow import config as policy
from psflow.sandbox.postgres import Postgres
from psflow.store import audit, dead_letters
from psflow.store.connection import Store, sql
from psflow.store.seal import Seal
from tests.crash import clock, oracle, tasks, workloads
from tests.crash.case import Case, Result
from tests.crash.clock import Board
from tests.crash.databases import Databases
from tests.crash.mutants import MUTANTS
from tests.crash.planting import Mutant
from tests.crash.points import Plan
from tests.crash.profiles import PROFILES, Profile, adapted
from tests.crash.vendors import Vendors
from tests.crash.workloads import Desk, Firm
from tests.database import AUDIT_KEY, REGION

WORKERS = 60  # a stage that needs more of them does not end
STUCK_S = {True: 30, False: 120}  # of real time, for one worker; False: on the wall clock, where it waits for leases
ROOT = Path(__file__).parents[2]


def warm() -> None:
    """Read once what each worker would read anew, and keep the collector from what each would have to copy."""
    for file in (ROOT / "include" / "psflow" / "warehouse").rglob("*.sql"):
        package = file.parent.relative_to(ROOT / "include" / "psflow").as_posix().replace("/", ".")
        if "migrations" not in package:
            sql(package, file.stem)
    gc.freeze()


class Bench:
    """A parent of workers: a database, a board and vendors that nobody else uses."""

    def __init__(self, server: Postgres, folder: Path, name: str, virtual: bool = True) -> None:
        self.server, self.virtual = server, virtual
        self.board = Board(folder / name, virtual)
        self.board.reset()
        self.memory, self.trail = folder / f"{name}.memory", folder / f"{name}.trail"
        self.policy = policy.load(ROOT / "psflow.yaml")
        self.databases = Databases(server, name, self.board)
        self.vendors = Vendors(self.board)
        self.why = ""  # the last refusal of an attack
        self._snapshots: dict[tuple[int, str], tuple[str, Any, Firm]] = {}
        warm()

    def close(self) -> None:
        """Drop what was made."""
        self.vendors.close()
        self.databases.close()

    # -- one case

    def run(self, case: Case, judge: bool = True, mutant: Mutant | None = None) -> Result:
        """Run a case on a copy of what was before it, and return what is wrong afterwards, unless nobody judges."""
        result, mutant = Result(case), mutant or MUTANTS.get(case.mutant)
        firm, desk = self.before(case)
        if mutant and mutant.statement:
            self.databases.as_owner(mutant.statement)
        self.vendors.ask("behave", PROFILES[case.profile])
        self.trail.write_text("")
        try:
            self._stage(case, mutant, firm, desk, result)
        except Blocked as error:
            result.wrong += [f"blocked: {error}"] if judge else []
        result.points = [line.partition(" ")[2] for line in self.trail.read_text().splitlines()]
        if judge and not result.wrong:
            self.vendors.ask("land")
            result.wrong += self.judge(firm)
        return result

    def judge(self, firm: Firm) -> list[str]:
        """Compare database and vendors with what people did."""
        held = self.vendors.ask("state")
        with Store.open(self.databases.url("psflow_app"), REGION) as store:
            wrong = oracle.judge(firm, store._connection, held)
            chain = audit.verify(store, Seal(AUDIT_KEY))
        return wrong + ([f"audit: {chain.broken}"] if chain.broken else [])

    def _stage(self, case: Case, mutant: Mutant | None, firm: Firm, desk: Desk, result: Result) -> None:
        workloads.act(case.stage, firm, desk)
        self.vendors.ask("arm", dict(case.faults), case.broken)
        self.finish(case, result, mutant)
        result.struck = self.vendors.ask("state")["struck"]
        workloads.ended(case.stage, firm)
        self._refuse_failed(firm)

    def finish(self, case: Case, result: Result, mutant: Mutant | None = None, barrier: bool = True) -> None:
        """Let the stage's tasks end, after a person's help where they cannot without one. Raises Blocked."""
        helped = not case.broken
        for _ in range(5):  # whoever does it again may die again
            self._follow(case, result, mutant, barrier)
            if not self._replay(case) and helped:
                return
            helped = True
            self._heal()
        raise Blocked("what a person replays is given up again and again")

    def _replay(self, case: Case) -> int:
        """Somebody looked at a vendor that psflow cannot ask, and says of what is given up that it never landed."""
        if PROFILES[case.profile].lookup != "none":
            return 0
        who = self.policy.person_of("petra")
        with Store.open(self.databases.url("psflow_app"), REGION) as store:
            given_up = [row["id"] for row in dead_letters.listing(store) if row["state"] == "dead"]
            return len(dead_letters.replay(store, given_up, who))

    def _heal(self) -> None:
        """The vendor takes it again, and somebody clears what failed; of a batch, from `draft` on."""
        self.vendors.ask("arm", {}, "")
        told = {task: known for task, known in self._told().items() if "failed" not in known}
        if "tie_out" not in told:
            told = {task: known for task, known in told.items() if task not in ("draft", "read_back", "staff")}
        self.memory.write_text(json.dumps(told))

    def _follow(self, case: Case, result: Result, mutant: Mutant | None, barrier: bool) -> None:
        """Let one worker follow another until the stage's tasks have ended. Raises Blocked."""
        for _ in range(WORKERS):
            result.workers += 1
            code = self.reap(self.fork(lambda: self.work(case, mutant)))
            alive = self.server.running
            if barrier:
                self.settle()
            if code == 0 and alive:
                return
            if code == -signal.SIGKILL or not alive:
                result.kills += 1
                self.board.advance(case.down_s if self.virtual else 0)
            elif code == tasks.AGAIN:
                self.board.advance(60 if self.virtual else 0.3)
            else:
                raise Blocked(f"a worker ended by itself: {self.error()}")
        again = self.memory.with_name(f"{self.memory.name}.again")
        raise Blocked(f"not over after {WORKERS} workers; {again.read_text() if again.exists() else ''}")

    def work(self, case: Case, mutant: Mutant | None = None, stop: int = 0, memory: Path | None = None) -> None:
        """Do a stage's tasks in this process, as planned."""
        if mutant:
            mutant.apply()
        clock.install_in_workers(self.board)  # after it: what was planted begins with the real clock
        self.memory = memory or self.memory
        with self.trail.open("a") as trail:
            Plan(self.board, trail, dict(case.kills), stop, self.server.pid).install()
            self.day(case.stage, PROFILES[case.profile])

    def day(self, stage: str, profile: Profile) -> None:
        """Do a stage's tasks in this process."""
        self.with_day(profile, lambda day: tasks.work(stage, day))

    def with_day(self, profile: Profile, work: Callable[[tasks.Day], None]) -> None:
        """Do something as a worker that knows what is done."""
        config = adapted(self.policy, profile, self.virtual)
        with Store.open(self.databases.url("psflow_app"), REGION) as store:
            systems = tasks.connect(store, config, self.vendors.urls)
            work(tasks.Day(store, config, systems, self.memory, self._told()))

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.memory.read_text()) if self.memory.exists() else {}
        return told

    def _refuse_failed(self, firm: Firm) -> None:
        """Raise Blocked when a task failed that had no reason to."""
        refused = {"gates": len(firm.blocked), "create_in_psa": len(firm.lost)}
        for task, known in self._told().items():
            if "failed" in known:
                kind = task.partition(" ")[0]
                refused[kind] = refused.get(kind, 0) - 1
                if refused[kind] < 0:
                    raise Blocked(f"{task} failed: {known['failed']}")

    def error(self, suffix: str = "") -> str:
        """Return what a worker said when it ended by an error."""
        return Path(f"{self.memory}{suffix}.error").read_text()

    # -- workers

    def fork(self, work: Callable[[], None]) -> int:
        """Start a worker and return its process id."""
        if pid := os.fork():
            return pid
        code = 1
        try:
            work()
            code = 0
        except SystemExit as ended:
            code = int(str(ended))
        except BaseException:
            self.memory.with_name(f"{self.memory.name}.error").write_text(traceback.format_exc()[-1500:])
        finally:
            os._exit(code)

    def reap(self, pid: int) -> int:
        """Wait for a worker's end and return its exit code, negative for a signal. Raises Blocked."""
        wait_s = STUCK_S[self.virtual]
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.001)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise Blocked(f"a worker hung for {wait_s} s")

    def settle(self) -> None:
        """Wait until vendors and Postgres have noticed who died."""
        self.vendors.ask("settle")
        self.databases.settle()

    # -- what was before

    def before(self, case: Case) -> tuple[Firm, Desk]:
        """Make database and vendors what they were before this stage."""
        database, held, firm = self._snapshot(case.seed, case.stage)
        self.databases.copy(database, self.databases.run)
        self.board.reset()
        self.vendors.ask("clear")
        if held is not None:
            self.vendors.ask("restore", *held)
        for old in self.memory.parent.glob(f"{self.memory.stem}.*memory*"):
            old.unlink()
        self.board.advance(86400 * workloads.STAGES.index(case.stage) if self.virtual else 0)
        return copy.deepcopy(firm), Desk(self.vendors.ask, self.databases.as_owner)

    def _snapshot(self, seed: int, stage: str) -> tuple[str, Any, Firm]:
        """Return what is before a stage, made by running the stages before it undisturbed."""
        at = workloads.STAGES.index(stage)
        if at == 0:
            return self.databases.empty, None, workloads.found(seed)
        if (seed, stage) not in self._snapshots:
            self._forget(seed)
            before = Case(workloads.STAGES[at - 1], "unique", seed)
            firm, desk = self.before(before)
            self.vendors.ask("behave", PROFILES["unique"])
            self._stage(before, None, firm, desk, Result(before))
            if wrong := self.judge(firm):
                raise RuntimeError(f"undisturbed, {before} is wrong already: {wrong}")
            name = f"{self.databases.bench}_{seed}_{stage}"
            self.databases.copy(self.databases.run, name)
            self._snapshots[seed, stage] = (name, self.vendors.ask("save"), firm)
        return self._snapshots[seed, stage]

    def _forget(self, seed: int) -> None:
        """Drop what other seeds left."""
        for other in [key for key in self._snapshots if key[0] != seed]:
            self.databases.drop(self._snapshots.pop(other)[0])


class Blocked(Exception):
    """The work does not come to its end."""

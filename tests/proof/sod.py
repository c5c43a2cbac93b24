"""
Every person, stake and action on a billing batch, through the flow and past it; and decisions that race.

`python -m tests.proof.sod`, with RACES (200) the batches that four people decide on at the same moment.
"""

from __future__ import annotations

import itertools
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from psflow import config as policy
from psflow.config import Config, Person
from psflow.errors import GateFailed
from psflow.flows import billing
from psflow.store import duties
from psflow.store.connection import Store
from tests.database import REGION, as_role
from tests.proof import report
from tests.security import batches
from tests.security.forbidden import FORBIDDEN, refused
from tests.security.place import business_database

DUTIES = ((), ("submit",), ("approve",), ("submit", "approve"), ("exceptions", "release"), ("rates",))
STAKES = ("none", "own hours", "edited rates")
BEFORE = ("nobody", "another", "the same", "the same, other login")
CLICKS = 4


@dataclass(frozen=True)
class Case:
    """One attempt on one batch: who, with which stake, after whom, doing what, by which way."""

    number: int
    may: tuple[str, ...]
    stake: str
    before: str
    step: Any
    approved: bool
    shown: str
    way: str

    @property
    def person(self) -> str:
        return f"{'+'.join(self.may) or 'nobody'}, {self.stake}"

    @property
    def batch(self) -> str:
        return f"B-{self.number}"

    @property
    def is_right(self) -> bool:
        """What the policy says, computed from the case alone."""
        in_turn = {"submit": "nobody", "approve": "another"}[self.step] == self.before
        return self.step in self.may and self.stake == "none" and in_turn and self.shown == "right"


def cases() -> Iterator[Case]:
    ways = itertools.product(
        DUTIES, STAKES, BEFORE, ("submit", "approve"), (True, False), ("right", "wrong"), ("flow", "sql")
    )
    return (Case(number, *way) for number, way in enumerate(ways, start=1))


def people(told: list[Case], at_freeze: bool) -> tuple[Person, ...]:
    """What psflow.yaml says: a stake is known when the batch is frozen, and taken out before the decision."""
    found = [Person(person="another", airflow_user="another", teams=(), may=("submit", "approve"))]
    for case in {case.person: case for case in told}.values():
        may = (*case.may, *(("rates",) if at_freeze and case.stake == "edited rates" else ()))
        resource = "7" if at_freeze and case.stake == "own hours" else None
        found += [
            Person(person=case.person, airflow_user=case.person + login, teams=(), may=may, resource=resource)
            for login in ("", " (2)")
        ]
    return tuple(found)


def try_all(owner_url: str, config: Config, each: int = 1) -> dict[str, int]:
    """Try every `each`th case; return how many there were, were allowed, and were allowed or refused wrongly."""
    every = list(cases())[::each]
    frozen, later = (config.model_copy(update={"people": people(every, at)}) for at in (True, False))
    with Store.open(as_role(owner_url, "psflow_app"), REGION) as store, psycopg.connect(owner_url) as owner:
        with store.transaction("sod"):
            duties.tell(store, frozen)
        hashes = batches.make(owner, {case.number: "7" for case in every})
        with store.transaction("sod"):
            duties.tell(store, later)
        _decided_before(owner, every, hashes)
        allowed = {case for case in every if _try(store, later, case, hashes[case.number])}
    right = {case for case in every if case.is_right}
    for case in sorted(allowed ^ right, key=lambda c: c.number)[:5]:
        print(f"sod: {'allowed' if case in allowed else 'refused'} wrongly: {case}", file=sys.stderr)
    return {"pairs": len(every), "allowed": len(allowed), "forbidden_allowed": len(allowed - right),
            "rightful_refused": len(right - allowed)}  # fmt: skip


def _decided_before(owner: psycopg.Connection, every: list[Case], hashes: dict[int, str]) -> None:
    owner.execute("alter table ops.approval disable trigger guard")  # the past is given, the present is tried
    rows = [
        (c.batch, "another" if c.before == "another" else c.person, hashes[c.number])
        for c in every
        if c.before != "nobody"
    ]
    owner.cursor().executemany(
        "insert into ops.approval (batch_id, step, decision, person, airflow_user, run_id, content_hash) "
        "values (%s, 'submit', 'approved', %s, 'u', 'r', %s)",
        rows,
    )
    owner.execute("update billing.batch set state = 'submitted' where batch_id in (select batch_id from ops.approval)")
    owner.execute("alter table ops.approval enable trigger guard")
    owner.commit()


def _try(store: Store, config: Config, case: Case, right_hash: str) -> bool:
    """Whether the decision was taken."""
    user = case.person + (" (2)" if case.before == "the same, other login" else "")
    shown = right_hash if case.shown == "right" else "f00d"
    if case.way == "flow":
        try:
            billing.decide(store, config, case.batch, case.step, airflow_user=user, approved=case.approved,
                           content_hash=shown, run_id="sod")  # fmt: skip
        except GateFailed as error:
            return "was rejected by" in str(error)
        return True
    try:
        with store.transaction("sod"):
            store.run(
                "insert into ops.approval (batch_id, step, decision, person, airflow_user, run_id, content_hash) "
                "values (%(batch)s, %(step)s, %(decision)s, %(person)s, %(user)s, 'sod', %(hash)s)",
                batch=case.batch, step=case.step, decision="approved" if case.approved else "rejected",
                person=case.person, user=user, hash=shown,
            )  # fmt: skip
    except psycopg.errors.IntegrityError:
        return False
    return True


def race(owner_url: str, config: Config, races: int) -> dict[str, int]:
    """Let four people decide on each batch at the same moment, to submit and then to approve."""
    may: dict[Any, Any] = {"submit": ("submit",), "approve": ("approve",)}
    crowd = {step: [Person(person=f"{step} {n % 3}", airflow_user=f"{step}-{n}", teams=(), may=may[step])
                    for n in range(CLICKS)] for step in may}  # fmt: skip
    racing = config.model_copy(update={"people": (*crowd["submit"], *crowd["approve"])})
    with psycopg.connect(owner_url) as owner:
        hashes = batches.make(owner, {100_000 + n: "8" for n in range(races)})
        for step, people_of in crowd.items():
            won = _crowd(owner_url, racing, step, people_of, hashes)
            stored = owner.execute(
                "select count(*), count(distinct batch_id) from ops.approval where step = %s and run_id = 'race'",
                [step],
            ).fetchone()
            if (won, stored) != ([1] * races, (races, races)):
                return {"races": races, "clicks": races * CLICKS, "not_exactly_one": 1 + sum(n != 1 for n in won)}
    return {"races": 2 * races, "clicks": 2 * races * CLICKS, "not_exactly_one": 0}


def _crowd(url: str, config: Config, step: Any, crowd: list[Person], hashes: dict[int, str]) -> list[int]:
    """Return how many were let through, of each batch."""
    barrier, won = threading.Barrier(len(crowd)), dict.fromkeys(hashes, 0)
    lock = threading.Lock()

    def click(person: Person) -> None:
        with Store.open(as_role(url, "psflow_app"), REGION) as store:
            for number, shown in hashes.items():
                barrier.wait(60)
                try:
                    billing.decide(store, config, f"B-{number}", step, airflow_user=person.airflow_user, approved=True,
                                   content_hash=shown, run_id="race")  # fmt: skip
                except GateFailed:
                    continue
                with lock:
                    won[number] += 1

    threads = [threading.Thread(target=click, args=[person]) for person in crowd]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return list(won.values())


def main() -> int:
    races = int(os.environ.get("RACES") or 200)
    config = policy.load(report.REPOSITORY / "psflow.yaml")
    with business_database() as url:
        figures = try_all(url, config) | race(url, config, races)
        tried = [(role, statement) for role, statements in FORBIDDEN.items() for statement in statements]
        figures |= {"statements": len(tried), "statements_allowed": sum(not refused(url, *each) for each in tried)}
    wrong = ("forbidden_allowed", "rightful_refused", "not_exactly_one", "statements_allowed")
    return report.close("sod", figures, not any(figures[name] for name in wrong))


if __name__ == "__main__":
    raise SystemExit(main())

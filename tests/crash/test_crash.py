"""A slice of the proofs, small enough for every run of the tests: the same seeds, all profiles, some of each kind."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from psflow.sandbox.postgres import Postgres, Server
from tests.crash import hunt, modes, together
from tests.crash.__main__ import remembered, run_case
from tests.crash.case import Case
from tests.crash.mutants import MUTANTS
from tests.crash.planting import source
from tests.crash.pool import Pool, memory
from tests.crash.profiles import PROFILES

SEED = 3
PLANTED = ("no_lease", "keys_live_for_ever", "late_is_not_sent", "torn_release", "strays_stay", "one_person")

WRITERS = ("core.customer.history", "core.rate.history", "core.resource.history", "ops.exceptions.tell",
           "billing.plan.seal")  # triggers that write something down; they refuse nothing  # fmt: skip


@pytest.fixture(scope="module")
def pool(postgres: Server) -> Iterator[Pool]:
    """Two benches on the tests' own Postgres, which must see the board's file."""
    if not isinstance(postgres, Postgres):
        pytest.skip("a server of somebody else cannot read our clock")
    with memory() as folder, Pool(postgres, folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def trails(pool: Pool) -> modes.Trails:
    """The points that an undisturbed run of each stage reaches."""
    results = {r.case.stage: r for r in pool.map(run_case, modes.baselines(SEED))}
    assert [said for r in results.values() for said in r.wrong] == []
    return {stage: results[stage].points for stage in modes.STAGES}


def wrong(pool: Pool, cases: list[Case]) -> list[str]:
    """Return what is wrong after any of these cases, with the line that replays it."""
    return [f"REPLAY='{r.case}': {said}" for r in pool.map(run_case, cases) for said in r.wrong]


def test_the_flows_name_more_than_a_hundred_points(trails: modes.Trails) -> None:
    assert len({name for trail in trails.values() for name in trail}) > 100


def test_a_worker_that_dies_anywhere_leaves_work_that_the_next_one_finishes_once(
    pool: Pool, trails: modes.Trails
) -> None:
    cases = modes.every_point(SEED, trails, list(PROFILES), 1000)
    assert wrong(pool, cases[:: max(1, len(cases) // 24)]) == []


def test_who_comes_to_finish_the_work_may_die_too(pool: Pool, trails: modes.Trails) -> None:
    assert wrong(pool, modes.pairs(SEED, trails, list(PROFILES), 8)) == []


def test_vendors_may_throttle_fail_forget_and_answer_late(pool: Pool, trails: modes.Trails) -> None:
    assert wrong(pool, modes.schedules(SEED, trails, list(PROFILES), 10)) == []


def test_what_once_was_wrong_stays_right(pool: Pool) -> None:
    assert wrong(pool, remembered()) == []


def test_a_worker_that_sleeps_past_its_lease_doubles_nothing_that_nobody_knows(
    pool: Pool, trails: modes.Trails
) -> None:
    cases = together.pauses(SEED, trails, list(PROFILES), 6)
    assert [said for r in pool.map(together.pause, cases) for said in r.wrong] == []


def test_one_seed_is_one_run(pool: Pool) -> None:
    case = Case("activation", "lagging", SEED, ((34, 1.0), (70, 0.0)), ((9, "error_after"), (20, "late_landing")))
    assert len({r.digest for r in pool.map(run_case, [case] * 3)}) == 1


def test_a_live_run_a_backfill_and_a_rerun_at_once_are_one_run(postgres: Server) -> None:
    if not isinstance(postgres, Postgres):
        pytest.skip("see above")
    with memory() as folder, Pool(postgres, folder, size=1, virtual=False) as pool:
        cases = [Case(stage, "plain", SEED) for stage in ("activation", "time", "billing")]
        assert [said for r in pool.map(together.overlap, cases) for said in r.wrong] == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_defect_is_found_and_nothing_is_without_it(pool: Pool, name: str) -> None:
    (kill,) = pool.map(hunt.hunt, [name])
    assert kill.counts, kill


def test_without_the_oracle_nothing_is_found(pool: Pool, trails: modes.Trails) -> None:
    answered = trails["activation"].index("tryton.create_customer:answered") + 1
    cases = [
        Case("activation", "lagging", SEED, ((answered, 0.0),), mutant="no_lookup"),
        Case("activation", "unique", SEED, mutant="no_audit_row"),
        Case("activation", "unique", SEED, faults=(("POST workspaces", "error_after"),), mutant="e500_is_refused"),
    ]
    assert all(r.wrong for r in pool.map(run_case, cases))
    assert not any(r.wrong for r in pool.map(hunt.blind, cases))


def test_every_mutant_is_of_this_code(admin_url: str) -> None:
    absent = [n for n, m in MUTANTS.items() if m.module and source(m.module).count(m.text) != 1]
    with psycopg.connect(admin_url) as connection:
        for name, mutant in MUTANTS.items():
            try:
                connection.execute(mutant.beside + (mutant.statement or "select 1"))  # type: ignore[arg-type]
            except psycopg.Error as error:
                absent.append(f"{name}: {error.diag.message_primary}")
            connection.rollback()
    assert absent == []
    assert len(MUTANTS) >= 40


def test_every_guard_of_postgres_has_its_mutant(admin_url: str) -> None:
    taken = " ".join(mutant.statement for mutant in MUTANTS.values())
    with psycopg.connect(admin_url) as connection:
        triggers = connection.execute(
            "select tgname, tgrelid::regclass::text, tgfoid::regproc::text from pg_trigger where not tgisinternal"
        ).fetchall()
        keys = connection.execute(
            "select indexrelid::regclass::text from pg_index where (indisunique or indisexclusion) "
            "and not indisprimary and indrelid::regclass::text ~ '^(core|raw|billing|finance|ops)[.]'"
        ).fetchall()
    unguarded = [f"{on}.{name}" for name, on, does in triggers
                 if f"drop trigger {name} on {on}" not in taken and f"'{does}'::regproc" not in taken]  # fmt: skip
    assert {one for one in unguarded if not one.startswith(WRITERS)} == set()
    assert [key for (key,) in keys if key.partition(".")[2] not in taken] == []

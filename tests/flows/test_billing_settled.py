"""A run that does not look at settled hours again comes to what one comes to that looks at all of them."""

from __future__ import annotations

import random
from typing import Any

import pytest

from psflow.config import Config
from psflow.flows.billing_difference import stage_difference, unstage
from psflow.store.connection import Store
from tests.flows.test_billing_histories import LAST, PROJECTS, ROUNDS, SEEDS, World, raise_caps, reprice

_STAGED = ("billing_difference", "billing_owed", "billing_room")


def staged(world: World, *, skips_settled: bool) -> tuple[int, list[Any]]:
    """Return how many hours were settled, and all that a run would freeze, leave out and know of its caps."""
    stage_difference(world.store, world.entity, LAST, skips_settled=skips_settled)
    found = [sorted(str(tuple(row.values())) for row in world.store.rows(f"select * from {of}")) for of in _STAGED]  # type: ignore[arg-type]
    settled = world.store.value("select count(*) from billing_settled")
    unstage(world.store)
    return settled, found


@pytest.mark.parametrize("seed", range(200, 200 + max(SEEDS // 4, 1)))
def test_what_is_owed_is_the_same_when_settled_hours_are_left_aside(store: Store, config: Config, seed: int) -> None:
    world, most = World(store, config, random.Random(seed)), 0
    for number in range(ROUNDS):
        for count, (contract, book) in enumerate(world.books.items()):
            world.live(contract, book, with_decisions=count % 10 == number)
        world.send()
        with store.transaction("world"):
            settled, short = staged(world, skips_settled=True)
            assert (0, short) == staged(world, skips_settled=False), f"seed {seed}, round {number}"
        most = max(most, settled)
        world.bill()
        for book in world.books.values():  # what the books know decides what may be credited or written off next
            book.bill(LAST, LAST.min)
        reprice(world)
        raise_caps(world)
    assert most > PROJECTS


@pytest.mark.parametrize(
    "agreed",
    [
        "insert into core.increment (customer_id, valid_from, minutes, per, rounding, minimum_minutes) "
        "values ('C', '2026-01-01', 15, 'day', 'up', 0)",
        "insert into core.overtime (contract_id, valid_from, per, after_minutes, multiplier) "
        "select contract_id, '2026-01-01', 'day', 480, 1.5 from core.contract",
        "insert into billing.purchase_order (order_id, contract_id, is_required) "
        "select contract_id, contract_id, true from core.contract",
    ],
    ids=["increments", "overtime", "purchase orders"],
)
def test_hours_whose_price_hangs_on_others_are_always_looked_at(store: Store, config: Config, agreed: Any) -> None:
    world = World(store, config, random.Random(7))
    for contract, book in world.books.items():
        world.live(contract, book, with_decisions=False)
    world.bill()
    with store.transaction("world"):
        assert staged(world, skips_settled=True)[0] > 0
        store.run(agreed)
        assert staged(world, skips_settled=True)[0] == 0

"""What an hour cost us: frozen when it is billed, mirrored when taken back, no reason to bill or to wait."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from psflow.config import Person
from psflow.flows import terms
from tests.flows.conftest import Firm
from tests.flows.test_explain import everything, told
from tests.flows.test_metrics import give, give_cost, one, person, working

__all__ = ["working"]
LATER = "2026-11-02T00:00:00Z"


def costs(firm: Firm) -> dict[str, Decimal | str]:
    """Charge -> what it cost us, or why that is not known."""
    rows = firm.store.rows("select * from billing.charge where time_entry_id is not null order by charge_id")
    return {row["charge_id"]: row["cost_missing"] or row["labour_cost"].normalize() for row in rows}


def test_the_cost_of_an_hour_is_frozen_with_its_row_and_a_cost_alone_bills_nothing(working: Firm) -> None:
    give_cost(working)
    give(working, "update core.cost_rate set valid_from = '2026-10-05'")
    working.log(1, 90)
    working.log(2, 30, date_performed="2026-10-02")
    working.load_time()
    working.spend(9)
    working.load_expenses()
    working.bill()
    assert costs(working) == {"1.1": Decimal("150.15"), "2.1": "no cost rate of the day"}
    charge = one(working, "select * from billing.charge where charge_id = '1.1'")
    assert (charge["labour_cost_currency"], charge["cost_rate_id"]) == ("USD", f"{person(working)}|2026-10-05")
    spent = one(working, "select * from billing.charge where expense_entry_id is not null")
    assert (spent["labour_cost"], spent["cost_missing"]) == (None, None)
    assert "it cost us USD 150.15: 1.50 h worked, cost row" in everything(told(working, "1.1"))
    assert told(working, "2.1").cost == "what it cost us is not known: no cost rate of the day"

    give(working, "update core.cost_rate set hourly_cost = 200")
    assert working.freeze() is None
    working.log(1, 120, updated_at=LATER)
    working.log(2, 60, date_performed="2026-10-02", updated_at=LATER)
    working.load_time()
    working.bill()
    assert costs(working) == {
        "1.1": Decimal("150.15"), "1.1.R": Decimal("-150.15"), "1.2": Decimal("400"),
        "2.1": "no cost rate of the day", "2.1.R": "no cost rate of the day", "2.2": "no cost rate of the day",
    }  # fmt: skip


def test_what_is_frozen_of_a_month_that_is_billed_whole_is_its_margins_cost(working: Firm, tmp_path: Path) -> None:
    rita = Person(person="P-401", airflow_user="rita", teams=("finance",), may=("rates",))
    working.config = working.config.model_copy(update={"people": (*working.config.people, rita)})
    give(working, "insert into core.customer (customer_id, name) values ('C-2', 'Globex')")
    give(working, "insert into ops.crosswalk values ('customer', 'C-2', 'tryton', 'books', 'C-2')")
    path = tmp_path / "payers.yaml"
    path.write_text(
        "P-1001:\n  currency: USD\n  agreed_on: 2026-10-01\n  reason: SOW 3\n"
        "  overtime:\n    - {valid_from: 2026-01-01, after_hours: 8, multiplier: 1.5}\n  payers:\n"
        "    - {valid_from: 2026-10-01, shares: [{customer: C-77, share_pct: 60, residue: true}, "
        "{customer: C-2, share_pct: 40, residue: false}]}\n",
        encoding="utf-8",
    )
    assert terms.load(working.store, working.config, path, "rita")[1] == []
    give_cost(working)
    for number, minutes in enumerate((25, 500, 7), start=1):
        working.log(number, minutes)
    working.load_time()
    working.bill()
    frozen = working.store.value("select round(sum(labour_cost), 2) from billing.charge")
    assert frozen == one(working, "select cost from finance.project_margin_monthly")["cost"] == Decimal("887.55")

"""Finance's numbers: to the cent, with their missing parts named, published only when they hold, and then kept."""

from __future__ import annotations

import datetime as dt
import logging
import random
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from psflow.errors import GateFailed
from psflow.flows import billing, metrics
from psflow.gates.suite import ExpectationGate, FailingRow
from psflow.warehouse import definitions, migrate
from tests.database import as_role
from tests.flows.conftest import Firm, PassGate

DAY = dt.date(2026, 11, 24)


@pytest.fixture
def working(firm: Firm) -> Firm:
    """A firm with one active project of one consultant, whose companies are known to SQL."""
    firm.start()
    metrics.freeze(firm.store, firm.config, DAY)
    return firm


def one(firm: Firm, statement: Any, **parameters: Any) -> dict[str, Any]:
    (row,) = firm.store.rows(statement, **parameters)
    return row


def money(firm: Firm) -> tuple[Decimal, Decimal, Decimal]:
    row = one(firm, "select sum(earned) e, sum(invoiced) i, sum(unbilled) u from finance.revenue_monthly")
    return row["e"], row["i"], row["u"]


def unbilled(firm: Firm) -> dict[str, tuple[Decimal, Decimal | None]]:
    return {r["reason"]: (r["hours"], r["amount"]) for r in firm.store.rows("select * from finance.unbilled")}


def person(firm: Firm) -> str:
    return str(firm.store.value("select resource_id from core.resource"))


def give(firm: Firm, statement: Any, **parameters: Any) -> None:
    """Write what other systems would have said."""
    with firm.store.transaction("test"):
        firm.store.run(statement, **parameters)


def give_pattern(firm: Firm, valid_from: str = "2026-01-01") -> None:
    give(
        firm,
        "insert into core.work_pattern values (%(person)s, %(day)s, '{8,8,8,8,8,0,0}')",
        person=person(firm), day=valid_from,
    )  # fmt: skip


def give_cost(firm: Firm, currency: str = "USD") -> None:
    give(
        firm,
        "insert into core.cost_rate values (%(person)s, '2026-01-01', null, 100.10, %(currency)s)",
        person=person(firm), currency=currency,
    )  # fmt: skip


# unbilled and revenue


def test_approved_hours_are_unbilled_until_they_are_invoiced(working: Firm) -> None:
    working.log(1, 90)
    working.load_time()
    assert unbilled(working) == {"waiting batch": (Decimal("1.5"), Decimal("270.750"))}
    assert money(working) == (Decimal("270.750"), 0, Decimal("270.750"))
    batch = working.approve()
    assert one(working, "select * from finance.unbilled_entry")["batch_id"] == batch
    working.post(batch)
    assert unbilled(working) == {} and money(working) == (Decimal("270.750"), Decimal("270.750"), 0)


def test_an_hour_that_came_after_its_month_was_billed_is_late(working: Firm) -> None:
    working.log(1)
    working.log(4, 15, role_id="1")
    working.load_time()
    working.bill()
    give(working, "insert into core.rate select rate_card_id, 'Partner', '2026-01-01', null, 400 from core.rate_card")
    working.log(2, 30, updated_at="2026-11-02T00:00:00Z")
    working.log(3, 45, date_performed="2026-11-02", updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    hours = {reason: hours for reason, (hours, _) in unbilled(working).items()}
    assert hours == {"late": Decimal("0.5"), "waiting batch": 1}  # the hour without a rate was there in time


def test_hours_without_a_rate_are_hours_without_money(working: Firm) -> None:
    working.log(1, 90, role_id="1")
    working.log(2, 60)
    working.load_time()
    assert unbilled(working)["no rate"] == (Decimal("1.5"), None)
    row = one(working, "select * from finance.revenue_monthly")
    assert (row["hours"], row["earned"], row["hours_without_rate"]) == (
        Decimal("2.5"),
        Decimal("180.500"),
        Decimal("1.5"),
    )


def test_what_a_gate_holds_is_held(working: Firm) -> None:
    working.log(1)
    working.log(2)
    working.log(3, 5000)
    working.load_time(PassGate(3, (FailingRow("3", "minutes", "5000", "TE-07", "too long"),)))
    batch = working.freeze()
    assert batch
    billing.check(working.store, working.config, PassGate(2, (FailingRow("2", "x", "y", "BB-9", "no"),)), batch)
    assert set(unbilled(working)) == {"held", "waiting batch"}
    held = working.store.rows("select source_id, amount from finance.unbilled_entry where reason = 'held' order by 1")
    assert [(r["source_id"], r["amount"]) for r in held] == [("2", Decimal("180.500")), ("3", None)]
    assert one(working, "select * from finance.unbilled where reason = 'held'")["entries_without_amount"] == 1


def test_an_edit_after_invoicing_is_unbilled_by_its_difference(working: Firm) -> None:
    working.log(1, 60)
    working.load_time()
    working.bill()
    working.log(1, 40, updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    assert unbilled(working) == {"credit": (Decimal("-0.3333"), Decimal("120.330") - Decimal("180.500"))}
    earned, invoiced, waiting = money(working)
    assert earned == invoiced + waiting == Decimal("120.330")


def test_an_hour_that_moved_to_another_month_is_taken_from_the_old_and_given_to_the_new(working: Firm) -> None:
    working.log(1, 60)
    working.load_time()
    working.bill()
    working.log(1, 60, date_performed="2026-11-03", updated_at="2026-11-04T00:00:00Z")
    working.load_time()
    rows = working.store.rows("select month, earned, invoiced, unbilled from finance.revenue_monthly order by month")
    assert [tuple(r.values()) for r in rows] == [
        ("2026-10", 0, Decimal("180.500"), Decimal("-180.500")), ("2026-11", Decimal("200.000"), 0, Decimal("200.000")),
    ]  # fmt: skip


def test_earned_is_invoiced_and_unbilled_to_the_cent_after_a_rate_went_away(working: Firm) -> None:
    working.log(1, 60)
    working.log(2, 20)
    working.load_time()
    working.bill()
    working.log(1, 60, role_id="1", updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    earned, invoiced, waiting = money(working)
    assert earned == invoiced + waiting == Decimal("60.170")
    assert invoiced == Decimal("240.670")


def test_work_before_psflow_bills_is_opening_and_never_unbilled(working: Firm) -> None:
    working.log(1, 60, date_performed="2026-09-10")
    working.log(2, 60)
    working.load_time()
    give(working, "update core.legal_entity set billing_starts_on = '2026-10-01'")
    give(working, "insert into billing.opening_balance values ('P-1001', '2026-10-01', 100, 18000, 'USD')")
    rows = working.store.rows("select month, earned, opening, unbilled from finance.revenue_monthly order by month")
    assert [tuple(r.values()) for r in rows] == [
        ("2026-09", Decimal("180.500"), Decimal("180.500"), 0), ("2026-10", Decimal("180.500"), 0, Decimal("180.500")),
    ]  # fmt: skip
    assert unbilled(working) == {"waiting batch": (1, Decimal("180.500"))}
    left = one(working, "select * from finance.backlog")  # what was billed elsewhere is what its balance says
    assert (left["contract_amount"], left["earned"], left["backlog"]) == (50000, Decimal("18180.5"), Decimal("31819.5"))
    told = one(working, "select value from finance.metric where metric = 'opening balance less earned before'")
    assert told["value"] == Decimal("17819.5")


def give_expense(firm: Firm, number: int = 1, currency: str = "USD", *, state: str = "passed") -> None:
    with firm.store.transaction("test"):
        load = firm.store.value("insert into core.time_load (entries) values (1) returning load_id")
        firm.store.run(
            "insert into core.expense_entry values (%(id)s, 1, %(load)s, '1', '7', '2026-10-05', 'Travel', 100.55, "
            "%(currency)s, true, true, true, null, now(), 'P-1001', null)",
            id=f"X{number}", load=load, currency=currency,
        )  # fmt: skip
        firm.store.run(
            "insert into core.expense_entry_head values (%(id)s, 1, %(passed)s, %(state)s)",
            id=f"X{number}", passed=1 if state == "passed" else None, state=state,
        )  # fmt: skip


def test_an_expense_is_earned_at_cost_and_unbilled_like_an_hour(working: Firm) -> None:
    working.log(1)
    working.load_time()
    for number, currency, state in ((1, "USD", "passed"), (2, "EUR", "passed"), (3, "USD", "held")):
        give_expense(working, number, currency, state=state)
    assert unbilled(working) == {
        "waiting batch": (1, Decimal("281.05")), "no rate": (0, None), "held": (0, None),
    }  # fmt: skip
    row = one(working, "select * from finance.revenue_monthly")
    assert (row["hours"], row["earned"], row["expenses"]) == (1, Decimal("281.05"), Decimal("100.55"))
    working.bill()
    earned, invoiced, waiting = money(working)
    assert earned == invoiced + waiting == Decimal("281.05")
    assert one(working, "select earned from finance.backlog")["earned"] == Decimal("180.5")


def test_an_expense_is_revenue_and_cost_of_its_project(working: Firm) -> None:
    working.log(1, 60)
    working.load_time()
    give_cost(working)
    give_expense(working)
    row = one(working, "select * from finance.project_margin_monthly")
    assert (row["revenue"], row["cost"], row["margin"]) == (Decimal("281.05"), Decimal("200.65"), Decimal("80.40"))


# margin, utilization, backlog


def test_a_margin_is_revenue_less_cost_in_the_currency_of_the_company(working: Firm) -> None:
    working.log(1, 60)
    working.log(2, 30, billable=False)
    working.load_time()
    give_cost(working)
    row = one(working, "select * from finance.project_margin_monthly")
    assert (row["revenue"], row["cost"], row["margin"]) == (Decimal("180.50"), Decimal("150.15"), Decimal("30.35"))
    assert (row["margin_pct"], row["currency"], row["missing"]) == (Decimal("16.81"), "USD", None)


def test_a_margin_that_lacks_a_rate_says_which_and_has_no_number(working: Firm) -> None:
    working.log(1, 60)
    working.load_time()
    row = one(working, "select * from finance.project_margin_monthly")
    assert (row["margin"], row["revenue"], row["missing"]) == (None, None, "cost rate")
    give_cost(working, "EUR")
    assert one(working, "select * from finance.project_margin_monthly")["missing"] == "exchange rate EUR to USD"
    give(working, "insert into core.fx_rate values ('EUR', 'USD', '2026-10-06', 1.1, 'ERP')")
    row = one(working, "select * from finance.project_margin_monthly")
    assert row["missing"] == "exchange rate EUR to USD"  # it is of the day after the work
    give(working, "insert into core.fx_rate values ('EUR', 'USD', '2026-09-01', 1.25, 'ERP')")
    row = one(working, "select * from finance.project_margin_monthly")
    assert (row["cost"], row["missing"]) == (Decimal("125.13"), None)  # 100.10 x 1.25, rounded once


def test_utilization_shows_numerator_and_denominator_of_the_iso_week(working: Firm) -> None:
    give_pattern(working)
    give(working, "insert into core.absence values ('A', %(p)s, '2026-10-07', 8, true)", p=person(working))
    working.log(1, 480, date_performed="2026-10-05")
    working.log(2, 480, date_performed="2026-10-06", billable=False)
    working.log(3, 480, date_performed="2026-10-08", approved=False)
    working.load_time()
    row = one(working, "select * from finance.utilization_weekly")
    assert (row["week"], row["billable_hours"], row["capacity_hours"]) == ("2026-W41", 8, 32)
    assert (row["utilization"], row["missing"]) == (Decimal("0.25"), None)


@pytest.mark.parametrize("pattern_from", [None, "2026-10-07"])
def test_unknown_capacity_is_null_and_listed(working: Firm, pattern_from: str | None) -> None:
    if pattern_from:  # two days of the week before it are unknown
        give_pattern(working, pattern_from)
    working.log(1, 480)
    working.load_time()
    row = one(working, "select * from finance.utilization_weekly")
    assert (row["utilization"], row["capacity_hours"], row["missing"]) == (None, None, "capacity")


def test_a_week_of_leave_is_no_week_of_zero(working: Firm) -> None:
    give_pattern(working)
    for day in range(5, 10):
        give(
            working,
            "insert into core.absence values ('A', %(p)s, %(day)s, 8, true)",
            p=person(working), day=dt.date(2026, 10, day),
        )  # fmt: skip
    working.log(1, 480, date_performed="2026-10-12")
    working.log(2, 60, date_performed="2026-10-02")
    working.load_time()
    rows = working.store.rows("select week, utilization, missing from finance.utilization_weekly order by week")
    assert [tuple(r.values()) for r in rows] == [
        ("2026-W40", Decimal("0.0250"), None),
        ("2026-W42", Decimal("0.2"), None),
    ]


def test_a_leaver_counts_until_they_left(working: Firm) -> None:
    give_pattern(working)
    give(working, "update core.resource set employed_to = '2026-10-06', is_active = false")
    working.log(1, 480, date_performed="2026-10-05")
    working.log(2, 60, date_performed="2026-10-12")
    working.load_time()
    rows = working.store.rows("select week, capacity_hours, missing from finance.utilization_weekly order by week")
    assert [tuple(r.values()) for r in rows] == [("2026-W41", 16, None), ("2026-W42", None, "capacity")]


def test_a_backlog_in_another_currency_than_the_contract_has_no_number(working: Firm) -> None:
    give(working, "update core.opportunity set currency = 'EUR'")
    row = one(working, "select * from finance.backlog")
    assert (row["backlog"], row["missing"]) == (None, "contract amount in USD: the deal says EUR")


# publishing


def test_published_numbers_stay_when_the_live_ones_change(working: Firm) -> None:
    working.log(1, 60)
    working.load_time()
    run = (working.store, working.config, PassGate())
    first = metrics.publish(*run, dt.date(2026, 11, 1))
    assert metrics.publish(*run, dt.date(2026, 11, 2)) == first  # nothing changed
    working.log(2, 60, updated_at="2026-11-02T00:00:00Z")
    working.load_time()
    assert metrics.publish(*run, dt.date(2026, 11, 3))["snapshot"] != first["snapshot"]
    rows = working.store.rows(
        "select as_of::text, value from finance.metric_published where metric = 'revenue.earned' order by as_of"
    )
    assert [tuple(r.values()) for r in rows] == [("2026-11-01", Decimal("180.5")), ("2026-11-03", Decimal("361"))]


def test_numbers_that_do_not_hold_are_not_published_and_their_rows_are_exceptions(
    working: Firm, real_gate: ExpectationGate, admin_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    working.log(1)
    working.log(2)
    working.load_time()
    working.bill()
    run = (working.store, working.config, real_gate, DAY)
    with caplog.at_level(logging.INFO, "psflow.gates"):
        first = metrics.publish(*run)["snapshot"]
    assert "  ok    CH-03  is_line_whole: an invoice line is the sum of its charges" in caplog.messages
    assert any(m.startswith("  note  MX-07  value: a margin has its rates (1 rows)") for m in caplog.messages)
    with psycopg.connect(admin_url) as owner:
        owner.execute("delete from billing.charge where time_entry_id = '2'")
    with pytest.raises(GateFailed, match=r"billing/charge stops .*CH-03"):
        metrics.publish(*run)
    assert {e["entity"] for e in working.exceptions("metrics")} == {"charge"}
    with psycopg.connect(admin_url) as owner:  # the line agrees with its charges now, the invoice does not
        owner.execute("update billing.invoice_line set amount = (select sum(amount) from billing.charge)")
    with pytest.raises(GateFailed, match=r"metrics/metric stops .*MX-04"):
        metrics.publish(*run)
    (found,) = working.exceptions("metrics")
    assert (found["record_id"], found["value"]) == ("control.invoiced less invoices P-1001", "-180.500")
    assert working.store.rows("select distinct snapshot_id from finance.metric_published") == [{"snapshot_id": first}]


# what may be read, and what it says


def test_finance_reads_every_view_and_the_pmo_its_own_and_nothing_behind_it(working: Firm, admin_url: str) -> None:
    give_pattern(working)
    working.log(1)
    working.load_time()
    every = [*definitions.tables(), *definitions.views()]
    readable = {"psflow_finance": every, "psflow_pmo": [d for d in every if d.owner == "pmo"]}
    for role, definitions_of in readable.items():
        views = [d.relation for d in definitions_of]
        with psycopg.connect(as_role(admin_url, role), autocommit=True) as reader:
            for view in views:
                reader.execute(f"select * from {view}")  # type: ignore[call-overload]
            assert reader.execute("select capacity_hours from finance.utilization_weekly").fetchone() == (40,)
            for statement in (
                "select * from core.resource", "select * from core.capacity('2026-10-01', '2026-10-02')",
                "select * from billing.charge", "select * from ops.exceptions", "select * from ops.exception_age",
                "select * from raw.record", "delete from finance.metric_snapshot", "create table finance.mine (i int)",
                "insert into finance.snapshot (as_of) values ('2026-10-01')",
            ):  # fmt: skip
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    reader.execute(statement)


def test_the_pmo_reads_the_state_of_the_work_and_finance_does_not(admin_url: str) -> None:
    for view in ("ops.workflow_state", "ops.stream_lag", "ops.effect_queue", "ops.gate_check"):
        with psycopg.connect(as_role(admin_url, "psflow_pmo")) as pmo:
            pmo.execute(f"select * from {view}")  # type: ignore[call-overload]
        with (
            psycopg.connect(as_role(admin_url, "psflow_finance")) as finance,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            finance.execute(f"select * from {view}")  # type: ignore[call-overload]


def test_published_numbers_cannot_be_rewritten(working: Firm) -> None:
    for statement in ("update finance.metric_snapshot set value = 0", "delete from finance.snapshot"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            give(working, statement)


def test_a_view_is_made_again_from_its_file(admin_url: str) -> None:
    with psycopg.connect(admin_url, autocommit=True) as owner:
        owner.execute("drop view finance.metric, finance.backlog")
        migrate.upgrade(admin_url)
        assert owner.execute("select count(*) from finance.backlog").fetchone() == (0,)


def test_every_column_that_finance_reads_says_what_it_is(admin_url: str) -> None:
    with psycopg.connect(admin_url) as owner:
        for definition in [*definitions.tables(), *definitions.views()]:
            rows = owner.execute(
                "select attname, col_description(attrelid, attnum) from pg_attribute "
                "where attrelid = %s::regclass and attnum > 0",
                [definition.relation],
            ).fetchall()
            assert [name for name, says in rows if not says] == [], definition.relation
            assert not definition.columns or dict(rows) == definition.columns


def test_the_page_of_definitions_says_what_the_files_say() -> None:
    assert definitions.PAGE.read_text(encoding="utf-8") == definitions.page(), (
        "run python -m psflow.warehouse.definitions"
    )
    assert "## finance.utilization_weekly" in definitions.page()


def test_an_invoice_of_twenty_thousand_charges_is_compared_in_seconds(working: Firm, admin_url: str) -> None:
    """A nested loop over both sides takes minutes here, and only once the tables are analyzed."""
    working.log(1)
    working.load_time()
    working.bill()
    with psycopg.connect(admin_url, autocommit=True) as database:
        database.execute("set session_replication_role = replica")  # what the flows' guards check is not the matter
        database.execute(_MANY)
        database.execute("analyze")
        database.execute("set statement_timeout = '10s'")
        found = database.execute("select reason, count(*) from finance.unbilled_entry group by reason").fetchall()
    assert found == [("waiting batch", 10)], "one of two thousand was not billed"


_MANY = """
with entry as (
    insert into core.time_entry (time_entry_id, version, load_id, worked_on, minutes, is_billable, is_approved, notes,
                                 modified_at, project_code, resource_id, billed_role)
    select 'many-' || n, 1, load_id, worked_on, 15 + n % 30, true, true, '', modified_at, project_code, resource_id,
           billed_role
    from core.time_entry cross join generate_series(1, 20000) n returning *
),
head as (
    insert into core.time_entry_head (time_entry_id, latest_version, passed_version, state)
    select time_entry_id, 1, 1, 'passed' from entry
)
insert into billing.charge (charge_id, batch_id, line_key, kind, time_entry_id, version, project_code, worked_on, role,
                            minutes, hourly_rate, amount, currency, cost_missing)
select entry.time_entry_id || '.1', batch_id, line_key, 'charge', entry.time_entry_id, 1, entry.project_code,
       entry.worked_on, charge.role, entry.minutes, hourly_rate, round(entry.minutes * hourly_rate / 60, 2), currency,
       cost_missing
from entry cross join billing.charge
where split_part(entry.time_entry_id, '-', 2)::int % 2000 <> 0
"""


@pytest.mark.parametrize("seed", range(2))
def test_an_hour_never_billed_has_the_price_that_billing_takes(working: Firm, admin_url: str, seed: int) -> None:
    chance = random.Random(f"prices {seed}")
    shuffled: Any = chance.sample(("contract_line", "contract", "customer", "standard"), 4 - seed % 2)
    finest: Any = chance.sample(("person", "role+region", "role"), 3)
    entities = tuple(
        entity.model_copy(update={"rate_levels": tuple(shuffled), "rate_specificity": tuple(finest)})
        for entity in working.config.legal_entities
    )
    working.config = working.config.model_copy(update={"legal_entities": entities})
    metrics.freeze(working.store, working.config, DAY)
    give(working, "update core.resource set region = 'NA'")
    for number in range(60):
        _agree(working, chance, number)
    for number in range(80):
        day = dt.date(2026, 10, 1) + dt.timedelta(chance.randrange(31))
        working.log(number, chance.randrange(1, 600), date_performed=str(day), role_id=chance.choice("112222"))
    working.load_time()
    with psycopg.connect(admin_url) as owner:
        owner.execute(
            "update core.time_entry set contract_line = case when minutes % 3 = 0 then 'L' end, "
            "region = case when minutes % 5 = 0 then 'EU' end"
        )
    found = {
        row["source_id"]: (row["amount"], row["reason"])
        for row in working.store.rows("select * from finance.unbilled_entry")
    }
    batch = working.freeze()
    frozen = {row["time_entry_id"]: row["amount"] for row in working.store.rows(
        "select * from billing.batch_line where batch_id = %(batch)s", batch=batch)}  # fmt: skip
    assert {key: amount for key, (amount, _) in found.items() if amount is not None} == frozen and len(frozen) > 30
    assert {reason for amount, reason in found.values() if amount is None} <= {"no rate"}
    assert len(found) == 80


def _agree(firm: Firm, chance: random.Random, number: int) -> None:
    """Somebody agrees on a price: of some level, for a person, a role or a role in a region, by the hour or the day."""
    level = chance.choice(("contract_line", "contract", "customer", "standard"))
    scope = {"contract_line": "'L'", "contract": "contract_id", "customer": "customer_id", "standard": "'*'"}[level]
    who, day = chance.choice(("person", "region", "role")), dt.date(2026, 10, 1) + dt.timedelta(chance.randrange(31))
    price = chance.randrange(50, 400)
    give(
        firm,
        "insert into core.agreed_rate (rate_id, level, scope_id, resource_id, role, region, valid_from, valid_to, "
        f"hourly_rate, currency, day_rate, hours_per_day) select %(id)s, %(level)s, {scope}, %(person)s, %(role)s, "
        "%(region)s, %(from)s, %(to)s, %(rate)s, 'USD', %(day)s, %(of)s "
        "from core.contract join core.project using (engagement_id)",
        id=f"R{number}", level=level, person=person(firm) if who == "person" else None,
        role=None if who == "person" else chance.choice(("Consultant", "Consultant", "Partner")),
        region=chance.choice(("NA", "EU")) if who == "region" else None,
        **{"from": day, "to": day + dt.timedelta(chance.randrange(3)), "rate": price,
           "day": price * 8 if number % 2 else None, "of": 8 if number % 2 else None},
    )  # fmt: skip

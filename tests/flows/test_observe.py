"""A month can be billed again, and another psflow.yaml tried, without a trace."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import psycopg
import pytest

from psflow.cli.observe import tell
from psflow.config import NumberRule
from psflow.contracts import Period, TaxRule
from psflow.flows import observe, shadow
from tests.flows.conftest import ENTITY, PERIOD, Firm
from tests.flows.test_shadow import HOUR, invoice, owned

MONTH = Period(name=PERIOD)


@pytest.fixture
def working(firm: Firm) -> Firm:
    """A firm with one active project."""
    firm.start()
    return firm


def look(firm: Firm, **more: Any) -> observe.Observation:
    return observe.observe(firm.store, firm.config, ENTITY, MONTH, **more)


def causes(seen: observe.Observation) -> dict[str, Decimal]:
    return {str(total.cause): total.difference for total in seen.totals(by_cause=True)}


def everything(url: str) -> dict[str, tuple[int, str]]:
    """Return table -> how many rows and their hash, of the whole database."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables "
            "where schemaname in ('raw', 'core', 'billing', 'finance', 'ops', 'metrics')"
        ).fetchall()
        asked = "select count(*), coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {} t"
        return {name: connection.execute(asked.format(name)).fetchone() for (name,) in tables}  # type: ignore[arg-type,misc]


def at_vendors(firm: Firm) -> list[Any]:
    return [firm.kantata.state()["records"], firm.salesforce.state()["records"], list(firm.erp.calls)]


def test_a_month_billed_right_has_no_difference(working: Firm) -> None:
    working.log(1, 90)
    working.log(2, 20, date_performed="2026-10-20")
    working.load_time()
    working.bill()
    seen = look(working)
    (total,) = seen.totals(by_cause=False)
    assert (total.lines, total.billed, total.should) == (2, Decimal("337.420"), Decimal("337.420"))
    assert seen.differing == []


def test_what_was_billed_at_an_old_rate_or_not_at_all_is_named(working: Firm) -> None:
    working.log(1, 60)
    working.log(2, 60)
    working.load_time()
    working.bill()
    dearer = {"id": "31", "rate_card_version_id": "21", "role_id": "2", "rate": 20000}
    working.kantata.load({"rate_card_roles": [dearer]})
    working.sync()
    working.log(3, 60, updated_at="2026-11-20T08:00:00Z")
    working.log(2, 60, billable=False, updated_at="2026-11-20T08:00:00Z")
    working.load_time()
    assert causes(look(working)) == {
        "late hour": Decimal("-200"), "not billable": Decimal("180.5"), "rate": Decimal("-19.5"),
    }  # fmt: skip


def test_hours_billed_before_an_increment_was_agreed_and_over_a_cap_are_named(working: Firm) -> None:
    working.log(1, 50)
    working.load_time()
    working.bill()
    with working.store.transaction("test"):
        working.store.run(
            "insert into core.increment (customer_id, valid_from, minutes) select customer_id, '2026-01-01', 30 "
            "from core.customer"
        )
    assert causes(look(working)) == {"increment": Decimal("150.42") - Decimal("180.50")}
    with working.store.transaction("test"):
        working.store.run(
            "insert into billing.cap (cap_id, level, scope_id, limit_amount, currency) "
            "select 'CAP', 'contract', contract_id, 100, 'USD' from core.contract"
        )
    assert causes(look(working)) == {"cap": Decimal("50.42")}


def test_a_credit_that_was_decided_is_no_difference(working: Firm) -> None:
    working.log(1, 60)
    working.load_time()
    working.bill()
    with working.store.transaction("test"):
        working.store.run(
            "insert into billing.adjustment (kind, entry_key, minutes, amount, currency, decided_on, reason, asked_by, "
            "approved_by) values ('credit', '1', 30, 90.25, 'USD', '2026-11-05', 'agreed', 'a', 'b')"
        )
    assert causes(look(working)) == {"decided": Decimal("90.25")}  # not taken back yet
    working.bill("2026-11")
    assert causes(look(working)) == {}


def test_a_firm_that_only_looks_sees_what_its_psa_billed(working: Firm, admin_url: str) -> None:
    """The bills are read inside the transaction that is rolled back, and nothing stays of them."""
    working.log(1, 60, **HOUR)
    working.log(2, 60, **HOUR | {"rate_in_cents": 10000})
    working.load_time()
    invoice(working, 7, [1, 2])
    seen = look(working, reading=[(working.psa, "psa")])
    (line,) = seen.differing
    assert (line["cause"], line["system"], line["bill_id"]) == ("rate", "kantata", "7")
    assert line["difference"] == Decimal("-80.5")
    assert working.store.value("select count(*) from core.bill") == 0


def test_looking_changes_no_row_and_writes_to_no_system(working: Firm, admin_url: str) -> None:
    working.config = owned(working.config, "psa")
    working.log(1, 60, **HOUR)
    working.log(2, 60, **HOUR | {"rate_in_cents": 10000})
    invoice(working, 7, [1, 2])
    working.load_time()
    shadow.read_bills(working.store, working.config, working.psa, "psa")
    working.freeze()
    other = working.config.model_copy(update={"number_owner": ()})
    before = everything(admin_url)
    vendors = at_vendors(working)
    assert look(working, reading=[(working.psa, "psa")]).differing
    assert observe.diff(working.store, working.config, other, ENTITY, MONTH).differing
    assert everything(admin_url) == before
    assert at_vendors(working) == vendors


def test_another_file_tells_which_charges_would_change(working: Firm) -> None:
    working.log(1, 60, date_performed="2026-10-05")
    working.log(2, 60, date_performed="2026-10-20")
    working.load_time()
    working.bill()
    with working.store.transaction("test"):
        working.store.run(
            "insert into core.agreed_rate (rate_id, level, scope_id, role, valid_from, hourly_rate, currency) "
            "select 'AGREED', 'customer', customer_id, 'Consultant', '2026-10-10', 150, 'USD' from core.customer"
        )
    (ours,) = [e for e in working.config.legal_entities if e.legal_entity_id == ENTITY]
    others = tuple(e for e in working.config.legal_entities if e is not ours)

    def changed(**fields: Any) -> observe.Observation:
        new = working.config.model_copy(update={"legal_entities": (ours.model_copy(update=fields), *others)})
        return observe.diff(working.store, working.config, new, ENTITY, MONTH)

    assert changed().differing == []
    seen = changed(rate_levels=("standard",))
    (line,) = seen.differing
    assert (line["entry_key"], line["cause"], line["is_billed"]) == ("2", "rate", True)
    assert (line["billed_amount"], line["should_amount"]) == (Decimal("150"), Decimal("200"))
    assert causes(changed(billing_starts_on=dt.date(2026, 10, 10))) == {"out of scope": Decimal("180.5")}


def test_other_taxes_or_another_rounding_name_the_invoices_and_charges_they_change(working: Firm) -> None:
    working.log(1, 60, date_performed="2026-10-05")  # 180.50
    working.log(2, 60, date_performed="2026-10-20")  # 200.00
    working.load_time()
    working.bill()
    now = working.config

    def file(*rules: dict[str, Any], rounding: str = "half_up") -> Any:
        plain = {"treatment": "us_services", "category": "S", "erp_tax": "tax"}
        taxes = tuple(TaxRule(**(plain | rule)) for rule in rules)
        ours = now.legal_entity(ENTITY).model_copy(update={"taxes": taxes, "tax_rounding": rounding})
        others = tuple(e for e in now.legal_entities if e.legal_entity_id != ENTITY)
        return now.model_copy(update={"legal_entities": (ours, *others)})

    def changed(old: Any, new: Any) -> observe.Observation:
        return observe.diff(working.store, old, new, ENTITY, MONTH)

    seen = changed(now, file({"rate_pct": 10}))
    (line,) = seen.differing
    assert (line["cause"], line["project_code"], line["is_billed"]) == ("tax", "P-1001", True)
    assert (line["billed_amount"], line["should_amount"]) == (0, Decimal("38.05"))
    assert line["billed"]["says"] == "O 0 % VATEX-EU-O on 380.500"
    assert line["should"]["says"] == "S 10 % on 380.500; another for 1, 2"
    assert causes(seen) == {"tax": Decimal("-38.05")}
    assert [total.billed for total in seen.totals(by_cause=False)] == [Decimal("380.5")]
    later = {"rate_pct": 20, "valid_from": dt.date(2026, 10, 16)}
    (line,) = changed(
        file({"rate_pct": 10}), file({"rate_pct": 10, "valid_to": dt.date(2026, 10, 15)}, later)
    ).differing
    assert line["should"]["says"] == "S 10 % on 180.500, S 20 % on 200.000; another for 2"
    assert (line["billed_amount"], line["should_amount"]) == (Decimal("38.05"), Decimal("58.05"))
    (line,) = changed(file({"rate_pct": 1}), file({"rate_pct": 1}, rounding="half_even")).differing
    assert (line["billed_amount"], line["should_amount"]) == (Decimal("3.81"), Decimal("3.80"))
    (line,) = changed(file({"rate_pct": 1}), file()).differing
    assert (line["should_amount"], line["should"]["says"]) == (None, "no tax fits on 380.500; another for 1, 2")
    assert changed(file({"rate_pct": 10}), file({"rate_pct": 10}, rounding="half_even")).differing == []


def test_another_owner_of_the_number_is_named(working: Firm) -> None:
    working.log(1, 60)
    working.load_time()
    new = working.config.model_copy(update={"number_owner": (NumberRule(owner="erp"),)})
    now = working.config
    assert causes(observe.diff(working.store, now, new, ENTITY, MONTH)) == {"number owner": Decimal("180.5")}
    assert causes(observe.diff(working.store, new, now, ENTITY, MONTH)) == {"number owner": Decimal("-180.5")}


def test_the_workbook_holds_every_line_and_no_formula(working: Firm, tmp_path: Path) -> None:
    working.log(1, 60)
    working.load_time()
    with working.store.transaction("test"):
        working.store.run("update core.project set name = '=1+1'")
    observe.write(tmp_path / "seen.xlsx", look(working))
    with ZipFile(tmp_path / "seen.xlsx") as book:
        sheets = [book.read(name).decode() for name in book.namelist() if name.startswith("xl/worksheets/")]
    assert len(sheets) == 3 and "missing" in sheets[1] and not any("<f>" in sheet for sheet in sheets)


def test_the_terminal_tells_totals_causes_and_both_computations(
    working: Firm, capsys: pytest.CaptureFixture[str]
) -> None:
    working.log(1, 60)
    working.load_time()
    seen = look(working)
    tell(seen, None, False)
    said = " ".join(capsys.readouterr().out.split())
    assert "MER-US 2026-10: 1 lines, billed 0, should be 180.500, difference -180.500 USD" in said
    assert "1.00 h worked, at 180.5 (rate 5|Consultant|2026-01-01) = 180.50 USD | -180.500 USD" in said
    tell(seen, None, True)
    told = json.loads(capsys.readouterr().out)
    assert [(c["cause"], c["difference"]) for c in told["causes"]] == [("missing", "-180.500")]
    assert [(line["entry_key"], line["should"]["amount"]) for line in told["lines"]] == [("1", "180.500")]

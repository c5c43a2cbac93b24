"""Several customers pay for one engagement: every charge is split, each gets its invoice, and hours count once."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from psflow.config import Config, Person
from psflow.contracts import Period, TaxRule
from psflow.contracts.terms import FeeFrom, SubscriptionTerms
from psflow.errors import GateFailed
from psflow.flows import billing, billing_posting, billing_preview, dispute, period_controls, terms, terms_words
from psflow.gates.suite import ExpectationGate
from psflow.rules.split import shares
from psflow.store.connection import sql
from tests.flows.conftest import ENTITY, Firm, PassGate
from tests.flows.test_billing_contracts import CONTRACT, LATER, adjust, agree, breaks, cap, earned, left_out, say
from tests.flows.test_explain import everything
from tests.flows.test_explain import told as explained

HEAD = "P-1001:\n  currency: USD\n  agreed_on: 2026-10-01\n  reason: SOW 3, annex P\n  payers:\n"
OWN, OTHER, THIRD = "C-77", "C-2", "C-3"
INVOICE, OF_OTHER = "MER-US.2026-10.1.P-1001", "MER-US.2026-10.1.P-1001.C-2"
RATE = Decimal("180.50")
Load = Callable[..., list[str]]
Money = tuple[str, str, Decimal, int | None]


@pytest.fixture
def working(firm: Firm) -> Firm:
    """A firm with one active project of Acme at 180.50 an hour, rita, who edits rates, and two more customers."""
    firm.start()
    rita = Person(person="P-401", airflow_user="rita", teams=("finance",), may=("rates",))
    firm.config = firm.config.model_copy(update={"people": (*firm.config.people, rita)})
    for number, name in ((OTHER, "Globex"), (THIRD, "Initech")):
        say(firm, "insert into core.customer (customer_id, name) values (%(c)s, %(n)s)", c=number, n=name)
        say(firm, "insert into ops.crosswalk values ('customer', %(c)s, 'tryton', 'books', %(c)s)", c=number)
    return firm


@pytest.fixture
def load(working: Firm, tmp_path: Path) -> Load:
    """Loads who pays, as a file says it: a day, and for each customer its share; the first takes the residue."""

    def _load(payers: dict[str, str], since: str = "2026-10-01", residue: str = OWN) -> list[str]:
        said = ", ".join(
            f"{{customer: '{who}', share_pct: {pct}, residue: {str(who == residue).lower()}}}"
            for who, pct in payers.items()
        )
        path = tmp_path / "payers.yaml"
        path.write_text(f"{HEAD}    - {{valid_from: {since}, shares: [{said}]}}\n", encoding="utf-8")
        return terms.load(working.store, working.config, path, "rita")[1]

    return _load


def ledger(firm: Firm) -> list[Money]:
    rows = firm.store.rows('select * from billing.charge order by charge_id collate "C"')
    return [(row["charge_id"], row["payer_id"] or OWN, row["amount"], row["minutes"]) for row in rows]


def owes(firm: Firm) -> dict[str, Decimal]:
    """What stands with each payer."""
    rows = firm.store.rows("select payer_id, sum(amount) as amount from billing.counted_charge group by payer_id")
    return {row["payer_id"] or OWN: row["amount"] for row in rows if row["amount"]}


def documents(firm: Firm) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    return {
        d["invoice_key"]: (d["customer_ref"], [(line["hours"], line["amount"]) for line in d["lines"]])
        for d in firm.erp.documents.values()
    }


def cancel(firm: Firm, invoice: str) -> None:
    """Bill, and somebody cancels one draft in the ERP before it is posted."""
    run = (firm.store, firm.config, firm.erp, firm.approve())
    billing_posting.release(*run)
    billing_posting.draft(*run)
    (document,) = [d for d in firm.erp.documents.values() if d["invoice_key"] == invoice]
    document["state"] = "cancelled"
    billing_posting.read_back(*run)
    billing_posting.post(*run)


def cents(*amounts: str) -> list[Decimal]:
    return [Decimal(amount) for amount in amounts]


def test_an_hour_is_split_to_the_cent_and_each_payer_gets_its_own_invoice(
    working: Firm, load: Load, real_gate: ExpectationGate
) -> None:
    assert load({OWN: "60", OTHER: "40"}) == []
    working.log(1, 25)  # 75.208333 is 75.21: 30.084 is 30.08, and the odd cent is Acme's
    working.load_time()
    working.spend(9, 10001)
    working.load_expenses()
    working.post(working.approve(real_gate))
    assert ledger(working) == [
        ("1.1", OWN, Decimal("45.130"), 15), ("1.1/2", OTHER, Decimal("30.080"), 10),
        ("expense:9.1", OWN, Decimal("60.010"), None), ("expense:9.1/2", OTHER, Decimal("40.000"), None),
    ]  # fmt: skip
    billed = working.store.value("select sum(billed_minutes) from billing.charge")
    assert billed == 25
    party = working.store.value("select external_id from ops.crosswalk where (kind, system) = ('customer', 'tryton') "
                                "and entity_id = %(own)s", own=OWN)  # fmt: skip
    assert {key: ref for key, (ref, _) in documents(working).items()} == {INVOICE: party, OF_OTHER: OTHER}
    assert [d["state"] for d in working.erp.documents.values()] == ["posted", "posted"]
    assert breaks(working) == 0 and working.freeze() is None
    assert earned(working) == {"2026-10": Decimal("175.220")}  # hours once, and K2 closes
    rows = working.store.rows("select customer_name, amount from finance.invoice order by amount")
    assert [tuple(row.values()) for row in rows] == [
        ("Globex", Decimal("70.080")), ("Acme", Decimal("105.140"))
    ]  # fmt: skip


def test_the_plan_the_invoice_and_the_explanation_name_the_payer(working: Firm, load: Load) -> None:
    load({OWN: "60", OTHER: "40"})
    working.log(1, 25)
    working.load_time()
    plan = billing_preview.preview(working.store, working.config, ENTITY, Period(name="2026-10"))
    assert plan is not None
    assert [(row["customer"], row["amount"], row["invoice_key"]) for row in plan.tables["invoices"]] == [
        ("Acme", "45.130", INVOICE), ("Globex", "30.080", OF_OTHER),
    ]  # fmt: skip
    assert [row["line_key"] for row in plan.tables["lines"]] == [f"{INVOICE}.1", f"{OF_OTHER}.1"]
    assert [(row["invoices"], row["amount"]) for row in plan.tables["totals"]] == [(2, "75.210")]
    assert len(plan.tables["changes"]) == 1
    working.bill()
    said = everything(explained(working, OF_OTHER))
    assert f"Invoice {OF_OTHER} to Globex of 2026-10-31: USD 30.08" in said
    assert "P-1001 is paid by Acme 60 % and the residue, Globex 40 %; each payer has an invoice of its own" in said
    assert "Globex pays 40 %, rounded; the payers are Acme 60 % and the residue, Globex 40 %" in said
    assert "agreed on 2026-10-01 for work from 2026-10-01 on: SOW 3, annex P" in said
    assert "Acme pays 60 %, it takes the residue" in everything(explained(working, "1.1"))
    assert f"billed, USD 75.21 on {INVOICE}, {OF_OTHER}" in explained(working, "1", "entry").says


def test_what_is_billed_keeps_its_split_and_an_edit_takes_back_each_part_as_it_was(working: Firm, load: Load) -> None:
    load({OWN: "60", OTHER: "40"})
    working.log(1, 25)
    working.load_time()
    working.bill()
    assert load({OWN: "50", THIRD: "50"}) == []
    assert working.freeze() is None
    working.log(1, 50, updated_at=LATER)
    working.log(2, 60)
    working.load_time()
    working.bill()
    assert ledger(working) == [
        ("1.1", OWN, Decimal("45.130"), 15), ("1.1.R", OWN, Decimal("-45.130"), -15),
        ("1.1/2", OTHER, Decimal("30.080"), 10), ("1.1/2.R", OTHER, Decimal("-30.080"), -10),
        ("1.2", OWN, Decimal("90.250"), 30), ("1.2/2", OTHER, Decimal("60.170"), 20),
        ("2.1", OWN, Decimal("90.250"), 30), ("2.1/2", THIRD, Decimal("90.250"), 30),
    ]  # fmt: skip
    assert breaks(working) == 0 and earned(working) == {"2026-10": Decimal("330.920")}


def test_a_credit_mirrors_the_split_and_what_is_left_is_billed_as_it_was_agreed(working: Firm, load: Load) -> None:
    load({OWN: "60", OTHER: "40"})
    working.log(1, 60)
    working.log(2, 60)
    working.load_time()
    working.bill()
    load({OWN: "100"})
    assert adjust(working, "credit", "1", 20) == Decimal("60.170")
    working.bill()
    assert owes(working) == {OWN: Decimal("180.500"), OTHER: Decimal("120.330")}  # 108.30 + 72.20; 72.20 + 48.13
    working.bill()
    assert owes(working) == {OWN: Decimal("216.600"), OTHER: Decimal("144.400")}
    assert breaks(working) == 0 and earned(working) == {"2026-10": 2 * RATE}


def test_a_dispute_of_one_payer_takes_back_that_payers_part_alone(working: Firm, load: Load) -> None:
    load({OWN: "60", OTHER: "40"})
    working.log(1, 60)
    working.log(2, 60)
    working.load_time()
    working.bill()
    run = (working.store, working.config)
    number = dispute.note(*run, OF_OTHER, Decimal("72.20"), "not ours", "frank", "fiona")
    said = {"asked_by": "fiona", "airflow_user": "frank", "on": dt.date(2026, 10, 31)}
    assert dispute.credit(*run, number, {"1": None}, "agreed", **said) == Decimal("72.200")  # type: ignore[arg-type]
    working.log(3, 90)
    working.load_time()
    working.bill()
    assert owes(working) == {OWN: Decimal("379.050"), OTHER: Decimal("180.500")}
    assert left_out(working) == [("1", "credited", 24, Decimal("72.200"))]
    assert breaks(working) == 0
    assert adjust(working, "write_off", "1") == Decimal("72.200")
    assert working.freeze() is None
    assert breaks(working) == 0 and earned(working) == {"2026-10": Decimal("559.550")}


def test_a_cancelled_draft_of_one_payer_opens_that_payers_charges_only(working: Firm, load: Load) -> None:
    load({OWN: "60", OTHER: "40"})
    working.log(1, 25)
    working.load_time()
    cancel(working, OF_OTHER)
    assert owes(working) == {OWN: Decimal("45.130")} and breaks(working) == 0
    load({OWN: "100"})  # the hour stands in part as it was split, so its rest is split like that, too
    working.bill()
    assert ledger(working)[-1] == ("1.1/2~2", OTHER, Decimal("30.080"), 10)
    assert owes(working) == {OWN: Decimal("45.130"), OTHER: Decimal("30.080")} and breaks(working) == 0
    assert working.exceptions() == [] and working.freeze() is None


def test_a_credit_on_a_draft_that_is_cancelled_is_carried_out_again_for_that_payer(working: Firm, load: Load) -> None:
    load({OWN: "60", OTHER: "40"})
    working.log(1, 60)
    working.load_time()
    working.bill()
    adjust(working, "credit", "1", 20)
    working.log(2, 60)
    working.load_time()
    cancel(working, "MER-US.2026-10.2.P-1001.C-2")
    assert owes(working) == {OWN: Decimal("180.500"), OTHER: Decimal("72.200")}
    working.log(3, 60)
    working.load_time()
    working.bill()
    assert owes(working) == {OWN: Decimal("288.800"), OTHER: Decimal("192.530")}  # 48.13 and twice 72.20
    assert [line[0] for line in ledger(working) if line[0].endswith("~2")] == ["1.1/2.R~2", "1.1/4~2", "2.1/2~2"]
    working.bill()
    assert owes(working) == {OWN: Decimal("324.900"), OTHER: Decimal("216.600")} and breaks(working) == 0


def test_a_cap_and_a_purchase_order_count_the_whole_once(working: Firm, load: Load) -> None:
    load({OWN: "60", OTHER: "40"})
    cap(working, "300.01")
    say(working, "insert into billing.cap (cap_id, level, scope_id, limit_amount, currency, counts, on_excess) "
                 "values ('order:PO', 'order', 'PO', 1000, 'USD', 'all', 'hold')")  # fmt: skip
    say(working, "insert into billing.purchase_order values ('PO', %(c)s, null, 'PO-7', '2026-10-01', null, true, "
                 "'order:PO')", c=CONTRACT)  # fmt: skip
    working.log(1, 60, date_performed="2026-10-05")
    working.log(2, 60, date_performed="2026-10-06")
    working.load_time()
    working.bill()
    assert owes(working) == {OWN: Decimal("180.010"), OTHER: Decimal("120.000")}  # 119.51 is 71.71 and 47.80
    assert left_out(working) == [("2", "over_cap", 21, Decimal("60.990"))]
    assert working.store.value("select invoiced from finance.purchase_order") == Decimal("300.010")
    assert breaks(working) == 0
    say(working, "update billing.cap set limit_amount = 1000 where cap_id = 'CAP'")
    working.bill()
    assert owes(working) == {OWN: Decimal("216.600"), OTHER: Decimal("144.400")}
    assert working.store.value("select sum(minutes) from billing.charge") == 120
    assert working.store.value("select sum(billed_minutes) from billing.charge") == 120
    assert working.store.value("select balance from finance.purchase_order") == 1000 - 2 * RATE
    assert breaks(working) == 0 and earned(working) == {"2026-10": 2 * RATE}


def test_three_share_fees_and_expenses_too_and_what_is_credited_or_written_off_of_them_ties(
    working: Firm, load: Load
) -> None:
    load({OWN: "33.3334", OTHER: "33.3333", THIRD: "33.3333"}, residue=THIRD)
    fees = (FeeFrom(valid_from=dt.date(2026, 10, 1), monthly_fee=Decimal(100)),)
    agree(working, "S", 1, SubscriptionTerms(title="Run", fees=fees))
    working.spend(1, 10001)
    working.spend(2, -5001)
    working.load_expenses()
    working.bill()
    assert _of(working, "item:") == cents("33.330", "33.330", "33.340")  # Initech takes the residue
    assert _of(working, "expense:1") == cents("33.330", "33.340", "33.340")
    assert _of(working, "expense:2") == cents("-16.670", "-16.670", "-16.670")
    adjust(working, "credit", "expense:1")
    working.log(6, 600)
    working.load_time()
    working.bill()
    assert breaks(working) == 0
    assert adjust(working, "write_off", "expense:1") == Decimal("100.010")
    assert working.freeze() is None and breaks(working) == 0


def test_overtime_is_split_as_the_hour_it_is_of(working: Firm, load: Load) -> None:
    load({OWN: "60", OTHER: "40"})
    over = "insert into core.overtime (contract_id, valid_from, per, after_minutes, multiplier) values (%(c)s, %(on)s, "
    say(working, over + "'day', 60, 1.5)", c=CONTRACT, on="2026-10-01")
    working.log(1, 50)
    working.log(2, 40)
    working.load_time()
    working.bill()
    assert [line[0] for line in ledger(working)[2:]] == ["2.1", "2.1/2", "2.1/overtime", "2.1/overtime/2"]
    working.log(2, 70, updated_at=LATER)
    working.load_time()
    working.bill()
    adjust(working, "credit", "2", 20)
    working.log(3, 60, updated_at=LATER, date_performed="2026-10-07")
    working.load_time()
    working.bill()
    assert breaks(working) == 0
    working.bill()
    sums = working.store.row("select sum(minutes) as m, sum(billed_minutes) as b from billing.counted_charge")
    assert sums == {"m": 180, "b": 180} and breaks(working) == 0 and working.exceptions() == []


def _of(firm: Firm, key: str) -> list[Decimal]:
    """What stands of an entry, the least first."""
    rows = firm.store.rows("select amount from billing.live_charge where starts_with(entry_key, %(key)s)", key=key)
    return sorted(row["amount"] for row in rows)


def test_a_split_counts_from_its_day_of_the_work(working: Firm, load: Load) -> None:
    load({OWN: "60", OTHER: "40"}, since="2026-10-06")
    working.log(1, 60, date_performed="2026-10-05")
    working.log(2, 60, date_performed="2026-10-06")
    working.load_time()
    working.bill()
    assert _of(working, "1") == [RATE] and _of(working, "2") == cents("72.200", "108.300")
    lines = documents(working)[INVOICE][1]
    assert lines == [("1.6000", "288.800")] and breaks(working) == 0


def test_a_credit_that_sinks_one_payers_invoice_waits_alone_and_is_carried_out_later(working: Firm, load: Load) -> None:
    load({OWN: "60", OTHER: "40"})
    working.log(1, 60)
    working.load_time()
    working.bill()
    load({OWN: "100"}, since="2026-10-20")
    working.log(1, 30, updated_at=LATER)  # half of it back: 54.15 and 36.10
    working.log(2, 60, date_performed="2026-10-21")  # all of it Acme's, so its invoice is above zero
    working.load_time()
    working.bill()
    assert owes(working) == {OWN: Decimal("254.150"), OTHER: Decimal("72.200")}  # 54.15 and 200; as it was
    (waits,) = working.exceptions("billing")
    assert (waits["entity"], waits["record_id"], waits["value"]) == ("project", "P-1001", "-36.10")
    assert "to P-1001 for Globex, whose invoice alone waits" in waits["message"]
    assert breaks(working) == 0 and earned(working) == {"2026-10": Decimal("290.250")}
    assert working.freeze() is None
    working.log(3, 60, updated_at=LATER)
    working.load_time()
    working.bill()
    assert owes(working) == {OWN: Decimal("362.450"), OTHER: Decimal("108.300")}  # 36.10 and 72.20
    assert working.exceptions() == [] and breaks(working) == 0 and working.freeze() is None


def test_an_hour_that_moved_or_was_decided_on_waits_with_all_its_payers(working: Firm, load: Load) -> None:
    load({OWN: "60", OTHER: "40"})
    load({OWN: "100"}, since="2026-10-20")
    working.log(1, 60)
    working.load_time()
    working.bill()
    before = ledger(working)
    working.log(1, 60, date_performed="2026-10-21", updated_at=LATER)  # by now all of it is Acme's
    working.load_time()
    assert working.freeze() is None and ledger(working) == before
    (waits,) = working.exceptions("billing")
    assert waits["value"] == "-72.20"


@pytest.mark.parametrize("seed", range(2))
def test_whoever_waits_in_between_each_payer_owes_its_share_of_what_was_worked_in_the_end(
    working: Firm, load: Load, seed: int
) -> None:
    chance = random.Random(f"waits {seed}")
    load({OWN: "60", OTHER: "40"})
    load({OWN: "30", OTHER: "50", THIRD: "20"}, since="2026-10-10")
    days, worked = {n: chance.randrange(5, 16) for n in range(12)}, dict[int, int]()
    alone = 0
    for turn in range(5):
        for number in chance.sample(sorted(days), 4):
            worked[number] = chance.choice((0, 7, 25, 60, 300)) if turn % 2 else chance.randrange(1, 400)
            days[number] = chance.choice((days[number],) * 4 + (5, 15))
            at = f"2026-11-02T00:{turn:02}:00Z"
            working.log(number, worked[number], date_performed=f"2026-10-{days[number]:02}", updated_at=at)
        working.load_time()
        if working.freeze():
            working.bill()
        alone += any("alone" in row["message"] for row in working.exceptions("billing"))
        assert breaks(working) == 0
        told = period_controls.check(working.store, working.config, ENTITY, Period(name="2026-10"))
        assert [c.broken for c in told if c.control in ("K2", "K3", "K10")] == [(), (), ()]
    working.log(99, 6000, date_performed="2026-10-05", updated_at="2026-11-02T01:00:00Z")
    working.log(98, 6000, date_performed="2026-10-15", updated_at="2026-11-02T01:00:00Z")
    working.load_time()
    working.bill()
    assert working.freeze() is None and alone
    due = {number: minutes for number, minutes in worked.items() if minutes} | {99: 6000, 98: 6000}
    for number, minutes in due.items():
        whole = (minutes * RATE / 60).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
        early = {99: 5, 98: 15}.get(number, days.get(number, 0)) < 10
        payers = {OWN: 60, OTHER: 40} if early else {OWN: 30, OTHER: 50, THIRD: 20}
        parts = shares(whole, [Decimal(w) for w in payers.values()], "USD", 0)
        rows = working.store.rows("select * from billing.live_charge where time_entry_id = %(n)s", n=str(number))
        found = {row["payer_id"] or OWN: row["amount"] for row in rows}
        assert found == {who: part for who, part in zip(payers, parts, strict=True) if part}, number
        assert sum(row["minutes"] for row in rows) == minutes


def test_payers_that_do_not_add_up_or_are_not_known_are_refused_with_their_place(working: Firm, load: Load) -> None:
    say(working, "insert into core.customer (customer_id, name) values ('C-9', 'Hooli')")
    for payers, residue, what in (
        ({OWN: "60", OTHER: "30"}, OWN, "come to 90 percent, not to 100"),
        ({OWN: "60", OTHER: "40"}, "nobody", "exactly one customer takes the residue"),
        ({OWN: "60", "Globex": "40"}, OWN, "Globex is no customer's id, whose id is C-2"),
        ({OWN: "60", "C-9": "40"}, OWN, "C-9 is not known in tryton, which invoices"),
        ({OWN: "100", OTHER: "0"}, OWN, "greater than 0"),
    ):
        (wrong,) = load(payers, residue=residue)
        assert what in wrong and "payers.yaml:6:" in wrong
    assert working.store.value("select count(*) from core.split") == 0
    load({OWN: "60", OTHER: "40"})
    load({OTHER: "40.0", OWN: "60"})
    assert working.store.value("select count(*) from core.split") == 1
    said = terms_words.words(working.store, "P-1001", dt.date(2026, 10, 31))
    assert (
        "work from 2026-10-01 on is paid by Acme 60 % and the residue, Globex 40 %; agreed on 2026-10-01 "
        "(SOW 3, annex P)"
    ) in said


def test_postgres_refuses_a_charge_of_somebody_else_and_a_part_that_is_not_the_share(working: Firm, load: Load) -> None:
    load({OWN: "60", OTHER: "40"})
    working.log(1, 60)
    working.load_time()
    batch = working.approve()
    charges = sql("warehouse.billing", "charges")
    for payer, what in (("'C-3'", "is of nobody who agreed to pay"), ("null", "do not pay what they agreed to")):
        slipped = charges.replace("payer_id, split_id, tax_id,\n       s", f"{payer}, split_id, tax_id,\n       s")
        with pytest.raises(psycopg.errors.CheckViolation, match=what), working.store.transaction("test"):
            for name in ("invoices", "invoice_lines"):
                working.store.run(sql("warehouse.billing", name), batch=batch)
            working.store.run(slipped, batch=batch)  # type: ignore[arg-type]


def test_parts_add_up_to_the_whole_and_are_those_of_the_pure_rule(working: Firm, load: Load) -> None:
    chance = random.Random(7)
    weights = [chance.randrange(1, 50), chance.randrange(1, 50)]
    payers = {OTHER: weights[0], OWN: weights[1], THIRD: 100 - sum(weights)}
    load({who: str(share) for who, share in payers.items()})
    worked = {number: chance.randrange(1, 600) for number in range(1, 40)}
    for number, minutes in worked.items():
        working.log(number, minutes)
    working.load_time()
    batch = working.bill()
    for number, minutes in worked.items():
        whole = (minutes * RATE / 60).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
        parts = shares(whole, [Decimal(w) for w in payers.values()], "USD", list(payers).index(OWN))
        rows = working.store.rows("select * from billing.charge where time_entry_id = %(n)s", n=str(number))
        found = {row["payer_id"] or OWN: row["amount"] for row in rows}
        assert found == {who: part for who, part in zip(payers, parts, strict=True) if part}
        assert sum(row["minutes"] for row in rows) == minutes == sum(row["billed_minutes"] for row in rows)
    said = "select set_config('psflow.batch_id', %(batch)s, false)"
    working.store.value(said, batch=batch)
    assert working.store.value("select count(*) from billing.batch_gate where is_rated_right = 'no'") == 0
    told = {c.control: c for c in period_controls.check(working.store, working.config, ENTITY, Period(name="2026-10"))}
    assert [told[name].broken for name in ("K2", "K3", "K10")] == [(), (), ()]


def test_the_months_changes_name_who_pays_and_how_it_is_taxed_before_and_after(working: Firm, load: Load) -> None:
    def changes(period: Period) -> list[dict[str, Any]]:
        asked = period_controls.question(working.store, working.config, ENTITY, period)
        rows = working.store.rows(sql("warehouse.period", "k12_master_data"), **asked)
        return [row["detail"] for row in rows if row["record_id"].startswith(("payers", "taxes"))]

    load({OWN: "100"})
    load({OWN: "60", OTHER: "40"})
    first, second = changes(Period(name="2026-10"))
    assert first["after"] == {"payers": "Acme 100 % and the residue", "reason": "SOW 3, annex P"}
    assert (second["before"], second["after"]["payers"]) == (
        {"payers": "Acme 100 % and the residue"}, "Acme 60 % and the residue, Globex 40 %",
    )  # fmt: skip
    this_month = Period(name=f"{dt.datetime.now(dt.UTC):%Y-%m}")
    working.freeze()
    working.freeze()
    (told,) = changes(this_month)
    assert told["after"]["tax_rounding"] == "half_even" and "before" not in told
    working.config = _taxed(working, {"category": "S", "rate_pct": "20"})
    working.freeze()
    assert [row["after"]["taxes"][0]["category"] for row in changes(this_month)] == ["O", "S"]


def _taxed(firm: Firm, *rules: dict[str, object]) -> Config:
    ours = firm.config.legal_entity(ENTITY).model_copy(update={"taxes": _rules(*rules)})
    others = tuple(e for e in firm.config.legal_entities if e.legal_entity_id != ENTITY)
    return firm.config.model_copy(update={"legal_entities": (ours, *others)})


def _rules(*rules: dict[str, object]) -> tuple[TaxRule, ...]:
    return tuple(TaxRule(treatment="us_services", erp_tax="tax", **rule) for rule in rules)  # type: ignore[arg-type]


def test_each_payer_is_taxed_where_it_is_and_a_credit_of_one_mirrors_its_own(working: Firm, load: Load) -> None:
    def taxed(*rules: dict[str, object]) -> None:
        working.config = _taxed(working, *rules)

    load({OWN: "60", OTHER: "40"})
    say(working, "update core.customer set country = 'FR' where customer_id = %(c)s", c=OTHER)
    reverse = {"countries": ("FR",), "category": "AE", "reason_code": "VATEX-EU-AE"}
    taxed({"category": "S", "rate_pct": "19"}, reverse)
    working.log(1, 60)
    working.load_time()
    batch = working.freeze()
    assert batch
    with pytest.raises(GateFailed, match="held every line"):
        billing.check(working.store, working.config, PassGate(), batch)
    (waits,) = working.exceptions("tax")
    assert (waits["record_id"], waits["field"]) == ("P-1001", "vat_id"), "both invoices of the engagement wait"
    say(working, "update core.customer set vat_id = 'FR12345678901' where customer_id = %(c)s", c=OTHER)
    working.bill()
    said = (
        "select invoice_key, category, taxable, tax, buyer_vat_id from billing.invoice_tax join billing.invoice "
        "using (invoice_key) where batch_id = %(b)s order by invoice_key"
    )
    first = [tuple(row.values())[1:] for row in working.store.rows(said, b="MER-US.2026-10.2")]
    assert first == [
        ("S", Decimal("108.300"), Decimal("20.580"), None),
        ("AE", Decimal("72.200"), Decimal(0), "FR12345678901"),
    ]
    taxed({"category": "S", "rate_pct": "25"})
    adjust(working, "credit", "1")
    batch = working.bill()
    credited = [tuple(row.values())[1:] for row in working.store.rows(said, b=batch)]
    assert credited == [(category, -net, -tax, vat_id) for category, net, tax, vat_id in first]

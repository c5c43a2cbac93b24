"""How the engine answers each kind of case: inputs in, every expected value and every named mistake out."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from psflow.contracts import Period, TaxRule
from psflow.contracts.terms import MilestoneLine, MilestoneTerms, RetainerTerms
from psflow.rules import milestone, retainer
from psflow.rules.split import shares
from tests.cases import behaviour
from tests.cases.office import Office

Case = dict[str, Any]
DAY = dt.date(2026, 5, 4)
TODAY = dt.date(2026, 12, 31)


@dataclass
class Answer:
    """`says` has the shape of `expected`; `named` holds what `must_not` names."""

    says: dict[str, Any]
    named: dict[str, Any] = field(default_factory=dict)
    scenarios: dict[str, dict[str, Any]] = field(default_factory=dict)


def money(amount: Decimal) -> str:
    return f"{amount:.2f}"


def hours(of_minutes: Any) -> Decimal:
    return Decimal(of_minutes) / 60


def held(row: dict[str, Any], *words: str) -> str:
    return ", ".join([f"exception {row['reason']}", *words])


# rates


def rate_dating(office: Office, case: Case) -> Answer:
    """Rates by the day of the work, also for what is approved late."""
    given = case["inputs"]
    project = office.contract("K", currency=given["currency"])
    for row in given["rate_rows"]:
        office.rate(
            row["id"],
            row["rate"],
            role=given["role"],
            currency=given["currency"],
            **{"from": row["from"], "to": row["to"]},
        )
    for entry in given["entries"]:
        office.work(entry["id"], project, entry["work_date"], entry["hours"], role=given["role"])
    lines = office.look(TODAY)
    by_rate = Counter[Decimal]()
    for line in lines:
        by_rate[line["hourly_rate"]] += line["minutes"]
    total = sum(line["amount"] for line in lines)
    says = {
        "amounts": {line["entry_key"]: line["amount"] for line in lines},
        "total_hours": hours(sum(line["minutes"] for line in lines)),
        "total": total,
        "hours_by_rate": {money(rate): hours(m) for rate, m in by_rate.items()},
    }
    scenarios = {s["id"]: _rate_scenario(office, given, s) for s in case.get("scenarios", ())}
    return Answer(says, {"total": total}, scenarios)


def _rate_scenario(office: Office, given: Case, scenario: Case) -> dict[str, Any]:
    """Apply one change said in words, ask, and take it back."""
    added = re.match(r"add row (\S+) from (\S+) to (\S+) rate (\S+)", scenario["change"])
    ended = re.match(r"(\S+) ends (\S+)", scenario["change"])
    if added:
        row, starts, ends, rate = added.groups()
        until = None if ends == "null" else ends
        office.rate(row, rate, role=given["role"], currency=given["currency"], **{"from": starts, "to": until})
    else:
        assert ended, scenario["change"]
        row = ended[1]
        office.run("update core.agreed_rate set valid_to = %(to)s where rate_id = %(id)s", to=ended[2], id=row)
    lines = {line["entry_key"]: line for line in office.look(TODAY)}
    if added:
        office.run("delete from core.agreed_rate where rate_id = %(id)s", id=row)
    else:
        before = next(r["to"] for r in given["rate_rows"] if r["id"] == row)
        office.run("update core.agreed_rate set valid_to = %(to)s where rate_id = %(id)s", to=before, id=row)
    found = dict[str, Any]()
    for entry, said in scenario["expected"].items():
        line = lines[entry]
        assert line["amount"] is None
        words = ["entry held", "amount null"] if "held" in said else []
        found[entry] = held(line, *words) + (" (never 0.00)" if "never" in said else "")
    return found


def rate_precedence(office: Office, case: Case) -> Answer:
    """Level first, then the most specific; none is an exception and never zero."""
    given = case["inputs"]
    entity = office.entity.model_copy(
        update={"rate_levels": tuple(given["level_order"]), "rate_specificity": tuple(given["specificity_order"])}
    )
    office.entity = entity
    for row in given["rates"]:
        more = {k: row.get(k) for k in ("person", "role", "region", "from", "to")}
        office.rate(row["id"], row["rate"], row["level"], row["scope"], currency=given["currency"], **more)
    projects = dict[str, str]()
    for look in given["lookups"]:
        office.person(look["person"])
        if look["contract"] not in projects:
            projects[look["contract"]] = office.contract(look["contract"], look["customer"], currency=given["currency"])
        office.work(
            look["id"], projects[look["contract"]], look["date"], given["hours_each"], role=look["role"],
            person=look["person"], region=look["region"], line=look["line"],
        )  # fmt: skip
    lines = {line["entry_key"]: line for line in office.look(TODAY)}
    says: dict[str, Any] = {"chosen": {key: line["rate_id"] for key, line in lines.items()}}
    says |= {f"{key}_outcome": held(line) for key, line in lines.items() if line["reason"]}
    rated = [key for key, line in sorted(lines.items()) if not line["reason"]]
    says[f"total_{rated[0]}_to_{rated[-1]}"] = sum(lines[key]["amount"] for key in rated)
    return Answer(says, {key: line["amount"] for key, line in lines.items()})


# caps


def cap(office: Office, case: Case) -> Answer:
    """A cap splits the boundary entry, a credit frees it, four levels each with room of their own."""
    given = case["inputs"]
    split = _capped(office, given, "S", "split")
    whole = _capped(office, given, "W", "hold")
    says: dict[str, Any] = {
        "remaining_before": split["room"], "soft_limit_warning": split["warned"],
        "split": split["entries"] | {"remaining_after": split["left"]},
        "reject_whole": {
            key: f"{'committed' if part['billable'] else 'hold'} {money(part['billable'] or part['over_cap'])}"
            for key, part in whole["entries"].items()
        } | {"remaining_after": whole["left"]},
        f"expense_{given['expense']['id']}": split["expense"],
        "after_credit": split["after_credit"],
        "levels": _levels(office, given),
    }  # fmt: skip
    return Answer(says, {k: f"{money(p['billable'])} billable" for k, p in split["entries"].items()})


def _capped(office: Office, given: Case, contract: str, on_excess: str) -> dict[str, Any]:
    project = office.contract(contract)
    office.run("delete from core.agreed_rate")
    for number, entry in enumerate(given["entries"]):
        key, line, day = f"{contract}{entry['id']}", f"{contract}{number}", DAY + dt.timedelta(number)
        office.rate(key, entry["rate"], "contract_line", line, role="Consultant")
        office.work(key, project, day, entry["hours"], line=line)
    office.spend(f"{contract}{given['expense']['id']}", project, DAY, given["expense"]["amount"])
    counts = "fees" if given["scope"] == "fees_only" else "fees_and_expenses"
    office.cap_of(contract, given, on_excess, counts)
    found: dict[str, Any] = {}
    with office.looking(TODAY):
        room, used, warned = _use(office, contract)
        rows = office.store.rows("select * from billing_owed where entry_key like %(c)s", c=f"{contract}%")
        mine = office.store.rows("select * from billing_difference where project_code = %(p)s", p=project)
    fees = sum(r["take"] for r in rows)
    found |= {"room": room, "warned": warned, "left": room - fees}
    found["entries"] = {r["entry_key"].removeprefix(contract): _part(r, mine) for r in rows}
    if on_excess == "split":
        office.bill(TODAY)
        with office.looking(TODAY):
            _, used_then, _ = _use(office, contract)
        (expense,) = [r for r in mine if r["source"] == "expense"]
        found["expense"] = {"billable": expense["amount"], "cap_consumed": used_then - used - fees}
        found["after_credit"] = _after_credit(office, given, contract, project)
    return found


def _use(office: Office, cap_id: str) -> tuple[Decimal, Decimal, bool]:
    """Room and use of a cap in the staged difference, and whether its soft limit is reached."""
    row = office.store.row("select * from billing_room join billing.cap using (cap_id) where cap_id = %(c)s", c=cap_id)
    assert row
    return row["room"], row["used"], row["used"] >= row["limit_amount"] * row["warn_at_pct"] / 100


def _part(owed: dict[str, Any], lines: list[dict[str, Any]]) -> dict[str, Any]:
    billed = sum((r["billed_minutes"] for r in lines if r["entry_key"] == owed["entry_key"]), Decimal())
    return {
        "billable": owed["take"], "billable_hours": hours(billed), "over_cap": owed["amount"] - owed["take"],
        "over_cap_hours": hours(owed["billed_minutes"] - billed),
    }  # fmt: skip


def _after_credit(office: Office, given: Case, contract: str, project: str) -> dict[str, Any]:
    office.run(
        "update billing.cap set invoiced_elsewhere = invoiced_elsewhere - %(c)s where cap_id = %(cap)s",
        c=given["credit_later"], cap=contract,
    )  # fmt: skip
    with office.looking(TODAY):
        room = office.store.value("select room from billing_room where cap_id = %(c)s", c=contract)
        rows = office.store.rows(
            "select owed.* from billing_owed owed join billing_work using (entry_key) where project_code = %(p)s "
            "order by worked_on", p=project,
        )  # fmt: skip
        lines = office.store.rows("select * from billing_difference where project_code = %(p)s", p=project)
    first = rows[0]
    key, part = first["entry_key"].removeprefix(contract), _part(first, lines)
    return {
        "remaining": room, f"{key}_reevaluated_billable": part["billable"],
        f"{key}_reevaluated_hours": part["billable_hours"], f"{key}_still_over": part["over_cap"],
        f"{key}_still_over_hours": part["over_cap_hours"],
    }  # fmt: skip


def _levels(office: Office, given: Case) -> dict[str, Any]:
    levels = given["levels"]
    project = office.contract("L", "CL")
    office.rate("L", levels["entry_amount"], "contract_line", "LL", role="Consultant")
    office.work("L1", project, DAY, "1", line="LL")
    scopes = {"customer_on_line": "LL/CL", "line": "LL", "contract": "L", "customer": "CL"}
    for level, scope in scopes.items():
        if levels.get(level):
            office.cap(level, scope, levels[level]["limit"], invoiced=levels[level]["used"])
    with office.looking(TODAY):
        owed = office.store.row("select * from billing_owed where entry_key = 'L1'")
    assert owed
    return {
        "status": "failed" if owed["take"] < owed["amount"] else "passed",
        "first_failing_level": owed["cap_id"], "max_billable": owed["take"],
    }  # fmt: skip


# increments


def increments(office: Office, case: Case) -> Answer:
    """Billed in steps, worked as it was."""
    given = case["inputs"]
    office.person("A")
    office.rate("R", given["rate_per_hour"], role="Consultant")
    says: dict[str, Any] = {}
    for name in [key for key in case["expected"] if isinstance(case["expected"][key], dict)]:
        project = office.contract(name, customer=name)
        if name != "none":
            office.run(
                "insert into core.increment values (%(c)s, '2000-01-01', %(m)s, %(how)s, %(per)s, %(min)s)",
                c=name, m=given["increment"], how="nearest" if name.startswith("nearest") else "up",
                per=name.rpartition("_")[2], min=given["minimum"] if name.startswith("min") else 0,
            )  # fmt: skip
        for number, worked in enumerate(given["minutes"]):
            office.work(f"{name}{number}", project, DAY, "0", minutes=worked, person="A")
        lines = [line for line in office.look(TODAY) if line["project_code"] == project]
        says[name] = {"minutes": sum(r["billed_minutes"] for r in lines), "amount": sum(r["amount"] for r in lines)}
        says["worked_minutes_for_utilization"] = sum(r["minutes"] for r in lines)
    return Answer(says, {"amount": says["none"]["amount"]})


# tax


def taxes(office: Office, case: Case) -> Answer:
    """Each document is a project's invoice, each of its lines an expense on a day of its own, each day has its tax."""
    given = case["inputs"]
    a, b, c, d = given["A"], given["B"], given["C"], given["D"]
    net = Decimal(a["qty"]) * Decimal(a["price"]) * (1 - Decimal(a["discount_pct"]) / 100)
    documents = {
        "A": [(net, "S", a["vat_pct"])], "B": [(Decimal(b["price"]), "S", b["vat_pct"])] * b["lines"],
        "C": [(Decimal(r["net"]), r["cat"], r["pct"]) for r in c], "D": [(Decimal(d["net"]), "S", d["pct"])],
    }  # fmt: skip
    rules, on = list[dict[str, Any]](), DAY
    for document, lines in documents.items():
        office.contract(document, document)
        for number, (amount, category, pct) in enumerate(lines):
            office.spend(f"{document}{number}", f"P-{document}", on, amount)
            rules.append(_rule(category, pct) | {"valid_from": on, "valid_to": on})
            on += dt.timedelta(1)
    office.taxed(*rules, rounding=given["rounding"])
    office.bill(TODAY)
    (asked,) = office.store.rows("select project_code, field from ops.exceptions join core.project "
                                 "on project_code = record_id where rule = 'tax'")  # fmt: skip
    office.run("update core.customer set vat_id = 'DE811569869'")
    office.bill(TODAY)
    says = {name: _taxed(office, name) for name in documents}
    for category, pct in {(r["cat"], r["pct"]) for r in c}:
        wants = [] if _is_whole(_rule(category, pct) | {"reason_code": None}) else ["exemption reason"]
        wants += ["customer VAT id"] if asked == {"project_code": "P-C", "field": "vat_id"} and category == "AE" else []
        says["C"][f"{category}_requires"] = " + ".join(wants)
    office.adjust("credit", "expense:D0", TODAY)
    office.bill(TODAY)
    says["D"]["credit_tax"] = office.store.value(
        "select tax_amount from billing.invoice where project_code = 'P-D' and amount < 0"
    )
    named = {f"{k}_{what}": v for k, answer in says.items() for what, v in answer.items()}
    return Answer(says, named)


def _rule(category: str, pct: str) -> dict[str, Any]:
    why = None if category in ("S", "Z") else f"VATEX-EU-{category}"
    return {"category": category, "rate_pct": pct, "reason_code": why, "treatment": "us_services", "erp_tax": "tax"}


def _is_whole(rule: dict[str, Any]) -> bool:
    try:
        TaxRule(**rule)
    except ValidationError:
        return False
    return True


def _taxed(office: Office, document: str) -> dict[str, Any]:
    found = office.store.rows(
        "select * from billing.invoice join billing.invoice_tax using (invoice_key) where project_code = %(p)s",
        p=f"P-{document}",
    )
    head = {"net": found[0]["amount"], "tax": found[0]["tax_amount"], "gross": found[0]["gross_amount"]}
    return head | {f"{r['category']}_{what}": r[what] for r in found for what in ("taxable", "tax")}


# corrections


def edit_after_invoice(office: Office, case: Case) -> Answer:
    """Edited hours are taken back and billed again at the price they had, in the first open period."""
    given, entry = case["inputs"], case["inputs"]["entry"]
    on, closed = dt.date.fromisoformat(entry["service_date"]), dt.date.fromisoformat(given["closed_through"])
    project = office.contract("K")
    office.person("A")
    office.taxed({"category": "S", "rate_pct": given["tax_pct"]})
    office.rate("R", entry["rate_invoiced"], role="Consultant")
    office.work(entry["id"], project, on, entry["hours_invoiced"], person="A")
    before = office.bill(Period(name=f"{on:%Y-%m}").end)
    office.close(f"{closed:%Y-%m}")
    office.run("update core.agreed_rate set hourly_rate = %(r)s", r=given["current_rate"])
    cost = _cost_edit(office, given["cost_edit"], project, on)
    office.work(entry["id"], project, on, entry["hours_now"], person="A")
    lines = office.look(dt.date.fromisoformat(given["detected_on"]))
    reversal, replacement = (next(r for r in lines if r["kind"] == kind) for kind in ("reversal", "charge"))
    net = reversal["amount"] + replacement["amount"]
    assert reversal["tax_id"] == replacement["tax_id"]
    tax = office.store.value(
        "select billing.tax_on(%(net)s, rate_pct, 'USD', rounding) from billing.tax where tax_id = %(id)s",
        net=net, id=replacement["tax_id"],
    )  # fmt: skip
    (stands,) = office.store.rows("select * from billing.charge")
    says = {
        "reversal": {"hours": hours(reversal["minutes"]), "net": reversal["amount"]},
        "replacement": {"hours": hours(replacement["minutes"]), "net": replacement["amount"]},
        "net": net, "tax": tax, "gross": net + tax, "accounting_date": replacement["accounting_on"],
        "service_date": replacement["worked_on"], "document": "credit" if net < 0 else "invoice", "cost_edit": cost,
    }  # fmt: skip
    kept = stands == before[0]
    return Answer(says, {"net": net, "action": "a new line beside it" if kept else "overwrite the posted invoice line"})


def _cost_edit(office: Office, edit: Case, project: str, on: dt.date) -> dict[str, Any]:
    cost = "select cost from finance.project_margin_monthly where project_code = %(p)s"
    office.run("insert into core.legal_entity values ('MER-US', 'US', 'USD') on conflict do nothing")
    office.run("insert into core.cost_rate values ('A', '2000-01-01', null, %(c)s, 'USD')", c=edit["cost_from"])
    was = office.store.value(cost, p=project)
    office.run("update core.cost_rate set hourly_cost = %(c)s", c=edit["cost_to"])
    office.work("T-again", project, on, edit["hours"], approved=False, person="A")
    lines = office.look(TODAY)
    return {
        "billing_delta": sum((r["amount"] for r in lines), Decimal()),
        "cost_delta": office.store.value(cost, p=project) - was, "allowed": True,
    }  # fmt: skip


def late_time(office: Office, case: Case) -> Answer:
    """What comes after the close counts on the first open day; a week is split by its days."""
    given = case["inputs"]
    late, june, closed = given["late"], given["june"], dt.date.fromisoformat(given["closed_through"])
    worked, approved = dt.date.fromisoformat(late["service_date"]), dt.date.fromisoformat(late["approved_on"])
    month, after = f"{closed:%Y-%m}", f"{closed + dt.timedelta(1):%Y-%m}"
    project = office.contract("K")
    office.person("A")
    office.rate("R", late["bill_rate"], role="Consultant")
    office.run("insert into core.cost_rate values ('A', '2000-01-01', null, %(c)s, 'USD')", c=late["cost_rate"])
    office.work("at close", project, worked, june["billable_at_close"], person="A")
    office.bill(closed)
    office.close(month)
    office.work("late", project, worked, late["hours"], person="A")
    effect = (
        "select to_char(accounting_on, 'YYYY-MM') as month, sum(amount) as revenue, "
        "sum(minutes * hourly_cost / 60) as cost, min(accounting_on) as accounting_on "
        "from billing_difference join core.cost_rate using (resource_id) group by 1"
    )
    with office.looking(TODAY):
        by_month = {r["month"]: r for r in office.store.rows(effect)}
    told = (
        "select sum(minutes) / 60.0 * 100 from core.time_entry join core.time_load using (load_id) "
        "where loaded_at <= coalesce((select max(closed_at) from core.period where %(reported)s), 'infinity')"
    )
    available = Decimal(june["available_hours"])
    reported, restated = (round(office.store.value(told, reported=flag) / available, 2) for flag in (True, False))
    zero = {"revenue": Decimal(), "cost": Decimal()}
    english, next_english = f"{closed:%B}".lower(), f"{closed + dt.timedelta(1):%B}".lower()
    days = Counter[str]()
    week = office.contract("W")
    for day, worked_hours in given["week"]["daily"].items():
        office.work(f"w{day}", week, day, worked_hours, person="A")
    for row in office.look(TODAY):
        if row["project_code"] == week:
            days[f"{row['worked_on']:%Y-%m}"] += row["minutes"]
    says = {
        f"{english}_revenue_change": by_month.get(month, zero)["revenue"],
        f"{next_english}_revenue_change": by_month.get(after, zero)["revenue"],
        f"{next_english}_cost_change": by_month.get(after, zero)["cost"],
        "accounting_date": by_month[after]["accounting_on"], "lag_days": (approved - worked).days,
        f"{english}_utilization_as_reported": reported, f"{english}_utilization_restated": restated,
        "week_split": {name: hours(m) for name, m in days.items()},
    }  # fmt: skip
    return Answer(says, {k: says[k] for k in ("week_split", f"{english}_utilization_as_reported")})


def credit_and_rebill(office: Office, case: Case) -> Answer:
    """A credit names entries; what it takes back is open again and nothing else is."""
    given = case["inputs"]
    office.rate("R", given["rate"], role="Consultant")
    says = {part: globals()[f"_credit_{part.lower()}"](office, given[part]) for part in "ABCDE" if part in given}
    named = {
        "A": says["A"]["invoice2_hours"], "B_invoice3": says["B"]["invoice3_hours"], "C": says["C"]["invoice2_hours"],
        "D2": says["D"]["D2"], "E": f"status {says['E']['status']}",
    }  # fmt: skip
    return Answer(says, named)


def _billed_hours(rows: list[dict[str, Any]]) -> Decimal:
    return hours(sum(row["billed_minutes"] for row in rows))


def _credit_a(office: Office, given: Case) -> dict[str, Any]:
    project, (since, until) = office.contract("KA"), given["invoice2_period"]
    size = {e["id"]: e for e in given["entries"]}
    for entry in given["invoice1"]:
        office.work(f"A{entry}", project, size[entry]["date"], size[entry]["hours"])
    office.bill(TODAY)
    for entry in given["credit"]:
        office.adjust("credit", f"A{entry}", TODAY)
    office.bill(TODAY)
    for entry in given["new"]:
        office.work(f"A{entry['id']}", project, entry["date"], entry["hours"])
    second = office.bill(dt.date.fromisoformat(until), dt.date.fromisoformat(since))
    return {
        "invoice2_hours": _billed_hours(second), "amount": sum(r["amount"] for r in second),
        "entries": sorted(r["entry_key"].removeprefix("A") for r in second),
    }  # fmt: skip


def _credit_b(office: Office, given: Case) -> dict[str, Any]:
    project = office.contract("KB")
    office.work("B1", project, DAY, given["logged1"])
    office.bill(TODAY)
    office.adjust("credit", "B1", TODAY, Decimal(given["credit1"]))
    office.bill(TODAY)
    found: dict[str, Any] = {}
    for number in (2, 3):
        office.work(f"B{number}", project, DAY + dt.timedelta(number), given[f"logged{number}"])
        found[f"invoice{number}_hours"] = _billed_hours(office.bill(TODAY))
    net = office.store.value(
        "select sum(billed_minutes) from billing.counted_charge where project_code = %(p)s", p=project
    )
    return found | {"net_billed_hours": hours(net)}


def _credit_c(office: Office, given: Case) -> dict[str, Any]:
    project, (since, until) = office.contract("KC"), map(dt.date.fromisoformat, given["invoice2_period"])
    office.work("C1", project, given["d1"], given["hours1"])
    office.bill(TODAY)
    office.adjust("credit", "C1", TODAY, Decimal(given["credit1"]))
    office.bill(TODAY)
    office.work("C2", project, given["d2"], given["hours2"])
    second = office.bill(until, since)
    return {"invoice2_hours": _billed_hours(second), "still_unbilled_hours": _billed_hours(_open(office, project))}


def _open(office: Office, project: str) -> list[dict[str, Any]]:
    return [row for row in office.look(TODAY) if row["project_code"] == project]


def _credit_d(office: Office, given: Case) -> dict[str, Any]:
    projects = {e["project"]: office.contract(f"KD{e['project']}") for e in given["timesheet"]}
    for entry in given["timesheet"]:
        if entry["project"] == given["invoice_project"]:
            office.work(entry["id"], projects[entry["project"]], DAY, entry["hours"])
    office.bill(TODAY)
    for entry in given["timesheet"]:
        if entry["project"] != given["invoice_project"]:
            office.work(entry["id"], projects[entry["project"]], DAY, entry["hours"])
    state = {e["id"]: _state(office, e["id"]) for e in given["timesheet"]}
    sheet = {e["id"]: Decimal(e["hours"]) for e in given["timesheet"]}
    billed = sum(size for key, size in sheet.items() if state[key] == "billed")
    return state | {"timesheet_billed_pct": round(100 * billed / sum(sheet.values()), 2)}


def _state(office: Office, entry: str) -> str:
    live = office.store.value("select count(*) from billing.live_charge where entry_key = %(e)s", e=entry)
    return "billed" if live else "unbilled"


def _credit_e(office: Office, given: Case) -> dict[str, Any]:
    project = office.contract("KE")
    office.work("EE", project, DAY, given["invoiced"])
    office.bill(TODAY)
    office.adjust("credit", "EE", TODAY, Decimal(given["credited"]))
    office.bill(TODAY)
    return {"unbilled_hours": _billed_hours(_open(office, project)), "status": _state(office, "EE")}


def partial_credit_and_write_off(office: Office, case: Case) -> Answer:
    """A partial correction is a pair and a rest, which stays open until it is written off, when that is decided."""
    given = case["inputs"]
    a, project = given["A"], office.contract("KA")
    office.rate("A", a["rate"], "contract", "KA", role="Consultant")
    office.work("A", project, DAY, a["hours"])
    office.bill(TODAY)
    office.adjust("credit", "A", TODAY, Decimal(a["hours"]) - Decimal(a["corrected_hours"]))
    lines = office.bill(TODAY)
    rest = _open(office, project)
    posted = [
        {
            "type": "billed_reversal" if r["kind"] == "reversal" else "billed",
            "hours": hours(r["billed_minutes"]),
            "amount": r["amount"],
        }
        for r in sorted(lines, key=lambda r: r["kind"], reverse=True)
    ]
    posted += [{"type": "unbilled_chargeable", "hours": _billed_hours(rest), "amount": sum(r["amount"] for r in rest)}]
    net = office.store.value("select sum(amount) from billing.counted_charge where project_code = %(p)s", p=project)
    lost = office.adjust("write_off", "A", TODAY)
    says: dict[str, Any] = {
        "A": {
            "postings": posted, "net_billed": net, "unbilled": sum(r["amount"] for r in rest),
            "credit_document_net": sum(r["amount"] for r in lines),
            "after_writeoff": {
                "unbilled": sum((r["amount"] for r in _open(office, project)), Decimal()), "written_off": lost,
                "billing_realization_pct": round(100 * net / (Decimal(a["hours"]) * Decimal(a["rate"])), 2),
            },
        }
    }  # fmt: skip
    named = {}
    for part in [key for key in given if key != "A"]:
        months = _write_off_by_month(office, part, given[part])
        english = {f"{dt.date.fromisoformat(m + '-01'):%B}".lower(): v for m, v in months.items()}
        april = "april_revenue"
        says[part] = {april: english.pop("april")} | {f"{name}_effect": v for name, v in english.items()}
        named |= {f"{part}_{name}": v for name, v in english.items()}
    return Answer(says, named)


def _write_off_by_month(office: Office, part: str, given: Case) -> dict[str, Decimal]:
    """What an April entry and its write-off add to each month: the work to its own, the write-off to its decision's."""
    project = office.contract(f"K{part}")
    office.rate(part, given["rate"], "contract", f"K{part}", role="Consultant")
    office.work(part, project, dt.date(2026, 4, 6), given["april_hours"])
    decided = dt.date.fromisoformat(given["writeoff_period"] + "-20")
    office.adjust("write_off", part, decided, Decimal(given["writeoff_hours"]))
    with office.looking(TODAY):
        rows = office.store.rows(
            "select to_char(worked_on, 'YYYY-MM') as month, whole_amount as amount from billing_work "
            "where entry_key = %(e)s union all "
            "select to_char(decided_on, 'YYYY-MM'), -amount from billing.adjustment where entry_key = %(e)s", e=part,
        )  # fmt: skip
    months = Counter({given.get("rerun_close", given.get("reevaluate")): Decimal()})
    for row in rows:
        months[row["month"]] += row["amount"]
    return dict(months)


# contracts


def milestones(office: Office, case: Case) -> Answer:
    """Accepted is billable, the credit of a milestone is whole, the last one takes the residue."""
    given = case["inputs"]
    office.contract("K", kind="milestone")
    names = [f"M{n}" for n in range(1, len(given["split_pct"]) + 1)]
    lines = tuple(
        MilestoneLine(milestone_id=m, title=m, share=pct) for m, pct in zip(names, given["split_pct"], strict=True)
    )
    terms = MilestoneTerms(price=given["price"], lines=lines)
    _agree(office, "K", "fee", 1, terms)
    for stage in ("accepted+invoiced", "accepted"):
        for name, state in zip(names, given["state"], strict=True):
            if state == stage:
                _accept(office, "K", name)
        if stage == "accepted+invoiced":
            office.bill(TODAY)
    ready = [row for row in office.look(TODAY) if row["kind"] == "charge"]
    billed = {r["item_id"]: r["amount"] for r in office.store.rows("select * from billing.live_charge")}
    rows = office.store.rows(
        "select milestone_id, accepted_on, accepted_by, delivered_by, evidence from core.acceptance"
    )
    done = milestone.items(terms, "USD", [milestone.Acceptance(**row) for row in rows], TODAY)
    stands = milestone.position(done, billed)
    first = milestone.amounts(terms, "USD")[names[0]]
    agreed = first - Decimal(given["m1_credit_request"])
    lowered = lines[0].model_copy(update={"agreed": agreed})
    _agree(office, "K", "fee", 2, terms.model_copy(update={"lines": (lowered, *lines[1:])}))
    again = [r for r in office.look(TODAY) if r["item_id"].endswith(names[0])]
    reversal = next(r for r in again if r["kind"] == "reversal")
    says = {
        "amounts": list(milestone.amounts(terms, "USD").values()), "cum_revenue_milestone_output": stands.revenue,
        "billed": sum(billed.values()), "contract_asset": stands.contract_asset,
        "ready_to_bill": [r["item_id"].rpartition(":")[2] for r in ready], "credit": reversal["amount"],
        "rebill": next(r["amount"] for r in again if r["kind"] == "charge"),
        "thirds": shares(Decimal(given["thirds_of"]), [Decimal(1)] * 3, "USD"),
    }  # fmt: skip
    named = {"ready_to_bill": says["ready_to_bill"], "credit": f"{money(reversal['amount'])} whole"}
    return Answer(says, named)


def _agree(office: Office, contract: str, term: str, version: int, terms: Any) -> None:
    office.run(
        "insert into core.contract_term values (%(c)s, %(t)s, %(v)s, %(kind)s, %(terms)s, '2026-01-01', 'signed')",
        c=contract, t=term, v=version, kind=terms.kind, terms=terms.model_dump_json(),
    )  # fmt: skip


def _accept(office: Office, contract: str, name: str) -> None:
    office.run(
        "insert into core.acceptance values (%(c)s, %(m)s, '2026-06-01', 'customer', 'our PM', 'signed protocol')",
        c=contract, m=name,
    )  # fmt: skip


def prepaid(office: Office, case: Case) -> Answer:
    """Prepaid hours in either order of drawing them down."""
    given = case["inputs"]
    says = {order: _retainer(office, given, order) for order in ("fifo", "lifo") if order in case["expected"]}
    return Answer(says, {"note": None})


def _retainer(office: Office, given: Case, order: Any) -> dict[str, Any]:
    project = office.contract(order, customer=order, kind="retainer")
    names = sorted(given["used"])
    terms = RetainerTerms(
        starts_on=Period(name=names[0]).start, ends_on=Period(name=names[-1]).end, fee=given["fee"],
        included_hours=given["included_hours"], overage_rate=given["overage_rate"],
        rollover_months=given["rollover_months"], rollover_cap_hours=given["rollover_cap_hours"], order=order,
    )  # fmt: skip
    _agree(office, order, "R", 1, terms)
    found: dict[str, Any] = {}
    used = {name: Decimal(hours_used) for name, hours_used in given["used"].items()}
    made = {m.period.name: m for m in retainer.months(terms, "USD", used, Period(name=names[-1]).end)}
    for name in names:
        office.work(f"{order}{name}", project, Period(name=name).start, given["used"][name])
        billed = sum((r["amount"] for r in office.bill(Period(name=name).end)), Decimal())
        month = made[name]
        assert month.billed == billed, f"{name}: the ledger has {billed}"
        found[name] = {
            "billed": billed, "revenue": month.revenue, "deferred": month.deferred, "rollover_out": month.carried_hours,
            "overage": month.overage_hours, "breakage": month.breakage,
        }  # fmt: skip
    found["total_billed"] = sum(found[name]["billed"] for name in names)
    return found | {"total_revenue": sum(month.revenue for month in made.values())}


# expenses


def expenses(office: Office, case: Case) -> Answer:
    """What it cost us, what the employee gets and what the customer pays are three numbers."""
    given = case["inputs"]
    project = office.contract("K")
    for name, row in given.items():
        price = row.get("rate") if "policy_cap" not in row else None
        quantity = next((row[unit] for unit in ("nights", "days", "km") if unit in row), None)
        claimed = Decimal(row.get("cost") or row.get("gross") or Decimal(row["rate"]) * Decimal(quantity))
        vat = Decimal(row.get("vat_pct", 0)) if row.get("recoverable") else Decimal()
        office.run(
            "insert into core.expense_policy values ('K', %(c)s, '2000-01-01', %(markup)s, %(limit)s, %(price)s)",
            c=name, markup=row.get("markup_pct", 0), limit=row.get("policy_cap"), price=price if quantity else None,
        )  # fmt: skip
        office.spend(
            name, project, DAY, claimed, quantity=quantity, tax=claimed - claimed / (1 + vat / 100) if vat else None,
            billable=name != "personal",
        )  # fmt: skip
    lines = {r["category"]: r for r in office.look(TODAY)}
    billable = {name: lines[name]["amount"] if name in lines else Decimal() for name in given}
    paid = sum(r["cost"] for r in lines.values())
    tax = office.store.value("select coalesce(sum(recoverable_tax), 0) from core.expense_entry where is_billable")
    absorbed = sum(r["cost"] - r["billable_cost"] for name, r in lines.items() if "policy_cap" in given[name])
    total = sum(billable.values())
    says = {
        "billable": billable | {"total": total}, "reimbursed_to_employee": paid, "company_cost": paid - tax,
        "absorbed_over_policy": absorbed, "expense_margin": total - (paid - tax),
    }  # fmt: skip
    return Answer(says, billable)


# behaviour


def behaviours(office: Office, case: Case) -> Answer:
    """What is lost, repeated, raced or refused leaves one record of each, and what nobody approved leaves none."""
    found = behaviour.play(office, office.desk(), case["inputs"])
    named = {
        "A_documents": found["A"]["erp_documents"], "G_captured": found["G"]["captured"],
        "H": f"run shown red as {found['H']['workflow_state']}", "I_posted": found["I"]["posted"],
    }  # fmt: skip
    return Answer(found, named)


ANSWERS: list[tuple[set[str], Callable[[Office, Case], Answer]]] = [
    ({"rate_rows", "entries"}, rate_dating),
    ({"lookups", "rates"}, rate_precedence),
    ({"cap", "entries", "levels"}, cap),
    ({"increment", "minutes"}, increments),
    ({"rounding", "A", "D"}, taxes),
    ({"entry", "cost_edit"}, edit_after_invoice),
    ({"late", "week"}, late_time),
    ({"rate", "A", "E"}, credit_and_rebill),
    ({"A", "B", "C"}, partial_credit_and_write_off),
    ({"split_pct", "state"}, milestones),
    ({"fee", "included_hours"}, prepaid),
    ({"airfare", "per_diem"}, expenses),
    ({"G", "H", "I"}, behaviours),
]


def of(case: Case) -> Callable[[Office, Case], Answer] | None:
    """Return who answers a case, by what its inputs have; the first kind that fits."""
    given = {key for key, value in case["inputs"].items() if key != "A" or isinstance(value, dict)}
    return next((answer for keys, answer in ANSWERS if keys <= given), None)

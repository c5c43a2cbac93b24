"""
What must be true after every run, from what people did alone: nothing lost, nothing doubled, no cent, nobody blocked.

Each violation begins with its kind: lost, doubled, cents, blocked, audit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import psycopg

from tests.crash.profiles import LIMIT
from tests.crash.workloads import RATES, Firm

Held = dict[str, Any]
Connection = psycopg.Connection[dict[str, Any]]


def judge(firm: Firm, connection: Connection, held: Held) -> list[str]:
    """Return what is wrong."""
    return [
        *_deals(firm, connection, held),
        *_people(firm, connection, held),
        *_payloads(firm, connection, held),
        *_money(firm, connection, held),
        *_effects(connection),
        *_exceptions(firm, connection),
    ]


def once(what: str, count: int, wanted: int = 1) -> Iterator[str]:
    """Yield a violation unless there are as many as wanted."""
    if count != wanted:
        yield f"{'lost' if count < wanted else 'doubled'}: {count} of {wanted} {what}"


# -- one live project per system, or none and an exception


def _deals(firm: Firm, connection: Connection, held: Held) -> Iterator[str]:
    books, spaces = held["tryton"]["projects"].values(), held["kantata"]["workspaces"]
    for deal in firm.deals + firm.blocked + firm.lost:
        wanted, name = int(deal in firm.deals), f"Rollout {deal}"
        live = [p for p in books if p["name"] == name and p["state"] == "open"]
        yield from once(f"live ERP projects of {name}", len(live), wanted)
        open_ = [w for w in spaces if w["title"].endswith(f" {name}") and not w["archived"]]
        yield from once(f"live PSA projects of {name}", len(open_), wanted)
        planned = [p for p in held["float"]["projects"] if p["name"].endswith(f" {name}") and p["active"]]
        yield from once(f"planner projects of {name}", len(planned), wanted)
        told = [o for o in held["salesforce"]["Opportunity"] if o["Name"] == name and o.get("Project_Code__c")]
        yield from once(f"deals that carry the code of {name}", len(told), wanted)
        failed = [o for o in held["salesforce"]["Opportunity"] if o.get("Activation_Status__c") == "activation failed"]
        yield from once(f"deals that say that {name} failed", sum(o["Name"] == name for o in failed), deal in firm.lost)
        yield from once(f"workflows of {name}", _states(connection, name).count("active"), wanted)
    yield from once("closed ERP projects", sum(p["state"] == "closed" for p in books), firm.closed)
    yield from once("ERP customers", len(held["tryton"]["parties"]), 1)


def _states(connection: Connection, name: str) -> list[str]:
    rows = connection.execute(
        "select state from ops.workflow join core.engagement using (engagement_id) "
        "join core.opportunity using (opportunity_id) where name = %s",
        [name],
    )
    return [row["state"] for row in rows]


# -- each request a person, in both systems


def _people(firm: Firm, connection: Connection, held: Held) -> Iterator[str]:
    asked = {p["people_id"] for p in held["float"]["people"] if p["people_type_id"] == 3}
    tasks = held["float"]["tasks"]
    yield from once("planner requests", len(asked), len(firm.deals))
    yield from once("tentative bookings", sum(t["people_id"] in asked for t in tasks), len(firm.deals))
    if not firm.staffed:
        return
    staffed = len([d for d in firm.deals if d < 20])  # those won after the day of staffing are not
    yield from once("planner assignments", sum(t["people_id"] not in asked for t in tasks), staffed)
    yield from once("PSA allocations", len(held["kantata"]["workspace_allocations"]), staffed)
    confirmed = connection.execute("select count(*) as n from core.assignment where is_confirmed").fetchone()
    yield from once("confirmed assignments", (confirmed or {})["n"], staffed)
    told = connection.execute("select count(*) as n from core.resource_request where state = 'assigned'").fetchone()
    yield from once("requests that are assigned", (told or {})["n"], staffed)


# -- every payload ends in a state


def _payloads(firm: Firm, connection: Connection, held: Held) -> Iterator[str]:
    for kind, entries in (("time", firm.entries), ("expense", firm.expenses)):
        rows = connection.execute(f"select {kind}_entry_id as id, state from core.{kind}_entry_head").fetchall()
        yield from once(f"{kind} entries", len(rows), len(entries))
        yield from (f"blocked: {kind} entry {row['id']} is {row['state']}" for row in rows if row["state"] != "passed")
    deals = connection.execute("select count(*) as n from core.opportunity").fetchone()
    yield from once("deals", (deals or {})["n"], len(held["salesforce"]["Opportunity"]))


# -- every approved hour charged exactly once, to the cent, at the vendor too


def expected(firm: Firm) -> dict[str, Decimal]:
    """Return entry key -> what its customer pays, of all that is to be billed."""
    due = {str(e.number): _price(e.minutes, e.day) for e in firm.entries.values() if e.bills}
    return due | {f"expense:{e.number}": Decimal(e.cents) / 100 for e in firm.expenses.values() if e.bills}


def _price(minutes: int, day: str) -> Decimal:
    exact = Decimal(minutes) * RATES[day >= "2026-10-16"] / 60 / 100
    return exact.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _money(firm: Firm, connection: Connection, held: Held) -> Iterator[str]:
    if not firm.billed:
        return
    due = expected(firm)
    rows = connection.execute("select * from billing.counted_charge").fetchall()
    charged: dict[str, Decimal] = {}
    for row in rows:
        charged[row["entry_key"]] = charged.get(row["entry_key"], Decimal()) + row["amount"]
    for entry in sorted(due.keys() | charged.keys()):
        paid, wanted = charged.get(entry, Decimal()), due.get(entry, Decimal())
        if paid != wanted:
            kind = "cents" if abs(paid - wanted) < 1 else "lost" if paid < wanted else "doubled"
            yield f"{kind}: entry {entry} is charged {paid}, not {wanted}"
    live = connection.execute("select entry_key, count(*) as n from billing.live_charge group by 1 having count(*) > 1")
    yield from (f"doubled: {row['n']} live charges of entry {row['entry_key']}" for row in live)
    yield from _documents(firm, connection, held)
    yield from _approvals(connection)


def _approvals(connection: Connection) -> Iterator[str]:
    """Yield batches that too few decided on; one person is one, whatever they decide."""
    rows = connection.execute(
        "select batch_id, (select sum(abs(amount)) from billing.invoice made where made.batch_id = batch.batch_id) "
        "as amount, (select count(distinct person) from ops.approval said where said.batch_id = batch.batch_id "
        "and said.decision = 'approved') as people from billing.batch where state = 'posted'"
    )
    for row in rows:
        if row["people"] < (3 if row["amount"] > LIMIT else 2):
            yield f"audit: {row['people']} people decided on {row['batch_id']} over {row['amount']}"


def _documents(firm: Firm, connection: Connection, held: Held) -> Iterator[str]:
    documents = held["tryton"]["documents"].values()
    states = Counter((d["invoice_key"], d["state"]) for d in documents)
    invoices = connection.execute("select * from billing.live_invoice").fetchall()
    known = {invoice["invoice_key"] for invoice in invoices}
    for invoice in invoices:
        yield from once(f"posted documents of {invoice['invoice_key']}", states[invoice["invoice_key"], "posted"])
        yield from once(f"left drafts of {invoice['invoice_key']}", states[invoice["invoice_key"], "draft"], 0)
    yield from (f"doubled: a document of {key} that nobody decided" for key, _ in states if key not in known)
    for deal in (d for d in firm.deals if d < 20):
        yield from _same(firm, deal, invoices, documents, connection)
    batches = connection.execute("select state, count(*) as n from billing.batch group by 1").fetchall()
    count = {row["state"]: row["n"] for row in batches}
    yield from once("posted batches", count.get("posted", 0), firm.billed)
    yield from (f"blocked: a batch is {s}" for s in count if s not in ("posted", "stale"))
    ties = connection.execute("select count(*) as n from finance.invoice_tie_out where status is distinct from 'tied'")
    yield from (f"cents: {row['n']} comparisons do not tie" for row in ties if row["n"])


def _same(firm: Firm, deal: int, invoices: list[Any], documents: Any, connection: Connection) -> Iterator[str]:
    mine = [e for e in (*firm.entries.values(), *firm.expenses.values()) if e.deal == deal]
    keys = {str(e.number) if hasattr(e, "minutes") else f"expense:{e.number}" for e in mine}
    wanted = sum((amount for key, amount in expected(firm).items() if key in keys), Decimal())
    code = connection.execute("select project_code from core.project where name = %s", [f"Rollout {deal}"]).fetchone()
    project = code["project_code"] if code else None
    ours = sum((i["amount"] for i in invoices if i["project_code"] == project), Decimal())
    theirs = sum((
        Decimal(line["amount"]) for d in documents if d["state"] == "posted" and d["project_code"] == project
        for line in d["lines"] + d["expenses"]
    ), Decimal())  # fmt: skip
    for who, amount in (("our invoices", ours), ("the ERP's documents", theirs)):
        if amount != wanted:
            yield f"cents: {who} of Rollout {deal} say {amount}, the work is worth {wanted}"


# -- no effect left open, one audit row each


def _effects(connection: Connection) -> Iterator[str]:
    for row in connection.execute("select effect_key, state, last_error from ops.effect").fetchall():
        refused = row["state"] == "refused" and "Rate card is invalid" in (row["last_error"] or "")
        if row["state"] != "done" and not refused:
            yield f"blocked: {row['effect_key']} is {row['state']}: {row['last_error']}"
    told = connection.execute(
        "select effect_key, effect.state, count(audit.subject) as n from ops.effect left join ops.audit "
        "on audit.subject = effect_key and (action = 'effect.' || effect.state or action = 'effect.found') group by 1"
    )
    for row in told:  # what was refused is tried again by whoever comes next, and told again
        if row["n"] != 1 and not (row["state"] == "refused" and row["n"]):
            yield f"audit: {row['n']} rows for {row['effect_key']}"
    strange = connection.execute(
        "select subject from ops.audit where action = 'effect.done' and not exists "
        "(select from ops.effect where effect_key = subject and state = 'done')"
    )
    yield from (f"audit: {row['subject']} was told done, and is not" for row in strange)


# -- exceptions: those that people caused, and no other


def _exceptions(firm: Firm, connection: Connection) -> Iterator[str]:
    wanted = Counter({"rate_card": len(firm.blocked), "activation": len(firm.lost)})
    rows = connection.execute("select rule, record_id, message from ops.exceptions where state = 'open'").fetchall()
    found = Counter(row["rule"] for row in rows)
    for rule in sorted(wanted.keys() | found.keys()):
        if found[rule] < wanted[rule]:
            yield f"lost: {found[rule]} of {wanted[rule]} exceptions of rule {rule}"
        if found[rule] > wanted[rule]:
            said = next(row for row in rows if row["rule"] == rule)
            yield f"blocked: {found[rule]} open exceptions of rule {rule}, e.g. {said['record_id']}: {said['message']}"

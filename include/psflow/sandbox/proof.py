"""What the demo must be able to show: counts from every system, the checks on them, and a digest of everything."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from psflow import config
from psflow.contracts import Period
from psflow.flows import billing_plan, period_controls, shadow
from psflow.sandbox import meridian
from psflow.sandbox.browser.checks import CHECKS
from psflow.sandbox.vendors import VENDORS
from psflow.store.connection import Store
from psflow.systems.transport import Transport
from psflow.systems.tryton.client import Tryton

if TYPE_CHECKING:
    from psflow.sandbox.stack import Stack

_TABLES = """
select schemaname, tablename from pg_tables
where schemaname in ('raw', 'core', 'billing', 'finance')
   or (schemaname, tablename) in (('ops', 'effect'), ('ops', 'approval'))
order by 1, 2
"""
_CLOSED = """
select coalesce(string_agg(said, ', ' order by said), 'none')
from (select legal_entity_id || ' ' || period || ' by ' || signed_by as said from finance.close_control
      where decision = 'signed' and is_newest group by said having sum(breaks) = 0) closed
"""
_STATE = """
select count(*) || ' rows ' || md5(string_agg(said, '|' order by said))
from (select (to_jsonb(t) - array['read_at', 'said_at'])::text as said from {} t) looked_at_again
"""


_MONEY_GAP = (
    "select round(coalesce(sum(abs(earned - opening - invoiced - unbilled)), 0), 2) from finance.revenue_monthly"
)


def erps(stack: Stack) -> list[Tryton]:
    """Return the ERP as the pipeline sees it, one for each legal entity's books."""
    policy = config.load(stack.project / "psflow.yaml")
    transport = Transport("tryton", stack.tryton.url, policy.systems["tryton"].deadline_s)
    return [
        Tryton(
            transport, policy.systems["tryton"], stack.tryton.login, stack.tryton.password, stack.tryton.database,
            entity.erp_company,
        )
        for entity in policy.legal_entities
    ]  # fmt: skip


def digest(stack: Stack) -> dict[str, str]:
    """Return thing -> what it looks like: each business table, the ERP's records, the vendors' write counters."""
    found: dict[str, str] = {}
    with psycopg.connect(stack.database_url("psflow")) as db:
        for schema, table in db.execute(_TABLES).fetchall():
            row = db.execute(sql.SQL(_STATE).format(sql.Identifier(schema, table))).fetchone() or [""]
            found[f"{schema}.{table}"] = str(row[0])
    for books in erps(stack):
        found |= {f"tryton {books.company} {model}": str(newest) for model, newest in books.newest_write().items()}
    return found | {f"{vendor} writes": str(stack.vendors.state(vendor)["writes"]) for vendor in VENDORS}


def measure(stack: Stack) -> dict[str, Any]:
    """Return the summary's numbers, each read from where it is true."""
    with psycopg.connect(stack.database_url("psflow")) as db:

        def one(query: Any) -> Any:
            return (db.execute(query).fetchone() or [None])[0]

        counts = {
            "opportunities_won": one("select count(*) from core.opportunity where is_won and is_closed"),
            "engagements_active": one("select count(*) from ops.workflow where state = 'active'"),
            "engagements_blocked": one("select count(*) from ops.workflow where state = 'blocked'"),
            "time_entries_loaded": one("select count(*) from core.time_entry_head"),
            "time_entries_held": one("select count(*) from core.time_entry_head where state = 'held'"),
            "charges": one("select count(*) from billing.charge"),
            "expenses_loaded": one("select count(*) from core.expense_entry_head"),
            "assignments": one("select count(*) from core.assignment where request_id is not null and is_confirmed"),
            "requests_unstaffed": one("select count(*) from core.resource_request where state = 'unstaffed'"),
            "awaiting_approval": one("select count(*) from billing.batch where state in ('checked', 'submitted')"),
            "exceptions_open": one("select count(*) from ops.exceptions where state = 'open'"),
            "tie_out_comparisons": one("select count(*) from finance.invoice_tie_out"),
            "tie_out_breaks": one("select count(*) from finance.invoice_tie_out where status is distinct from 'tied'"),
            "effects_open": one("select count(*) from ops.effect where state <> 'done'"),
        }
        invoiced = db.execute("select currency, sum(amount) from billing.live_invoice group by 1 order by 1").fetchall()
        by_team = db.execute(
            "select owner_team, count(*) from ops.exceptions where state = 'open' group by 1 order by 1"
        )
        teams: dict[str, int] = dict(by_team.fetchall())
        references = [
            key for (key,) in db.execute("select invoice_key from billing.live_invoice order by 1").fetchall()
        ]
    documents = [document for books in erps(stack) for document in books.invoices(references)]
    posted = [d for d in documents if d.state in ("posted", "paid")]
    return counts | {
        "invoices_posted": len(posted),
        "erp_documents": len(documents),
        "exceptions_open_by_team": teams,
        "erp_projects": sum(books.newest_write()["project.work"][0] for books in erps(stack)),
        "psa_projects": stack.vendors.state("kantata")["records"].get("workspaces", 0),
        "invoiced_by_currency": {currency: _cents(amount) for currency, amount in invoiced},
        "erp_posted_by_currency": {
            currency: _cents(sum((d.untaxed_amount for d in posted if d.currency == currency), Decimal()))
            for currency in sorted({d.currency for d in posted})
        },
        "faults_injected": struck(stack),
        **closed(stack),
    }


def closed(stack: Stack) -> dict[str, Any]:
    """Return whether what was posted is what was planned, and what the waterfall of hours and money leaves over."""
    policy = config.load(stack.project / "psflow.yaml")
    periods = [Period(name=name) for name in meridian.PERIODS]
    with Store.open(stack.database_url("psflow_app"), policy.region, stack.seal()) as store:
        controls = [
            control
            for entity in policy.legal_entities
            for period in periods
            for control in period_controls.check(store, policy, entity.legal_entity_id, period)
        ]
        gaps = [
            Decimal(row["detail"]["gap"]) for control in controls if control.control == "K2" for row in control.broken
        ]
        return {
            "plan_equals_posted": not billing_plan.plan_equals_posted(store),
            "waterfall_gap_hours": str(sum(gaps, Decimal())),
            "waterfall_gap_amount": str(store.value(_MONEY_GAP)),
            "shadow_differences": shadow.shadow_differences(store),
            "months_closed": store.value(_CLOSED),
        }


def struck(stack: Stack) -> dict[str, dict[str, int]]:
    """Return vendor -> fault -> how often it struck; those on invoice creation in the ERP once more by themselves."""
    books = stack.tryton.state()
    return {
        **{str(vendor): stack.vendors.state(vendor)["faults"] for vendor in VENDORS},
        "tryton": books["faults"],
        "tryton, invoices": books["on_invoices"],
    }


def _cents(amount: Decimal) -> str:
    return f"{amount:.2f}"


def checks(summary: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (what, expected, found) of everything that must hold; the expected side is the firm's own plan."""
    plan = meridian.expected()
    posted = {run: billed for run, billed in plan.billed.items() if run != meridian.WAITING}
    money = {currency: _cents(amount) for currency, amount in sorted(plan.posted.items())}
    invoices = sum(billed.invoices for billed in posted.values())
    wanted: dict[str, Any] = {
        "opportunities_won": plan.won,
        "engagements_active": plan.active,
        "engagements_blocked": len(plan.blocked),
        "erp_projects": plan.active,
        "psa_projects": plan.active,
        "assignments": len(meridian.staffing().assigned),
        "requests_unstaffed": len(meridian.staffing().unstaffed),
        "time_entries_loaded": plan.loaded,
        "time_entries_held": len(plan.held),
        "expenses_loaded": plan.expenses_loaded,
        "charges": sum(billed.charges + billed.expense_charges for billed in posted.values()),
        "invoices_posted": invoices,
        "erp_documents": invoices,
        "awaiting_approval": 1,
        "invoiced_by_currency": money,
        "erp_posted_by_currency": money,
        "tie_out_breaks": 0,
        "oracle_differences": 0,
        "effects_open": 0,
        "second_pass_changes": 0,
        "plan_equals_posted": True,
        "waterfall_gap_hours": "0",
        "waterfall_gap_amount": "0.00",
        "shadow_differences": 0,
        "months_closed": f"{meridian.CLOSED.legal_entity_id} {meridian.CLOSED.period} by P-102",
    }
    if "faults_planned" in summary:
        wanted["faults_short"] = []
    if "killed" in summary:
        wanted["killed"] = dict.fromkeys(summary["killed"], 1)
    if "browser_checks" in summary:
        wanted["browser_checks"] = f"{len(CHECKS)} of {len(CHECKS)}"
    return [(name, value, summary.get(name)) for name, value in wanted.items()]


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return the names of what differs."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


Say = Callable[[str], None]

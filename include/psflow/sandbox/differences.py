"""Every number of the pipeline beside the firm's own plan: what differs, named so that a person finds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import psycopg

from psflow.sandbox import meridian

if TYPE_CHECKING:
    from psflow.sandbox.stack import Stack

Db = psycopg.Connection[tuple[Any, ...]]
Found = Mapping[Any, Any]


_DEALS = """
create temporary view deal as
select project_code, opportunity_id from core.project join core.engagement using (engagement_id)
"""


def find(stack: Stack) -> list[str]:
    """Return each difference as `what: expected …, found …`."""
    with psycopg.connect(stack.database_url("psflow")) as db:
        db.execute(_DEALS)
        compared = (
            ("gates that block", _blocked(db), _wanted_gates()),
            ("time entry held", _held(db), dict.fromkeys(meridian.expected().held, True)),
            ("time entry without a rate", _unrated(db), dict.fromkeys(meridian.expected().unrated, True)),
            ("expense held", _held_expenses(db), dict.fromkeys(meridian.expected().expenses_held, True)),
            ("who takes the demand", _staffed(db), _wanted_staffing()),
            ("opening balance", _openings(db), _wanted_openings()),
            ("billed", _billed(db), _wanted_bills()),
            ("tax", _taxed(db), _wanted_taxes()),
            ("invoiced under a purchase order", _ordered(db), _wanted_orders()),
            ("invoiced to a second payer", _shared(db), _wanted_shares()),
            ("disputed", _disputed(db), {meridian.DISPUTED_DEAL: meridian.DISPUTED}),
            ("unbilled", _unbilled(db), meridian.expected().unbilled),
            ("revenue", _revenue(db), meridian.revenue()),
            ("utilization", _utilization(db), _wanted_utilization()),
            ("backlog", _backlog(db), meridian.backlog()),
            ("owed between companies", _owed(db), {key: (owed, owed) for key, owed in meridian.owed().items()}),
        )
    return [line for name, found, wanted in compared for line in _differ(name, wanted, found)]


def _differ(name: str, wanted: Found, found: Found) -> Iterable[str]:
    for key in sorted(wanted.keys() | found.keys(), key=str):
        if wanted.get(key) != found.get(key):
            yield f"{name} {key}: expected {wanted.get(key)}, found {found.get(key)}"


def _deal(opportunity_id: str) -> str:
    numbers = {meridian.deal_id(deal.number)[:15]: deal.number for deal in meridian.current().deals}
    return numbers[opportunity_id[:15]]


def _blocked(db: Db) -> Found:
    rows = db.execute(
        "select opportunity_id, rule from ops.exceptions join core.engagement on record_id = engagement.engagement_id "
        "where entity = 'engagement' and exceptions.state = 'open'"
    )
    found: dict[str, set[str]] = {}
    for opportunity, rule in rows:
        found.setdefault(_deal(opportunity), set()).add(rule)
    return found


def _wanted_gates() -> Found:
    return {deal: set(gates) for deal, gates in meridian.expected().blocked.items()}


def _held(db: Db) -> Found:
    return {int(n): True for (n,) in db.execute("select time_entry_id from core.time_entry_head where state = 'held'")}


def _held_expenses(db: Db) -> Found:
    rows = db.execute("select expense_entry_id from core.expense_entry_head where state = 'held'")
    return {int(n): True for (n,) in rows}


def _unrated(db: Db) -> Found:
    rows = db.execute(
        "select record_id from ops.exceptions where rule = 'rate' and state = 'open' and entity = 'time_entry'"
    )
    return {int(n): True for (n,) in rows}


def _staffed(db: Db) -> Found:
    rows = db.execute(
        "select opportunity_id, request.role, request.starts_on, assignment.resource_id, request.state "
        "from core.resource_request request join core.engagement using (engagement_id) "
        "left join core.assignment on assignment.request_id = request.request_id and is_confirmed"
    )
    return {(_deal(deal), role, day): person or state for deal, role, day, person, state in rows}


def _wanted_staffing() -> Found:
    plan = meridian.staffing()
    taken = {(d.deal, d.role, d.starts): _resource(person) for d, person in plan.assigned.items()}
    return taken | {(d.deal, d.role, d.starts): "unstaffed" for d in plan.unstaffed}


def _resource(person: int) -> str:
    return f"R-{meridian.employee_id(person)}"


def _openings(db: Db) -> Found:
    rows = db.execute(
        "select opportunity_id, hours, amount from billing.opening_balance join deal using (project_code)"
    )
    return {_deal(deal): (hours, amount) for deal, hours, amount in rows}


def _wanted_openings() -> Found:
    return {deal: (each.hours, each.amount) for deal, each in meridian.expected().openings.items()}


_BATCHES = """
select legal_entity_id, period, dense_rank() over (partition by legal_entity_id, period order by number),
       opportunity_id, count(*), sum(line.amount)
from billing.batch join billing.batch_content line using (batch_id)
join deal using (project_code)
where state in ('posted', 'submitted')
group by legal_entity_id, period, number, opportunity_id
"""


def _billed(db: Db) -> Found:
    """Return (entity, period, nth run) -> (ledger rows, money by deal); of the waiting batch what it would bill."""
    rows = db.execute(_BATCHES)
    found: dict[Any, tuple[int, dict[str, Decimal]]] = {}
    for entity, period, nth, deal, count, amount in rows:
        before, money = found.get((entity, period, nth), (0, {}))
        found[entity, period, nth] = before + count, money | {_deal(deal): amount}
    return found


def _wanted_bills() -> Found:
    return {
        (run.legal_entity_id, run.period, 2 if run.is_corrected else 1):
            (billed.charges + billed.expense_charges, dict(billed.by_deal))
        for run, billed in meridian.expected().billed.items()
    }  # fmt: skip


_TAXES = """
with run as (
    select batch_id, legal_entity_id, period,
           dense_rank() over (partition by legal_entity_id, period order by number) as nth
    from billing.batch where state in ('posted', 'submitted')
),
taxed as (
    select batch_id, project_code, invoice_tax.category, invoice_tax.tax, erp.tax_amount
    from billing.invoice join billing.invoice_tax using (invoice_key)
    join ops.crosswalk document on (document.kind, document.entity_id) = ('invoice', invoice_key)
    join core.erp_invoice erp on erp.erp_invoice_id = document.external_id
    union all
    select batch_id, project_code, category, tax, tax from billing.batch_tax join billing.batch using (batch_id)
    where state = 'submitted'
)
select legal_entity_id, period, nth, opportunity_id, category, tax, tax_amount
from run join taxed using (batch_id) join deal using (project_code)
"""


def _taxed(db: Db) -> Found:
    """Return (entity, period, nth run, deal) -> category, tax of the invoice, and tax as the ERP worked it out."""
    return {
        (entity, period, nth, _deal(deal)): tuple(taxes) for entity, period, nth, deal, *taxes in db.execute(_TAXES)
    }


def _wanted_taxes() -> Found:
    return {
        (run.legal_entity_id, run.period, 2 if run.is_corrected else 1, deal): (category, tax, tax)
        for run, billed in meridian.expected().billed.items()
        for deal, (category, tax) in billed.taxes(meridian.current()).items()
    }


def _ordered(db: Db) -> Found:
    rows = db.execute("select number, invoiced, amount - invoiced - in_batch - balance from finance.purchase_order")
    return {number: (invoiced, rest) for number, invoiced, rest in rows}


def _wanted_orders() -> Found:
    posted = [made.by_deal for run, made in meridian.expected().billed.items() if run != meridian.WAITING]
    return {meridian.ORDER: (sum((deals.get(meridian.ORDERED, Decimal()) for deals in posted), Decimal()), 0)}


def _shared(db: Db) -> Found:
    """Return (deal, entity, period) -> what another than the project's customer is invoiced."""
    rows = db.execute(
        "select opportunity_id, invoice.legal_entity_id, period, payer_id, invoice.amount "
        "from billing.live_invoice invoice join billing.batch using (batch_id) join deal using (project_code) "
        "where payer_id is not null"
    )
    return {(_deal(deal), entity, period, payer): amount for deal, entity, period, payer, amount in rows}


def _wanted_shares() -> Found:
    return {
        (meridian.SHARED, run.legal_entity_id, run.period, meridian.OTHER_PAYER): made.other_payer
        for run, made in meridian.expected().billed.items()
        if made.other_payer
    }


def _disputed(db: Db) -> Found:
    """Return what the tie-out explains as disputed, by deal."""
    rows = db.execute(
        "select opportunity_id, disputed from finance.invoice_tie_out join deal using (project_code) "
        "where disputed is not null and status = 'tied'"
    )
    return {_deal(deal): amount for deal, amount in rows}


def _unbilled(db: Db) -> Found:
    rows = db.execute(
        "select opportunity_id, sum(amount) from finance.unbilled "
        "join deal using (project_code) "
        "where amount is not null group by 1 having sum(amount) <> 0"
    )
    return {_deal(deal): amount for deal, amount in rows}


def _revenue(db: Db) -> Found:
    rows = db.execute(
        "select opportunity_id, month, earned - expenses from finance.revenue_monthly "
        "join deal using (project_code) "
        "where earned <> expenses"
    )
    return {(_deal(deal), month): amount for deal, month, amount in rows}


def _utilization(db: Db) -> Found:
    rows = db.execute(
        "select week_starts_on, resource_id, billable_hours, capacity_hours from finance.utilization_weekly"
    )
    return {(week, who): (_hours(billable), _hours(capacity)) for week, who, billable, capacity in rows}


def _wanted_utilization() -> Found:
    return {
        (week, _resource(person)): (_hours(billable), _hours(capacity))
        for (week, person), (billable, capacity) in meridian.utilization().items()
    }


def _hours(value: Decimal | Fraction | int | None) -> Decimal | None:
    """Return hours to the fourth digit, as the view shows them."""
    return (
        None if value is None else Decimal(round(Fraction(value), 4).numerator) / round(Fraction(value), 4).denominator
    )


def _backlog(db: Db) -> Found:
    rows = db.execute("select opportunity_id, backlog from finance.backlog join deal using (project_code)")
    return {_deal(deal): left for deal, left in rows}


def _owed(db: Db) -> Found:
    """Return (lender, borrower, month, currency) -> what the lender's and the borrower's books say."""
    rows = db.execute("select lender, borrower, month, currency, due_from, due_to from finance.intercompany")
    return {tuple(key): (due_from, due_to) for *key, due_from, due_to in rows}

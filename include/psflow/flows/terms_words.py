"""What counts of a contract's terms today, in words."""

from __future__ import annotations

import datetime as dt
from typing import Any

from psflow.flows.terms import find
from psflow.store.connection import Row, Store


def words(store: Store, key: str, on: dt.date) -> list[str]:
    """Return one line for each agreement of a contract that counts on a day. Raises NeedsReview for no contract."""
    contract = find(store, key)
    scope = {"contract": contract["contract_id"], "customer": contract["customer_id"], "on": on}
    kind = contract["contract_type"].replace("_", " ")
    told = [f"{contract['contract_id']}, project {contract['project_code']}: {kind}, {contract['currency']}"]
    told += [_term(row, contract["currency"]) for row in store.rows(_TERMS, **scope)]
    told += [_accepted(row) for row in store.rows(_ACCEPTED, **scope)]
    told += [_cap(row) for row in store.rows(_CAPS, **scope)]
    told += [_order(row) for row in store.rows(_ORDERS, **scope)]
    told += [_payers(row) for row in store.rows(_PAYERS, **scope)]
    told += [_rate(row) for row in store.rows(_RATES, **scope)]
    told += [_overtime(row) for row in store.rows(_OVERTIME, **scope)]
    told += [_steps(row) for row in store.rows(_STEPS, **scope)]
    return told + [_expense(row, contract["currency"]) for row in store.rows(_EXPENSES, **scope)]


def _term(row: Row, currency: str) -> str:
    facts = [(name, value) for name, value in row["terms"].items() if name != "kind" and value not in (None, [])]
    facts.sort(key=lambda fact: isinstance(fact[1], list))
    said = "; ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in facts)
    return (
        f"{row['kind'].replace('_', ' ')} {row['term_id']}, version {row['version']} of {row['agreed_on']} "
        f"({row['reason']}), in {currency}: {said}"
    )


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return " and ".join(_plain(one) for one in value)
    if isinstance(value, dict):
        return "[" + ", ".join(f"{k.replace('_', ' ')} {_plain(v)}" for k, v in value.items() if v is not None) + "]"
    return str(value)


def _accepted(row: Row) -> str:
    return (
        f"milestone {row['milestone_id']} accepted on {row['accepted_on']} by {row['accepted_by']}, delivered by "
        f"{row['delivered_by']}: {row['evidence']}"
    )


def _cap(row: Row) -> str:
    over = {
        "split": "hard: an entry is split at it",
        "hold": "hard: an entry over it is held",
        "warn": "soft: it only warns",
    }
    return (
        f"cap of the {row['level'].replace('_', ' ')} {row['scope_id']}: {row['limit_amount']} {row['currency']}, "
        f"{over[row['on_excess']]}, counts {row['counts'].replace('_', ' ')}"
    )


def _order(row: Row) -> str:
    of = f" of line {row['contract_line']}" if row["contract_line"] else ""
    if row["number"] is None:
        return f"work{of} waits until there is a purchase order"
    until = f" to {row['valid_to']}" if row["valid_to"] else ""
    used = f"{row['invoiced']} invoiced, {row['in_batch']} in an open batch, {row['balance']} left"
    other = "" if row["is_required"] else "; work on other days takes none"
    return (
        f"purchase order {row['number']}{of}: {row['amount']} {row['currency']} from {row['valid_from']}{until}: "
        f"{used}{other}"
    )


def _payers(row: Row) -> str:
    return (
        f"work from {row['valid_from']} on is paid by {row['shares']}; agreed on {row['agreed_on']} ({row['reason']})"
    )


def _rate(row: Row) -> str:
    who = " ".join(row[name] for name in ("resource_id", "role", "region") if row[name])
    until = f" to {row['valid_to']}" if row["valid_to"] else ""
    each = f"{row['hourly_rate']} {row['currency']} an hour"
    if row["day_rate"]:
        each = f"{row['day_rate']} {row['currency']} a day of {row['hours_per_day']} hours"
    return (
        f"price of {'overtime of ' * row['is_overtime']}{who}: {each} from {row['valid_from']}{until}, agreed for "
        f"the {row['level'].replace('_', ' ')} {row['scope_id']}"
    )


def _overtime(row: Row) -> str:
    paid = f"{row['multiplier'].normalize():f} times the price" if row["multiplier"] else "prices of overtime"
    until = f" to {row['valid_to']}" if row["valid_to"] else ""
    return (
        f"overtime: what one person works on it over {row['after_minutes'] / 60:g} hours a {row['per']} is billed at "
        f"{paid}, from {row['valid_from']}{until}"
    )


def _steps(row: Row) -> str:
    how = "started steps count whole" if row["rounding"] == "up" else "to the nearest step"
    least = f", at least {row['minimum_minutes']}" if row["minimum_minutes"] else ""
    return f"billed in steps of {row['minutes']} minutes each {row['per']}{least}, {how}, from {row['valid_from']}"


def _expense(row: Row, currency: str) -> str:
    paid = "its cost"
    if row["unit_limit"]:
        paid = f"at most {row['unit_limit']} {currency} a unit"
    if row["unit_price"]:
        paid = f"{row['unit_price']} {currency} a unit"
    return f"expense {row['category']}: {paid}, markup {row['markup_pct']} %, from {row['valid_from']}"


_TERMS = """
select * from (select distinct on (term_id) * from core.contract_term where contract_id = %(contract)s
               order by term_id, version desc) newest
order by term_id
"""
_ACCEPTED = "select * from core.acceptance where contract_id = %(contract)s order by accepted_on, milestone_id"
_OWN_LINES = """
lines as (
    select distinct contract_line from core.time_entry join core.project using (project_code)
    join core.contract using (engagement_id) where contract_id = %(contract)s and contract_line is not null
)
"""
_CAPS = f"""
with {_OWN_LINES}
select * from billing.cap
where level in ('entry', 'contract') and scope_id = %(contract)s
   or level = 'customer' and scope_id = %(customer)s
   or level = 'line' and scope_id in (select contract_line from lines)
   or level = 'customer_on_line' and scope_id in (select contract_line || '/' || %(customer)s from lines)
order by level, scope_id
"""
_ORDERS = """
select orders.number, orders.contract_line, orders.valid_from, orders.valid_to, orders.is_required, amount, currency,
       invoiced, in_batch, balance
from billing.purchase_order orders
left join finance.purchase_order used using (order_id)
where orders.contract_id = %(contract)s and coalesce(orders.valid_to >= %(on)s, true)
order by orders.valid_to, orders.number
"""
_PAYERS = """
select split.*, billing.shares_text(split_id) as shares
from core.split where contract_id = %(contract)s and valid_from <= %(on)s
order by valid_from desc, split_id desc limit 1
"""
_RATES = f"""
with {_OWN_LINES}
select * from core.agreed_rate
where valid_from <= %(on)s and (valid_to is null or valid_to >= %(on)s)
  and (level = 'contract' and scope_id = %(contract)s or level = 'customer' and scope_id = %(customer)s
       or level = 'contract_line' and scope_id in (select contract_line from lines) or level = 'standard')
order by level, scope_id, role, resource_id, region, valid_from
"""
_OVERTIME = """
select * from (select distinct on (contract_id) * from core.overtime
               where contract_id = %(contract)s and valid_from <= %(on)s
               order by contract_id, valid_from desc, overtime_id desc) newest
where valid_to is null or valid_to >= %(on)s
"""
_STEPS = """
select * from core.increment where customer_id = %(customer)s and valid_from <= %(on)s order by valid_from desc limit 1
"""
_EXPENSES = """
select distinct on (category) * from core.expense_policy
where contract_id = %(contract)s and valid_from <= %(on)s order by category, valid_from desc
"""

"""Why a charge is what it is: one sentence for each thing its amount hangs on, from what is written on its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psflow import wording
from psflow.contracts import LegalEntity
from psflow.explain_words import TIMES, hours, moment, money, plain, price, quantity
from psflow.store.connection import Row

_LEVELS = {"contract_line": "contract line", "contract": "contract", "customer": "customer", "standard": "standard"}


def charge(row: Row) -> str:
    """Return how one amount comes about."""
    amount = money(row["amount"], row["currency"])
    undone = "Taken back: " if row["kind"] == "reversal" else ""
    if row["source"] == "time":
        billed = row["minutes"] if row["billed_minutes"] is None else row["billed_minutes"]
        who = f" by {row['resource']}" if row["resource"] else ""
        over = "overtime, " if row["component"] == "overtime" else ""
        return f"{undone}{over}{quantity(row, billed)} on {row['worked_on']}{who}{TIMES}{price(row)} = {amount}"
    if row["source"] == "expense":
        return f"{undone}{row['category']} on {row['worked_on']}: {_cost(row)} = {amount}"
    return f"{undone}{row['category']} on {row['worked_on']}: {amount}"


def _cost(row: Row) -> str:
    base = row["cost"] if row["billable_cost"] is None else row["billable_cost"]
    parts = [money(abs(base) if row["amount"] > 0 else -abs(base), row["cost_currency"])]
    if row["cost_currency"] != row["currency"]:
        parts.append(plain(row["fx_rate"]))
    if row["markup_pct"]:
        parts.append(plain(1 + row["markup_pct"] / 100))
    return TIMES.join(parts)


def why_charge(
    row: Row, entity: LegalEntity | None, caps: Sequence[Row], changed: Row | None, names: Mapping[str, str]
) -> list[str]:
    """Return everything a charge hangs on, the price first."""
    by_source = {"time": _why_time, "expense": _why_expense, "item": _why_item}[row["source"]]
    found = [_kind(row), *by_source(row, entity), *[_cap(row, cap) for cap in caps], *_split(row), *_payer(row)]
    found += _decision(row, names) + _undone(row, changed)
    if row["accounting_on"] and row["accounting_on"] != row["worked_on"]:
        found.append(f"it counts in the books on {row['accounting_on']}: the month of the work was closed")
    if row["is_void"]:
        found.append("its invoice was cancelled as a draft, so the charge counts as never made")
    return found


def _kind(row: Row) -> str:
    terms = f", version {row['terms_version']} of its terms" if row["terms_version"] else ""
    by = str(row["contract_type"]).replace("_", " ")
    return f"contract {row['contract_id']} bills {by}{terms}; {_tax(row)}"


def _tax(row: Row) -> str:
    said = f"tax treatment {row['tax_said'] or row['tax_treatment'] or 'not said'}"
    if row["tax_category"] is None:
        return f"{said}, billed before taxes were kept"
    why = f": {row['tax_reason']}" if row["tax_reason"] else ""
    return f"{said}, so category {row['tax_category']} at {row['tax_pct']} %{why}"


def _why_time(row: Row, entity: LegalEntity | None) -> list[str]:
    is_stepped = row["billed_minutes"] not in (None, row["minutes"]) and row["amount"] == row["whole_amount"]
    found = [*_overtime(row), _rate(row, entity)]
    if not is_stepped:
        return found
    least = f", at least {row['minimum_minutes']} minutes" if row["minimum_minutes"] else ""
    steps = f"steps of {row['step_minutes']} minutes, rounded {row['rounding']}, per {row['per']}{least}"
    return [
        *found,
        f"{hours(row['minutes'])} were worked; the customer pays in {steps}: {hours(row['billed_minutes'])}",
    ]


def _overtime(row: Row) -> list[str]:
    if row["after_minutes"] is None:
        return []
    times = f", at {plain(row['multiplier'])} times its price" if row["multiplier"] else ""
    of = f"what one person works over {hours(row['after_minutes'])} a {row['overtime_per']} on the contract"
    return [f"it is overtime, {of}{times}"]


def _rate(row: Row, entity: LegalEntity | None) -> str:
    unit = "an hour" if row["day_rate"] is None else f"a day of {plain(row['hours_per_day'])} hours"
    each = f"{row['role']}{' in overtime' * (row['component'] == 'overtime')} costs {price(row)} {unit}"
    if row["rate_id"] is None:
        return f"{each}, the price of that day; the charge is older than the names of rate rows on charges"
    if row["level"] is None:
        return f"{each}: rate row {row['rate_id']}, which is not there any more; the charge keeps its price"
    until = f" to {row['valid_to']}" if row["valid_to"] else " on"
    level = f"{_LEVELS[row['level']]} level, by {row['specificity']}"
    return (
        f"{each}: {row['scope']}, {level}, valid from {row['valid_from']}{until} (rate row {row['rate_id']})"
        + (f"; {_order(entity)}" if entity else "")
        + _now(row)
    )


def _order(entity: LegalEntity) -> str:
    levels = " > ".join(_LEVELS[level] for level in entity.rate_levels)
    return f"of all prices for the day the first wins, by level ({levels}), then {' > '.join(entity.rate_specificity)}"


def _now(row: Row) -> str:
    is_daily = row["day_rate"] is not None
    now, then = (row["day_rate_now"], row["day_rate"]) if is_daily else (row["rate_now"], row["hourly_rate"])
    if now is not None and round(now * (row["multiplier"] or 1), 4) == then:
        return ""
    said = money(row["rate_now"] if now is None else now, row["currency"])
    return f"; the row says {said} now, and what is billed keeps its price"


def _why_expense(row: Row, entity: LegalEntity | None) -> list[str]:
    paid = row["cost_currency"]
    found = [f"{money(row['cost'], paid)} was paid"]
    if row["billable_cost"] is not None and abs(row["billable_cost"]) != abs(row["cost"]):
        limit = f", at most {plain(row['unit_limit'])} a unit" if row["unit_limit"] else ""
        price = f", {plain(row['unit_price'])} a unit" if row["unit_price"] else ""
        found.append(
            f"{money(row['billable_cost'], paid)} of it is for the customer: tax we get back is out{limit}{price}"
        )
    if paid != row["currency"]:
        day = f", the rate of {row['fx_on']} ({row['fx_source']}), the last by that day" if row["fx_on"] else ""
        found.append(f"one {paid} is {plain(row['fx_rate'])} {row['currency']}{day}")
    if row["markup_pct"]:
        found.append(f"a markup of {plain(row['markup_pct'])} % is agreed from {row['policy_from']}")
    return found


def _why_item(row: Row, entity: LegalEntity | None) -> list[str]:
    terms = str(row["term_kind"] or row["category"]).replace("_", " ")
    found = [f"it is item {row['item_id']} of the contract's {terms} terms"]
    if row["agreed_on"]:
        found.append(f"version {row['terms_version']} was agreed on {row['agreed_on']}: {row['term_reason']}")
    if row["accepted_by"]:
        found.append(f"{row['accepted_by']} accepted it on {row['accepted_on']}: {row['evidence']}")
    return found


def _cap(row: Row, cap: Row) -> str:
    limit, before, taken, over = (
        money(cap[name], cap["currency"]) for name in ("limit_amount", "used_before", "taken", "over_amount")
    )
    name = f"cap {cap['cap_id']} on the {cap['level'].replace('_', ' ')}"
    if cap["level"] == "order":
        name = f"it is billed under purchase order {cap['number']}"
    said = f"{name}: of {limit}, {before} was used before its batch"
    return f"{said}, which took {taken}" + (f"; {over} stayed out" if cap["over_amount"] else "")


def _split(row: Row) -> list[str]:
    whole, currency = row["whole_amount"], row["currency"]
    if whole is None or row["kind"] == "reversal" or abs(row["amount"]) >= abs(whole):
        return []
    return [
        f"all of the entry is worth {money(whole, currency)}; this charge is {money(row['amount'], currency)} of it"
    ]


def _payer(row: Row) -> list[str]:
    if row["split_id"] is None:
        return []
    agreed = f"agreed on {row['split_agreed_on']} for work from {row['split_from']} on: {row['split_reason']}"
    rounds = "it takes the residue, since only the others' parts are rounded" if row["takes_residue"] else "rounded"
    return [f"{row['payer']} pays {plain(row['share_pct'])} %, {rounds}; the payers are {row['shares']}, {agreed}"]


def _decision(row: Row, names: Mapping[str, str]) -> list[str]:
    if not row["decided_kind"]:
        return []
    asked, approved = (names.get(row[name], row[name]) for name in ("asked_by", "approved_by"))
    what = f"a {row['decided_kind'].replace('_', '-')} was decided on {row['decided_on']}"
    return [f"{what}, asked for by {asked}, approved by {approved}: {row['decided_reason']}"]


def _undone(row: Row, changed: Row | None) -> list[str]:
    found = [f"charge {row['reversed_by']} took it back"] if row["reversed_by"] else []
    if row["kind"] == "reversal":
        found.append(f"it takes back charge {row['reverses']} at the price it was billed at")
        was, now = wording.difference(changed["was"], changed["now"]) if changed else ("", "")
        found += [f"the entry changed after it was billed: was {was}; now {now}"] if was or now else []
    return found


def cost(row: Row) -> str:
    """Return what the hours of a charge cost us, as it was when they were billed; nothing of what is no hour."""
    if row["source"] != "time":
        return ""
    if row["labour_cost"] is None:
        return f"what it cost us is not known: {row['cost_missing']}"
    spent = money(row["labour_cost"], row["labour_cost_currency"])
    return f"it cost us {spent}: {hours(row['minutes'])} worked, cost row {row['cost_rate_id']}, as it was when billed"


def charge_facts(row: Row) -> dict[str, str]:
    """Return the keys of a charge: entry, version, invoice, payload."""
    facts = {
        "Entry": f"{row['entry_key']}, version {row['version']}",
        "Invoice": row["invoice_key"],
        "Line": row["line_key"],
        "Batch": row["batch_id"],
        "Project": f"{row['project_code']} {row['project']}",
        "Customer": row["payer"],
    }
    if row["payload_hash"]:
        received = moment(row["received_at"])
        facts["Payload"] = f"{row['system']} {row['payload_kind']} {row['record_id']}, received {received}"
        facts["Payload hash"] = row["payload_hash"]
    return facts

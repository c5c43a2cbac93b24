"""The last line, of what our companies owe each other: the same in both books, of an hour, at its price, once."""

from __future__ import annotations

from tests.crash.attacks import says
from tests.crash.planting import dropped, granted, last, without

_GUARD = "billing.guard_transfer"
_RULE = (
    "insert into billing.transfer_rule (lender, borrower, currency, price_kind, factor_pct) "
    "values ('MER-EU', 'MER-US', 'EUR', 'cost_plus', 100)"
)
_RATE = (
    "insert into billing.transfer_rule (lender, borrower, currency, price_kind, role, hourly_rate, factor_pct) "
    "values ('MER-EU', 'MER-US', 'EUR', 'rate', 'Consultant', 90, 100)"
)
_LENT = {
    "transfer_id": "time_entry_id || '.' || version", "side": "side", "legal_entity_id": "books",
    "partner_id": "partner",
    "kind": "'transfer'", "time_entry_id": "time_entry_id", "version": "version", "seq": "1",
    "project_code": "project_code", "resource_id": "resource_id", "role": "billed_role", "worked_on": "worked_on",
    "minutes": "minutes", "rule_id": "(select max(rule_id) from billing.transfer_rule)", "basis": "60",
    "basis_minutes": "60", "basis_currency": "'EUR'", "fx_rate": "1", "factor_pct": "100", "amount": "minutes",
    "currency": "'EUR'", "accounting_on": "worked_on",
}  # fmt: skip
_BACK = {"kind": "'reversal'", "transfer_id": "time_entry_id || '.' || version || '.R'"}
_TAKEN_BACK = _BACK | {"minutes": "-minutes", "amount": "-minutes"}
_NEXT = "'2027-01-01'::date"


def lend(only: str = "true", **changed: str) -> str:
    """Return the statement that transfers one approved hour, with these columns as SQL says."""
    row = _LENT | changed
    return (
        f"insert into billing.transfer ({', '.join(row)}) select {', '.join(row.values())} "
        "from (select entry.* from core.time_entry_head head join core.time_entry entry using (time_entry_id) "
        "where entry.version = head.passed_version and is_approved and project_code is not null "
        "order by time_entry_id limit 1) hour "
        "cross join (values ('due_from', 'MER-EU', 'MER-US'), ('due_to', 'MER-US', 'MER-EU')) of (side, books, "
        f"partner) where {only}"
    )


def _closed(entity: str) -> str:
    return f"insert into core.period values ('{entity}', '2027-01', clock_timestamp())"


def _blind(check: str) -> str:
    """Return the statement that takes one question out of the guard."""
    return without(_GUARD, f"where {check}", f"where false and {check}")


_SAME, _TWICE = (
    "not exists (\n        select from made other",
    without(_GUARD, "having count(*) > 1", "having count(*) > 9"),
)
_TRANSFERRED = "time_entry_id in (select time_entry_id from billing.transfer)"
_OF_TO = "case side when 'due_to' then {} else {} end"
_CONSTRAINTS = {
    "transfer_of_another_name": ("transfer_names_its_hour", "a transfer is named by its hour", lend(transfer_id="'X'")),
    "transfer_at_another_amount": (
        "transfer_is_priced", "an amount is minutes at the price", lend(amount="minutes * 2")
    ),
    "transfer_for_nothing": ("transfer_has_a_price", "nothing is transferred at 0", lend(basis="0", amount="0")),
    "transfer_in_the_middle": (
        "transfer_counts_in_time", "it counts on its day or a month's first", lend(accounting_on="'2027-01-05'")
    ),
    "transfer_on_a_third_side": ("transfer_side_check", "a transfer has two sides", lend(side="'my ' || side")),
}  # fmt: skip

INTERCOMPANY = {
    **{
        name: last(guard, dropped("billing.transfer", constraint), says(_RULE, attack))
        for name, (constraint, guard, attack) in _CONSTRAINTS.items()
    },
    "transfer_in_one_book": last(
        "a transfer is in both books", _blind(_SAME), says(_RULE, lend("side = 'due_from'"))
    ),
    "transfer_owed_otherwise": last(
        "both books say the same",
        _blind(_SAME),
        says(_RULE, lend(fx_rate=_OF_TO.format(2, 1), amount=_OF_TO.format("minutes * 2", "minutes"))),
    ),
    "transfer_in_two_months": last(
        "both books say the same month",
        _blind(_SAME),
        says(_RULE, lend(accounting_on=_OF_TO.format(_NEXT, "worked_on"))),
    ),
    "transfer_of_no_hour": last(
        "a transfer is of an approved hour",
        _blind("kind = 'transfer' and not exists"),
        says(_RULE, lend(minutes="minutes + 60", amount="minutes + 60")),
    ),
    "transfer_at_no_rule": last(
        "a transfer is at its rule's price", _blind("side = 'due_from' and not exists"), says(_RATE, lend())
    ),
    "transfer_of_another_pair": last(
        "a rule is of its pair",
        _blind("side = 'due_from' and not exists"),
        says(_RULE, lend(legal_entity_id="partner", partner_id="books")),
    ),
    "reversal_of_nothing": last(
        "a reversal is of a transfer", _blind("kind = 'reversal' and not exists"), says(_RULE, lend(**_TAKEN_BACK))
    ),
    "reversal_of_a_part": last(
        "a reversal is all of it",
        _blind("kind = 'reversal' and not exists"),
        says(_RULE, lend(), lend(**_BACK, minutes="-30", amount="-30")),
    ),
    "transferred_twice": last(
        "an hour is transferred once",
        _TWICE,
        says(_RULE, lend(), lend(seq="2", transfer_id="time_entry_id || '.' || version || '~2'")),
    ),
    "side_twice": last(
        "a side is one", dropped("billing.transfer", "transfer_pkey"), says(_RULE, lend(), lend()), _TWICE + ";"
    ),
    **{
        f"transfer_into_closed_{whose}": last(
            f"no transfer in a closed month of the {whose}",
            "drop trigger guard_period on billing.transfer",
            says(_closed(entity), _RULE, lend(accounting_on=_NEXT)),
        )
        for whose, entity in (("lender", "MER-EU"), ("borrower", "MER-US"))
    },
    "transferred_hour_goes": last(
        "what is transferred stays",
        dropped("billing.transfer", "transfer_time_entry_id_version_fkey"),
        says(_RULE, lend(), f"delete from core.time_entry where {_TRANSFERRED}"),
        granted("delete", "core.time_entry")
        + "; drop trigger guard_charged on core.time_entry; drop trigger guard_pointed on core.time_entry;",
    ),
    "transfer_updates": last(
        "transfers are append-only",
        granted("update", "billing.transfer"),
        says(_RULE, lend(), "update billing.transfer set accounting_on = worked_on"),
    ),
    "transfer_deletes": last(
        "transfers stay", granted("delete", "billing.transfer"), says(_RULE, lend(), "delete from billing.transfer")
    ),
    "rule_updates": last(
        "a price that was named stays",
        granted("update", "billing.transfer_rule"),
        says(_RULE, "update billing.transfer_rule set factor_pct = 50"),
    ),
    "rule_twice": last("a price is one", dropped("billing.transfer_rule", "transfer_rule_once"), says(_RULE, _RULE)),
    "lent_to_itself": last(
        "two companies lend",
        dropped("billing.transfer_rule", "transfer_rule_of_two"),
        says(_RULE.replace("'MER-US'", "'MER-EU'")),
    ),
    "rate_of_no_role": last(
        "a rate is of a role",
        dropped("billing.transfer_rule", "transfer_rule_has_rates"),
        says(_RULE.replace("cost_plus", "rate")),
    ),
}  # fmt: skip

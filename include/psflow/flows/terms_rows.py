"""How each kind of agreement lies in its table: its key, its other columns, how it is found and how it is put."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Any, LiteralString

from psflow.contracts.agreed import (
    AgreedCap,
    AgreedExpense,
    AgreedIncrement,
    AgreedOrder,
    AgreedOvertime,
    AgreedPayers,
    AgreedRate,
)
from psflow.flows.terms_file import Piece
from psflow.store.connection import Row


def columns(piece: Piece, contract: Row, currency: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the key of an agreement's row and its other columns."""
    contract_id, customer = contract["contract_id"], contract["customer_id"]
    said = piece.said.model_dump()
    match piece.said:
        case AgreedCap(level=level, line=line):
            scope = {"customer": customer, "line": line, "customer_on_line": f"{line}/{customer}"}.get(
                level, contract_id
            )
            said.pop("line")
            return {"level": said.pop("level"), "scope_id": scope}, said | {"currency": currency}
        case AgreedOrder(number=number, line=line):
            order_id = contract_id + (f":{line}" if line else "") + (f"#{number}" if number else "")
            own = {"contract_id": contract_id, "contract_line": said.pop("line"), "is_required": said.pop("required")}
            return {"order_id": order_id}, said | own | {"currency": currency if number else None}
        case AgreedPayers():
            payers = sorted(piece.said.shares, key=lambda share: share.customer)
            own = {"payers": [s.customer for s in payers], "shares": [s.share_pct for s in payers]}
            own |= {"residues": [s.residue for s in payers]}
            return {"contract_id": contract_id, "valid_from": said["valid_from"]}, own
        case AgreedRate(level=level, line=line):
            scope = {"customer": customer, "contract_line": line}.get(level, contract_id)
            said.pop("line")
            who = "|".join(said[name] or "" for name in ("resource_id", "role", "region"))
            rate_id = f"{level}|{scope}|{who}|{currency}|{said['valid_from']}" + "|overtime" * said["is_overtime"]
            if said["day_rate"]:
                an_hour = said["day_rate"] / said["hours_per_day"]
                said["hourly_rate"] = an_hour.quantize(Decimal("0.0001"), rounding=ROUND_HALF_UP)
            return {"rate_id": rate_id}, said | {"scope_id": scope, "currency": currency}
        case AgreedOvertime():
            said["after_minutes"] = int(said.pop("after_hours") * 60)
            return {"contract_id": contract_id, "valid_from": said.pop("valid_from")}, said
        case AgreedIncrement():
            return {"customer_id": customer, "valid_from": said.pop("valid_from")}, said
        case AgreedExpense():
            key = {name: said.pop(name) for name in ("category", "valid_from")}
            return {"contract_id": contract_id, **key}, said
        case _:
            return {"contract_id": contract_id, "term_id": piece.place[2]}, {}


STATEMENTS: dict[type, tuple[LiteralString, LiteralString]] = {
    AgreedCap: (
        "select limit_amount, on_excess, counts, warn_at_pct, invoiced_elsewhere, committed_elsewhere, currency "
        "from billing.cap where (level, scope_id) = (%(level)s, %(scope_id)s)",
        "insert into billing.cap (cap_id, level, scope_id, limit_amount, currency, counts, on_excess, warn_at_pct, "
        "invoiced_elsewhere, committed_elsewhere) values (%(level)s || ':' || %(scope_id)s, %(level)s, %(scope_id)s, "
        "%(limit_amount)s, %(currency)s, %(counts)s, %(on_excess)s, %(warn_at_pct)s, %(invoiced_elsewhere)s, "
        "%(committed_elsewhere)s) on conflict (level, scope_id) do update set limit_amount = excluded.limit_amount, "
        "on_excess = excluded.on_excess, counts = excluded.counts, warn_at_pct = excluded.warn_at_pct, "
        "invoiced_elsewhere = excluded.invoiced_elsewhere, committed_elsewhere = excluded.committed_elsewhere",
    ),
    AgreedOrder: (
        "select number, amount, valid_from, valid_to, contract_id, contract_line, is_required, currency "
        "from (select *, limit_amount as amount from billing.purchase_order left join billing.cap using (cap_id)) told "
        "where order_id = %(order_id)s",
        "with cap as (insert into billing.cap (cap_id, level, scope_id, limit_amount, currency, counts, on_excess) "
        "select 'order:' || %(order_id)s::text, 'order', %(order_id)s, %(amount)s::numeric, %(currency)s, 'all', "
        "'hold' where %(number)s::text is not null on conflict (level, scope_id) do update "
        "set limit_amount = excluded.limit_amount returning cap_id) "
        "insert into billing.purchase_order (order_id, contract_id, contract_line, number, valid_from, valid_to, "
        "is_required, cap_id) values (%(order_id)s, %(contract_id)s, %(contract_line)s, %(number)s, %(valid_from)s, "
        "%(valid_to)s, %(is_required)s, (select cap_id from cap)) on conflict (order_id) do update "
        "set valid_from = excluded.valid_from, valid_to = excluded.valid_to, is_required = excluded.is_required",
    ),
    AgreedPayers: (
        "select array_agg(payer_id order by payer_id) as payers, array_agg(share_pct order by payer_id) as shares, "
        "array_agg(takes_residue order by payer_id) as residues from core.split join core.split_share using (split_id) "
        "where (contract_id, valid_from) = (%(contract_id)s, %(valid_from)s) group by split_id "
        "order by split_id desc limit 1",
        "with split as (insert into core.split (contract_id, valid_from, agreed_on, reason) "
        "values (%(contract_id)s, %(valid_from)s, %(agreed_on)s, %(reason)s) returning split_id) "
        "insert into core.split_share select split_id, share.* from split cross join "
        "unnest(%(payers)s::text[], %(shares)s::numeric[], %(residues)s::boolean[]) as share",
    ),
    AgreedRate: (
        "select level, role, resource_id, region, valid_from, valid_to, hourly_rate, day_rate, hours_per_day, "
        "is_overtime, scope_id, currency from core.agreed_rate where rate_id = %(rate_id)s",
        "insert into core.agreed_rate (rate_id, level, scope_id, resource_id, role, region, valid_from, valid_to, "
        "hourly_rate, day_rate, hours_per_day, is_overtime, currency) values (%(rate_id)s, %(level)s, %(scope_id)s, "
        "%(resource_id)s, %(role)s, %(region)s, %(valid_from)s, %(valid_to)s, %(hourly_rate)s, %(day_rate)s, "
        "%(hours_per_day)s, %(is_overtime)s, %(currency)s) on conflict (rate_id) do update "
        "set valid_to = excluded.valid_to, hourly_rate = excluded.hourly_rate, day_rate = excluded.day_rate, "
        "hours_per_day = excluded.hours_per_day",
    ),
    AgreedOvertime: (
        "select valid_to, per, after_minutes, multiplier from core.overtime "
        "where (contract_id, valid_from) = (%(contract_id)s, %(valid_from)s) order by overtime_id desc limit 1",
        "insert into core.overtime (contract_id, valid_from, valid_to, per, after_minutes, multiplier) "
        "values (%(contract_id)s, %(valid_from)s, %(valid_to)s, %(per)s, %(after_minutes)s, %(multiplier)s)",
    ),
    AgreedIncrement: (
        "select minutes, rounding, per, minimum_minutes from core.increment "
        "where (customer_id, valid_from) = (%(customer_id)s, %(valid_from)s)",
        "insert into core.increment (customer_id, valid_from, minutes, rounding, per, minimum_minutes) values "
        "(%(customer_id)s, %(valid_from)s, %(minutes)s, %(rounding)s, %(per)s, %(minimum_minutes)s) "
        "on conflict (customer_id, valid_from) do update set minutes = excluded.minutes, rounding = excluded.rounding, "
        "per = excluded.per, minimum_minutes = excluded.minimum_minutes",
    ),
    AgreedExpense: (
        "select markup_pct, unit_limit, unit_price from core.expense_policy "
        "where (contract_id, category, valid_from) = (%(contract_id)s, %(category)s, %(valid_from)s)",
        "insert into core.expense_policy (contract_id, category, valid_from, markup_pct, unit_limit, unit_price) "
        "values (%(contract_id)s, %(category)s, %(valid_from)s, %(markup_pct)s, %(unit_limit)s, %(unit_price)s) "
        "on conflict (contract_id, category, valid_from) do update set markup_pct = excluded.markup_pct, "
        "unit_limit = excluded.unit_limit, unit_price = excluded.unit_price",
    ),
}

"""What is not billed: by reason and age, and entry by entry. Reads only."""

from __future__ import annotations

from typing import LiteralString

from psflow.store.connection import Row, Store, sql
from psflow.store.sight import EVERYTHING, Sight
from psflow.store.workflow import MOST

AGES = ("to 30", "to 60", "to 90", "over 90")  # days since the work


def matrix(store: Store, sight: Sight = EVERYTHING) -> list[Row]:
    """Return reason, age, entries, worth ([amount as text, currency], …) and without_amount; the largest first."""
    return _ask(store, sight, _MATRIX)


def entries(store: Store, sight: Sight, reason: str | None, age: str | None, project: str | None) -> list[Row]:
    """Return what waits, the oldest first, at most 500; `found` on each row says how many there are."""
    return _ask(store, sight, _ENTRIES, reason=reason, age=age, project=project, limit=MOST)


def _ask(store: Store, sight: Sight, query: LiteralString, **parameters: object) -> list[Row]:
    whole: LiteralString = sql("warehouse.workflow", "unbilled") + query
    return store.rows(whole, entities=None if sight.entities is None else list(sight.entities), **parameters)


_MATRIX = """
, summed as (
    select reason, age, currency, count(*) as entries, sum(amount) as amount,
           count(*) filter (where amount is null) as without_amount
    from seen_unbilled group by reason, age, currency
)
select reason, age, sum(entries)::integer as entries, sum(without_amount)::integer as without_amount,
       coalesce(jsonb_agg(jsonb_build_array(amount::text, currency) order by currency)
                filter (where amount is not null), '[]') as worth
from summed group by reason, age order by sum(entries) desc, reason, age
"""
_ENTRIES = """
select *, count(*) over () as found from seen_unbilled
where (%(reason)s::text is null or reason = %(reason)s) and (%(age)s::text is null or age = %(age)s)
  and (%(project)s::text is null or project_code = %(project)s)
order by worked_on, kind, source_id
limit %(limit)s
"""

"""
Who may decide on a batch, where Postgres can see it: what psflow.yaml says of each person, kept beside the approvals.

The approval's trigger trusts `ops.person`, and `billing.batch_maker` derives from it who has a stake in a batch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby

from psflow.config import Config, Person
from psflow.store.connection import Store


def tell(store: Store, config: Config) -> None:
    """Write down what psflow.yaml says of people and limits, where that is new; inside a transaction."""
    store.run(_TELL, said=json.dumps([_statement(person, list(logins)) for person, logins in _by_person(config)]))
    limits = {currency: str(above) for currency, above in config.approval.second_approver_above.items()}
    store.run(_TELL_LIMITS, said=json.dumps(limits))


def makers(store: Store, batch_id: str) -> dict[str, str]:
    """Return person -> why they may not decide on a batch."""
    found = store.rows(
        "select person, string_agg(distinct why, '; ' order by why) as why from billing.batch_maker "
        "where batch_id = %(batch)s group by person",
        batch=batch_id,
    )
    return {row["person"]: row["why"] for row in found}


def _by_person(config: Config) -> Iterator[tuple[str, Iterable[Person]]]:
    """Yield each person with their logins: two logins are one person."""
    yield from groupby(sorted(config.people, key=lambda p: p.person), key=lambda p: p.person)


def _statement(person: str, logins: list[Person]) -> dict[str, str | list[str] | None]:
    entities = {entity for login in logins for entity in login.entities or ()}
    return {
        "person": person,
        "may": sorted({duty for login in logins for duty in login.may}),
        "resources": sorted({login.resource for login in logins if login.resource}),
        "legal_entities": None if any(login.entities is None for login in logins) else sorted(entities),
    }


_TELL = """
with said as (
    select * from jsonb_to_recordset(%(said)s::jsonb)
        as (person text, may text[], resources text[], legal_entities text[])
),
known as (select * from ops.person_statement where until is null)
insert into ops.person (person, may, resources, legal_entities)
select person, coalesce(said.may, '{}'), coalesce(said.resources, '{}'), said.legal_entities
from said full join known using (person)
where (said.may, said.resources, said.legal_entities)
          is distinct from (known.may, known.resources, known.legal_entities)
  and (said.may is not null or known.may <> '{}' or known.resources <> '{}')
order by person
"""
_TELL_LIMITS = """
insert into ops.approval_limit (second_approver_above)
select %(said)s::jsonb
where coalesce((select second_approver_above from ops.approval_limit order by statement_id desc limit 1), '{}')
      <> %(said)s::jsonb
"""

"""Billing batches that wait for a decision, many at once, each with one hour of one person in it."""

from __future__ import annotations

import psycopg

_FIRM = """
insert into core.customer (customer_id, name) values ('77', 'Acme');
insert into core.opportunity (opportunity_id, account_id, name, is_won, is_closed, modified_at)
values ('006', '001', 'Rollout', true, true, now());
insert into core.engagement (engagement_id, opportunity_id, customer_id) values ('E-1', '006', '77');
insert into core.rate_card values ('5', 'Standard', 'USD');
insert into core.project (project_code, engagement_id, name, customer_id, currency, rate_card_id)
values ('P-1', 'E-1', 'Rollout', '77', 'USD', '5');
insert into core.resource (resource_id, name, is_active) values ('7', 'Ann Lee', true), ('8', 'Bo Ek', true);
insert into core.time_load (entries) values (1);
"""
_ENTRY = """
insert into core.time_entry (time_entry_id, version, load_id, resource_id, worked_on, minutes, is_billable, is_approved,
                             modified_at, project_code, billed_role)
values (%(entry)s, 1, 1, %(resource)s, '2026-10-05', 60, true, true, now(), 'P-1', 'Consultant') on conflict do nothing
"""
_BATCH = """
insert into billing.batch (batch_id, legal_entity_id, period, number, invoiced_on, state)
select 'B-' || n, 'LE-' || n, '2026-10', 1, '2026-10-31', 'checked' from unnest(%(numbers)s::int[]) n
"""
_LINE = """
insert into billing.batch_line (batch_id, charge_id, kind, time_entry_id, version, project_code, worked_on, role,
                                minutes, hourly_rate, amount, currency)
select 'B-' || n, entry || '.1', 'charge', entry, 1, 'P-1', '2026-10-05', 'Consultant', 60, 100, 100, 'USD'
from unnest(%(numbers)s::int[], %(entries)s::text[]) as of (n, entry)
"""


def make(owner: psycopg.Connection, resources: dict[int, str]) -> dict[int, str]:
    """Make a batch `B-<number>` for each number, with an hour of its resource; return number -> content hash."""
    if owner.execute("select count(*) from core.project").fetchone() == (0,):
        owner.execute(_FIRM)  # type: ignore[arg-type]
    entries = {resource: f"T-{resource}" for resource in resources.values()}
    for resource, entry in entries.items():
        owner.execute(_ENTRY, {"entry": entry, "resource": resource})
    numbers = list(resources)
    owner.execute(_BATCH, {"numbers": numbers})
    owner.execute(_LINE, {"numbers": numbers, "entries": [entries[resource] for resource in resources.values()]})
    owner.execute("update billing.batch set content_hash = billing.content_hash(batch_id) where content_hash is null")
    hashes = owner.execute("select substr(batch_id, 3)::int, content_hash from billing.batch").fetchall()
    owner.commit()
    return {number: shown for number, shown in hashes if number in resources}

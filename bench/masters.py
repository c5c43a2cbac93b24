"""
The firm's master data in psflow's tables, and the same firm in the input tables of the plain-SQL baseline.

Entries are in `core` already, loaded as the DAG loads them; the baseline's `src.entry` is copied from the same feed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import psycopg

from bench.firm import REGIONS, ROLES, Firm
from bench.landing import copied

ENTITY, INSTANCE = "MER-US", "127.0.0.1"
_CONTRACT_TYPE = {
    "TM": "time_and_materials",
    "TM_CAP": "time_and_materials",
    "RETAINER": "retainer",
    "COST_PLUS": "cost_plus",
    "FIXED": "fixed_fee",
}
_CAP, _INCLUDED_HOURS, _MARKUP = 60_000, 40, "0.15"
_TERMS: dict[str, dict[str, Any]] = {
    "RETAINER": {
        "kind": "retainer", "starts_on": "2026-01-01", "fee": "5000", "included_hours": str(_INCLUDED_HOURS),
        "overage_rate": "150",
    },
    "COST_PLUS": {"kind": "cost_plus", "fee_pct": "15"},
    "FIXED": {
        "kind": "fixed_fee", "title": "Fee", "price": "100000", "lines": [{"due_on": "2026-06-30", "share": "1"}],
    },
}  # fmt: skip


def link(url: str, firm: Firm) -> None:
    """Say which of the PSA's people and projects are ours: what a load needs to know."""
    known = [("resource", f"R{n}", str(n)) for n in range(len(firm.people))]
    known += [("project", f"P{n}", str(n)) for n in range(len(firm.projects))]
    with psycopg.connect(url) as db:
        _put(
            db,
            "core.resource (resource_id, name, role, is_active, region)",
            ((f"R{n}", f"Person {n}", ROLES[role], True, region) for n, (role, region, _) in enumerate(firm.people)),
        )
        _put(
            db,
            "ops.crosswalk (kind, entity_id, system, instance, external_id)",
            ((kind, ours, "kantata", INSTANCE, theirs) for kind, ours, theirs in known),
        )


def contracts(url: str, firm: Firm) -> None:
    """Add customers, contracts, prices, caps and terms: what billing needs to know."""
    with psycopg.connect(url) as db:
        db.execute("insert into core.rate_card values ('card', 'Standard', 'USD')")
        for into, rows in (*_deals(firm).items(), *_prices(firm).items()):
            _put(db, into, rows)
        db.execute("analyze")


def _deals(firm: Firm) -> dict[str, Iterable[tuple[Any, ...]]]:
    of = [(n, f"E{n}", f"C{client}", _CONTRACT_TYPE[kind]) for n, (client, kind) in enumerate(firm.projects)]
    day = "2026-01-01"
    return {
        "core.customer (customer_id, name)": sorted({(client, f"Client {client}") for _, _, client, _ in of}),
        "core.opportunity (opportunity_id, account_id, name, is_won, is_closed, modified_at)": (
            (f"O{n}", "A", f"Project {n}", True, True, day) for n, *_ in of
        ),
        "core.engagement (engagement_id, opportunity_id, customer_id)": (
            (engagement, f"O{n}", client) for n, engagement, client, _ in of
        ),
        "core.contract (contract_id, engagement_id, legal_entity_id, contract_type, currency, rate_card_id, "
        "tax_treatment)": (
            (f"K{n}", engagement, ENTITY, kind, "USD", "card", "us_services") for n, engagement, _, kind in of
        ),
        "core.project (project_code, engagement_id, name, customer_id, currency, rate_card_id)": (
            (f"P{n}", engagement, f"Project {n}", client, "USD", "card") for n, engagement, client, _ in of
        ),
    }


def _prices(firm: Firm) -> dict[str, Iterable[tuple[Any, ...]]]:
    capped = [n for n, (_, kind) in enumerate(firm.projects) if kind == "TM_CAP"]
    return {
        "billing.cap (cap_id, level, scope_id, limit_amount, currency)": (
            (f"cap{n}", "contract", f"K{n}", _CAP, "USD") for n in capped
        ),
        "core.agreed_rate (rate_id, level, scope_id, role, region, valid_from, valid_to, hourly_rate, currency)": (
            _agreed(firm.rates)
        ),
        "core.cost_rate (resource_id, valid_from, hourly_cost, currency)": (
            (f"R{n}", "2020-01-01", cost, "USD") for n, (_, _, cost) in enumerate(firm.people)
        ),
        "core.contract_term (contract_id, term_id, version, kind, terms, agreed_on, reason)": _terms(firm),
    }


def _agreed(rates: Sequence[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    for number, (level, client, role, region, starts, rate) in enumerate(rates):
        follows = rates[number + 1] if number + 1 < len(rates) else None
        ends = follows[4] if follows and follows[:4] == (level, client, role, region) and follows[4] > starts else None
        scope = ("standard", "*") if client is None else ("customer", f"C{client}")
        yield (f"rate{number}", *scope, ROLES[role], region, starts, ends and _day_before(ends), rate, "USD")


def _day_before(day: Any) -> Any:
    return day.fromordinal(day.toordinal() - 1)


def _terms(firm: Firm) -> Iterable[tuple[Any, ...]]:
    for number, (_, kind) in enumerate(firm.projects):
        if terms := _TERMS.get(kind):
            yield (f"K{number}", "T1", 1, terms["kind"], json.dumps(terms), "2026-01-01", "signed")


def baseline(url: str, firm: Firm, feed: Path) -> None:
    """Make the baseline's schemas `src` and `out` and fill the inputs."""
    with psycopg.connect(url) as db:
        db.execute(_SRC)
        for into, rows in _inputs(firm).items():
            _put(db, into, rows)
    more(url, feed)


def _inputs(firm: Firm) -> dict[str, Iterable[tuple[Any, ...]]]:
    region = {None: None} | {name: number for number, name in enumerate(REGIONS)}
    return {
        "src.people": ((n, role, region[where], cost) for n, (role, where, cost) in enumerate(firm.people)),
        "src.projects": ((n, client) for n, (client, _) in enumerate(firm.projects)),
        "src.contracts": ((n, kind, _CAP, _INCLUDED_HOURS, _MARKUP) for n, (_, kind) in enumerate(firm.projects)),
        "src.rates": (
            (n, level, client, role, region[where], day, rate)
            for n, (level, client, role, where, day, rate) in enumerate(firm.rates)
        ),
    }


def more(url: str, feed: Path) -> None:
    """Add a feed of changes to the baseline's entries."""
    with psycopg.connect(url) as db:
        db.execute("truncate src.feed")
        copied(db, "copy src.feed from stdin", feed.read_bytes())
        db.execute(_SRC_ENTRY, {"roles": list(ROLES)})
        db.execute("analyze src.entry, src.people, src.projects, src.contracts, src.rates")


def let_pass(url: str) -> None:
    """Let every entry that waits for its gate pass."""
    with psycopg.connect(url) as db:
        db.execute(
            "update core.time_entry_head set state = 'passed', passed_version = latest_version where state = 'pending'"
        )


def _put(db: psycopg.Connection, into: str, rows: Iterable[Sequence[Any]]) -> None:
    with db.cursor() as cursor, cursor.copy(f"copy {into} from stdin".encode()) as stream:
        for row in rows:
            stream.write_row(row)


_SRC = """
drop schema if exists src cascade; drop schema if exists out cascade;
create schema src; create schema out;
create table src.feed (entry_id bigint, project_id integer, person_id integer, work_date date, minutes integer,
                       role text, billable boolean, approved boolean, notes text, updated_at timestamptz, payload text,
                       contract_line text, region text);
create table src.entry (entry_id bigint, person_id integer, project_id integer, role_id integer, work_date date,
                        hours numeric, status text, billable boolean, updated_at timestamptz);
create table src.people (person_id integer primary key, role_id integer, region integer, cost_rate numeric);
create table src.projects (project_id integer primary key, client_id integer);
create table src.contracts (project_id integer primary key, contract_type text, cap numeric, included_hours numeric,
                            markup numeric);
create table src.rates (rate_id integer primary key, level integer, client_id integer, role_id integer, region integer,
                        valid_from date, rate numeric);
"""
_SRC_ENTRY = """
insert into src.entry
select entry_id, person_id, project_id, array_position(%(roles)s::text[], role) - 1, work_date,
       round(minutes / 60.0, 2), case when approved then 'approved' else 'submitted' end, billable, updated_at
from src.feed
"""

"""One company of ours with customers, contracts and people in a real database, billed by the real flows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, LiteralString

import psycopg

from psflow.config import Config
from psflow.contracts import Period, TaxRule
from psflow.flows import billing, billing_adjustment, billing_difference, billing_posting
from psflow.store.connection import Row, Store
from tests.flows.conftest import Firm, Ledger, PassGate

ENTITY = "MER-US"
LONG_AGO = dt.date(2000, 1, 1)


class _Undo(Exception):
    """Ends a look at the difference without keeping anything."""


def minutes(hours: str | Decimal) -> int:
    """Whole minutes of some hours; anything finer is a mistake in the case."""
    exact = Decimal(hours) * 60
    assert exact == int(exact), f"{hours} h are no whole minutes"
    return int(exact)


@dataclass
class Office:
    """What the tests of the firm's cases say and ask; every id is the case's own."""

    store: Store
    config: Config
    erp: Ledger
    owner_url: str
    desk: Callable[[], Firm]
    versions: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        entity = self.config.legal_entity(ENTITY).model_copy(update={"billing_starts_on": None})
        self.config = self.config.model_copy(update={"legal_entities": (entity,)})
        self.entity = entity
        self.run("insert into core.rate_card values ('card', 'Card', 'USD')")

    def run(self, statement: LiteralString, **values: Any) -> None:
        with self.store.transaction("case"):
            self.store.run(statement, **values)

    def contract(
        self, contract: str, customer: str = "C", kind: str = "time_and_materials", currency: str = "USD"
    ) -> str:
        """A signed contract of its own project; returns the project."""
        self.run(
            "insert into core.customer (customer_id, name) values (%(customer)s, %(customer)s) on conflict do nothing",
            customer=customer,
        )
        self.run(
            "insert into ops.crosswalk (kind, entity_id, system, instance, external_id) "
            "values ('customer', %(customer)s, %(system)s, %(instance)s, %(customer)s) on conflict do nothing",
            customer=customer, system=self.erp.key, instance=self.erp.instance,
        )  # fmt: skip
        self.run(
            "with deal as (insert into core.opportunity (opportunity_id, account_id, name, is_won, is_closed, "
            "modified_at) values (%(id)s, %(customer)s, %(id)s, true, true, now()) returning opportunity_id), "
            "won as (insert into core.engagement (engagement_id, opportunity_id, customer_id) "
            "select 'E-' || %(id)s, opportunity_id, %(customer)s from deal returning engagement_id), "
            "signed as (insert into core.contract (contract_id, engagement_id, legal_entity_id, contract_type, "
            "currency, rate_card_id, tax_treatment) select %(id)s, engagement_id, %(entity)s, %(kind)s, %(currency)s, "
            "'card', 'us_services' from won "
            "returning engagement_id) "
            "insert into core.project (project_code, engagement_id, name, customer_id, currency, rate_card_id) "
            "select 'P-' || %(id)s, engagement_id, %(id)s, %(customer)s, %(currency)s, 'card' from signed",
            id=contract, customer=customer, entity=ENTITY, kind=kind, currency=currency,
        )  # fmt: skip
        return f"P-{contract}"

    def taxed(self, *rules: dict[str, Any], rounding: Any = "half_up") -> None:
        """The company's work is taxed like this from now on."""
        plain = {"treatment": "us_services", "erp_tax": "tax"}
        taxes = tuple(TaxRule(**(plain | rule)) for rule in rules)
        self.entity = self.entity.model_copy(update={"taxes": taxes, "tax_rounding": rounding})
        self.config = self.config.model_copy(update={"legal_entities": (self.entity,)})

    def rate(self, rate_id: str, rate: str, level: str = "standard", scope: str = "*", **more: Any) -> None:
        row = {"role": None, "person": None, "region": None, "from": LONG_AGO, "to": None, "currency": "USD"} | more
        if row["person"]:
            self.person(row["person"])
        self.run(
            "insert into core.agreed_rate (rate_id, level, scope_id, resource_id, role, region, valid_from, valid_to, "
            "hourly_rate, currency) values (%(id)s, %(level)s, %(scope)s, %(person)s, %(role)s, %(region)s, %(from)s, "
            "%(to)s, %(rate)s, %(currency)s)",
            id=rate_id, level=level, scope=scope, rate=rate, **row,
        )  # fmt: skip

    def person(self, person: str) -> None:
        self.run(
            "insert into core.resource (resource_id, name, role, is_active) "
            "values (%(id)s, %(id)s, 'Consultant', true) on conflict do nothing",
            id=person,
        )

    def work(self, entry: str, project: str, on: Any, hours: str | Decimal, **more: Any) -> None:
        """An approved entry, or its next version, that passed its gate."""
        row = {"role": "Consultant", "person": None, "region": None, "line": None, "approved": True} | more
        version = self.versions[entry] = self.versions.get(entry, 0) + 1
        self.run(
            "with load as (insert into core.time_load (entries) values (1) returning load_id) "
            "insert into core.time_entry (time_entry_id, version, load_id, worked_on, minutes, is_billable, "
            "is_approved, modified_at, project_code, resource_id, billed_role, contract_line, region) "
            "select %(entry)s, %(version)s, load_id, %(on)s, %(minutes)s, true, %(approved)s, now(), %(project)s, "
            "%(person)s, %(role)s, %(line)s, %(region)s from load",
            entry=entry, version=version, on=on, minutes=more.get("minutes") or minutes(hours), project=project,
            **{k: row[k] for k in ("role", "person", "region", "line", "approved")},
        )  # fmt: skip
        self.run(
            "insert into core.time_entry_head values (%(entry)s, %(version)s, %(version)s, 'passed') "
            "on conflict (time_entry_id) do update set latest_version = %(version)s, passed_version = %(version)s",
            entry=entry, version=version,
        )  # fmt: skip

    def spend(self, expense: str, project: str, on: Any, amount: str | Decimal, **more: Any) -> None:
        """An approved expense that passed its gate."""
        row = {"category": expense, "quantity": None, "tax": None, "billable": True} | more
        self.run(
            "with load as (insert into core.time_load (entries) values (1) returning load_id) "
            "insert into core.expense_entry (expense_entry_id, version, load_id, spent_on, category, amount, currency, "
            "is_billable, is_approved, has_receipt, modified_at, project_code, quantity, recoverable_tax) "
            "select %(id)s, 1, load_id, %(on)s, %(category)s, %(amount)s, 'USD', %(billable)s, true, true, now(), "
            "%(project)s, %(quantity)s, %(tax)s from load",
            id=expense, on=on, amount=amount, project=project, **row,
        )  # fmt: skip
        self.run("insert into core.expense_entry_head values (%(id)s, 1, 1, 'passed')", id=expense)

    def cap(self, level: str, scope: str, limit: str, **more: Any) -> None:
        row = {"on_excess": "split", "counts": "fees", "warn": "100", "invoiced": "0", "committed": "0"} | more
        self.run(
            "insert into billing.cap (cap_id, level, scope_id, limit_amount, currency, counts, on_excess, warn_at_pct, "
            "invoiced_elsewhere, committed_elsewhere) values (%(level)s, %(level)s, %(scope)s, %(limit)s, 'USD', "
            "%(counts)s, %(on_excess)s, %(warn)s, %(invoiced)s, %(committed)s)",
            level=level, scope=scope, limit=limit, **row,
        )  # fmt: skip

    def cap_of(self, contract: str, given: dict[str, Any], on_excess: str, counts: str) -> None:
        self.run(
            "insert into billing.cap (cap_id, level, scope_id, limit_amount, currency, counts, on_excess, warn_at_pct, "
            "invoiced_elsewhere, committed_elsewhere) values (%(c)s, 'contract', %(c)s, %(limit)s, 'USD', %(counts)s, "
            "%(on_excess)s, %(warn)s, %(invoiced)s, %(committed)s)",
            c=contract, limit=given["cap"], counts=counts, on_excess=on_excess, warn=given["soft_limit_pct"],
            invoiced=given["invoiced_to_date"], committed=given["committed_unbilled"],
        )  # fmt: skip

    def close(self, period: str) -> None:
        """The books of a month are closed: said by the owner of the database, without the signatures it takes."""
        with psycopg.connect(self.owner_url) as owner:
            owner.execute("delete from core.period where period = %s", [period])
            owner.execute("insert into core.period values (%s, %s, clock_timestamp())", [ENTITY, period])

    @contextmanager
    def looking(self, until: dt.date, since: dt.date | None = None) -> Iterator[None]:
        """Inside, the difference up to a day is staged; nothing of it is kept."""
        try:
            with self.store.transaction("case.look"):
                billing_difference.stage_difference(self.store, self.entity, until, since)
                yield
                raise _Undo
        except _Undo:
            return

    def look(self, until: dt.date, since: dt.date | None = None) -> list[Row]:
        """What would be billed up to a day, and what has no price."""
        with self.looking(until, since):
            return self.store.rows("select * from billing_difference order by entry_key, kind desc, charge_id")
        raise AssertionError("unreachable")

    def bill(self, until: dt.date, since: dt.date | None = None) -> list[Row]:
        """Freeze, approve and post up to a day; return the charges of the batch, none when there is nothing."""
        period = Period(name=f"{until:%Y-%m}")
        period = _Until(name=period.name, day=until)
        batch = billing.freeze(self.store, self.config, ENTITY, period, until, since)
        if batch is None:
            return []
        shown = str(billing.check(self.store, self.config, PassGate(), batch)["content_hash"])
        for step, user in (("submit", "fiona"), ("approve", "frank")):
            say: Any = {"airflow_user": user, "approved": True, "content_hash": shown, "run_id": "case"}
            billing.decide(self.store, self.config, batch, step, **say)  # type: ignore[arg-type]
        run = (self.store, self.config, self.erp, batch)
        billing_posting.release(*run)
        billing_posting.draft(*run)
        billing_posting.read_back(*run)
        billing_posting.post(*run)
        return self.store.rows("select * from billing.charge where batch_id = %(b)s order by charge_id", b=batch)

    def adjust(self, kind: Any, entry: str, on: dt.date, hours: Decimal | None = None) -> Decimal:
        """Two persons decide on an entry."""
        part = None if hours is None else hours * 60
        return billing_adjustment.adjust(
            self.store,
            self.entity,
            billing_adjustment.Adjustment(kind, entry, part, on, "agreed with the customer", "P-201", "P-102"),
        )


class _Until(Period):
    """A month that is billed up to one of its days."""

    day: dt.date

    @property
    def end(self) -> dt.date:
        return self.day

"""A small firm on real Postgres, with the Salesforce and Kantata sandboxes over HTTP and an ERP of a few dicts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from psflow.config import Config
from psflow.contracts import OpenEffect, VendorProfile
from psflow.errors import ConfigurationError, Rejected
from psflow.flows import activation, billing, billing_posting, sync, time_expense
from psflow.gates.suite import ExpectationGate, FailingRow, Verdict
from psflow.store.connection import Store
from psflow.systems import Copy, ErpInvoice, ErpInvoiceLine, LedgerLine, Undo
from psflow.systems.kantata.client import Kantata
from psflow.systems.salesforce.client import Salesforce
from psflow.systems.transport import Transport
from tests.database import shipped
from tests.systems.conftest import Sandbox, kantata_sandbox, salesforce_sandbox, serve

__all__ = ["kantata_sandbox", "salesforce_sandbox", "serve"]

FAST = {"deadline_s": 0.6, "late_landing_s": 0.1, "search_lag_s": 0.05, "lease_s": 1.5}
TICKETS = [pytest.param]
PERIOD = "2026-10"
ENTITY = "MER-US"


@dataclass
class Ledger:
    """An ERP that keeps parties, projects and documents; `fail` is asked before and after each write."""

    profile: VendorProfile
    key: str = "tryton"
    instance: str = "books"
    parties: dict[str, dict[str, Any]] = field(default_factory=dict)
    projects: dict[str, dict[str, Any]] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    fail: Callable[[str, str], None] = lambda when, capability: None

    def perform(self, effect: OpenEffect) -> str:
        effect.permit(self.key)
        self.calls.append(effect.capability)
        self.fail("before", effect.capability)
        made = getattr(self, f"_{effect.capability}")(effect)
        self.fail("after", effect.capability)
        return str(made)

    def find(self, effect: OpenEffect) -> str | None:
        if effect.capability == "post_invoice":
            document = self.documents[effect.payload["erp_invoice_id"]]
            return effect.payload["erp_invoice_id"] if document["state"] == "posted" else None
        shelf = {"create_customer": self.parties, "create_project": self.projects, "draft_invoice": self.documents}
        return next((i for i, d in shelf.get(effect.capability, {}).items() if d["key"] == effect.key), None)

    def url(self, kind: str, external_id: str) -> str:
        return f"erp://{kind}/{external_id}"

    def copies(self, capability: str, key: str, payload: dict[str, Any]) -> list[Copy]:
        shelf = {"create_project": self.projects, "draft_invoice": self.documents}.get(capability, {})
        standing: dict[str, Any] = {"open": "open", "draft": "open", "posted": "final"}
        return [Copy(i, standing.get(d["state"], "closed")) for i, d in shelf.items() if d["key"] == key]

    def undo(self, capability: str, payload: dict[str, Any], external_id: str, ends_on: dt.date) -> Undo | None:
        if capability == "create_project":
            return Undo("close_project", {"erp_project_id": external_id})
        if capability == "draft_invoice":
            return Undo("cancel_invoice", {"invoice_key": payload["invoice_key"], "erp_invoice_id": external_id})
        return None

    def _keep(self, shelf: dict[str, dict[str, Any]], effect: OpenEffect, **more: Any) -> str:
        number = str(len(shelf) + 1)
        shelf[number] = {"key": effect.key, **effect.payload, **more}
        return number

    def _create_customer(self, effect: OpenEffect) -> str:
        return self._keep(self.parties, effect)

    def _create_project(self, effect: OpenEffect) -> str:
        return self._keep(self.projects, effect, state="open")

    def _close_project(self, effect: OpenEffect) -> str:
        self.projects[effect.payload["erp_project_id"]]["state"] = "closed"
        return str(effect.payload["erp_project_id"])

    def _draft_invoice(self, effect: OpenEffect) -> str:
        return self._keep(self.documents, effect, state="draft")

    def _post_invoice(self, effect: OpenEffect) -> str:
        document = self.documents[effect.payload["erp_invoice_id"]]
        if document["state"] != "draft":
            raise Rejected(f"document is {document['state']}")
        document["state"] = "posted"
        return str(effect.payload["erp_invoice_id"])

    def _cancel_invoice(self, effect: OpenEffect) -> str:
        self.documents[effect.payload["erp_invoice_id"]]["state"] = "cancelled"
        return str(effect.payload["erp_invoice_id"])

    def invoices(self, references: Any) -> list[ErpInvoice]:
        return [_document(i, d) for i, d in self.documents.items() if d["invoice_key"] in references]


def _document(number: str, document: dict[str, Any]) -> ErpInvoice:
    amounts = [(line["line_key"], Decimal(line["amount"])) for line in document["lines"] + document["expenses"]]
    total = sum((amount for _, amount in amounts), Decimal())
    lines = tuple(ErpInvoiceLine(f"{number}-{key}", key, Decimal(1), amount, amount) for key, amount in amounts)
    tax = sum((Decimal(each["tax"]) for each in document.get("taxes", ())), Decimal())
    ledger = (
        LedgerLine(f"{number}-r", f"m{number}", "revenue", Decimal(), total, None),
        LedgerLine(f"{number}-t", f"m{number}", "other", Decimal(), tax, None),
        LedgerLine(f"{number}-a", f"m{number}", "receivable", total + tax, Decimal(), None),
    )
    posted = document["state"] == "posted"
    return ErpInvoice(
        number,
        document["invoice_key"],
        f"INV-{number}" if posted else None,
        document["state"],
        document["currency"],
        total,
        tax,
        total + tax,
        f"m{number}" if posted else None,
        lines,
        ledger if posted else (),
    )


@dataclass(frozen=True)
class PassGate:
    """A verdict without Great Expectations' seconds: every row passes but those named."""

    rows: int = 1
    failing: tuple[FailingRow, ...] = ()

    def run(self, suite: str, batch_id: str) -> Verdict:
        return Verdict(self.rows, 5, self.failing)


@dataclass
class Firm:
    """The systems of a firm and what its people do in them."""

    store: Store
    config: Config
    crm: Salesforce
    psa: Kantata
    erp: Ledger
    salesforce: Sandbox
    kantata: Sandbox

    def win(self, number: int = 1, **fields: Any) -> None:
        """A deal is closed-won in the CRM."""
        deal = {
            "Id": f"006{number:012d}",
            "Name": f"Rollout {number}",
            "AccountId": "001000000000001",
            "StageName": "Closed Won",
            "IsWon": True,
            "IsClosed": True,
            "Amount": 50000,
            "CurrencyIsoCode": "USD",
            "Legal_Entity__c": "Meridian US",
            "Rate_Card__c": "Standard",
            "Contract_Type__c": "Time and Materials",
            "Tax_Treatment__c": "US services",
            "Delivery_Region__c": "North America",
            "Start_Date__c": "2026-10-01",
            "End_Date__c": "2026-12-31",
        }
        asked = {"Role__c": "Consultant", "Hours_Per_Day__c": 6, "Quantity": 1, "UnitPrice": 50000}
        line = {"Id": f"00k{number:012d}", "OpportunityId": deal["Id"]} | asked
        self.salesforce.load({"Opportunity": [deal | fields], "OpportunityLineItem": [line]})

    def sync(self) -> dict[str, Any]:
        sync.pull_psa(self.store, self.config, self.psa)
        return sync.pull_crm(self.store, self.config, self.crm)

    def activate(self, engagement_id: str, epoch: int = 1) -> None:
        run = (self.store, self.config)
        activation.check(*run, engagement_id, epoch)
        activation.create_in_erp(*run, self.erp, engagement_id, epoch)
        activation.create_in_psa(*run, self.psa, self.erp, self.crm, engagement_id, epoch)
        activation.finish(*run, self.crm, engagement_id, epoch)

    def start(self, number: int = 1, **fields: Any) -> str:
        """Win, sync and activate one deal; return its engagement id."""
        self.win(number, **fields)
        (run,) = self.sync()["start"]
        self.activate(**run)
        return str(run["engagement_id"])

    def log(self, number: int, minutes: int = 60, **fields: Any) -> None:
        """Somebody logs time on the first project; approved and billable unless said otherwise."""
        entry = {
            "id": str(number),
            "updated_at": "2026-10-31T12:00:00Z",
            "workspace_id": "1",
            "user_id": "7",
            "role_id": "2",
            "date_performed": "2026-10-05",
            "time_in_minutes": minutes,
            "billable": True,
            "approved": True,
            "notes": "",
        }
        self.kantata.load({"time_entries": [entry | fields]})

    def spend(self, number: int, cents: int = 10055, status: str = "approved", **fields: Any) -> None:
        """Somebody hands in an expense on the first project and its report; approved and with receipt unless said."""
        expense = {
            "id": str(number),
            "updated_at": "2026-10-31T12:00:00Z",
            "workspace_id": "1",
            "user_id": "7",
            "date": "2026-10-05",
            "category": "Travel",
            "amount_in_cents": cents,
            "currency": "USD",
            "currency_base_unit": 100,
            "is_billable": True,
            "receipt_id": "90",
            "active_submission_id": f"9{number}",
        } | fields
        shared = {name: expense[name] for name in ("updated_at", "workspace_id", "user_id")}
        report = {"id": expense["active_submission_id"], "status": status, "expense_ids": [expense["id"]]} | shared
        self.kantata.load({"expenses": [expense], "expense_report_submissions": [report]})

    def load_expenses(self, gate: Any = None) -> dict[str, int]:
        time_expense.load_expenses(self.store, self.config, self.psa)
        return time_expense.check(self.store, self.config, gate or PassGate(), "expense_entry")

    def load_time(self, gate: Any = None) -> dict[str, int]:
        time_expense.load(self.store, self.config, self.psa)
        return time_expense.check(self.store, self.config, gate or PassGate())

    def freeze(self, period: str = PERIOD) -> str | None:
        when = policy_period(period)
        return billing.freeze(self.store, self.config, ENTITY, when, when.end)

    def decide(self, batch: str, step: Any, user: str, content_hash: str, approved: bool = True) -> None:
        billing.decide(
            self.store,
            self.config,
            batch,
            step,
            airflow_user=user,
            approved=approved,
            content_hash=content_hash,
            run_id="r",
        )

    def approve(self, gate: Any = None, period: str = PERIOD) -> str:
        """Freeze, check, submit and approve; return the batch."""
        batch = self.freeze(period)
        assert batch is not None
        shown = str(billing.check(self.store, self.config, gate or PassGate(), batch)["content_hash"])
        self.decide(batch, "submit", "fiona", shown)
        self.decide(batch, "approve", "frank", shown)
        return batch

    def post(self, batch: str) -> dict[str, int]:
        run = (self.store, self.config, self.erp, batch)
        billing_posting.release(*run)
        billing_posting.draft(*run)
        billing_posting.read_back(*run)
        return billing_posting.post(*run)

    def bill(self, period: str = PERIOD) -> str:
        batch = self.approve(period=period)
        self.post(batch)
        return batch

    def exceptions(self, rule: str | None = None) -> list[dict[str, Any]]:
        return self.store.rows(
            "select * from ops.exceptions where state = 'open' and rule = coalesce(%(rule)s, rule) "
            "order by rule, record_id, field",
            rule=rule,
        )


def policy_period(name: str) -> Any:
    from psflow.contracts import Period

    return Period(name=name)


CARDS: dict[str, list[dict[str, Any]]] = {
    "roles": [{"id": "1", "name": "Partner"}, {"id": "2", "name": "Consultant"}],
    "users": [{"id": "7", "full_name": "Ann Lee", "role_id": "1"}],
    "rate_card_sets": [{"id": "1", "title": "Standard", "rate_card_ids": ["5"]}],
    "rate_card_set_versions": [
        {"id": "11", "rate_card_set_id": "1", "active": True, "effective_date": "2026-01-01"},
        {"id": "12", "rate_card_set_id": "1", "active": True, "effective_date": "2026-10-16"},
    ],
    "rate_cards": [{"id": "5", "currency": "USD", "rate_card_set_id": "1", "rate_card_version_ids": ["21", "22"]}],
    "rate_card_versions": [
        {"id": "21", "rate_card_id": "5", "rate_card_set_version_id": "11", "default_rate": 0},
        {"id": "22", "rate_card_id": "5", "rate_card_set_version_id": "12", "default_rate": 0},
    ],
    "rate_card_roles": [
        {"id": "31", "rate_card_version_id": "21", "role_id": "2", "rate": 18050},
        {"id": "32", "rate_card_version_id": "22", "role_id": "2", "rate": 20000},
    ],
}


@pytest.fixture
def config() -> Config:
    loaded = shipped()
    fast = {k: VendorProfile(**(v.model_dump() | FAST)) for k, v in loaded.systems.items()}
    return loaded.model_copy(update={"systems": fast})


@pytest.fixture
def firm(store: Store, config: Config, salesforce_sandbox: Sandbox, kantata_sandbox: Sandbox) -> Firm:
    systems = config.systems
    crm = Salesforce(
        Transport("salesforce", salesforce_sandbox.url, FAST["deadline_s"]), systems["salesforce"], "app", "swordfish"
    )
    psa = Kantata(Transport("kantata", kantata_sandbox.url, FAST["deadline_s"]), systems["kantata"], "swordfish")
    salesforce_sandbox.load({"Account": [{"Id": "001000000000001", "Name": "Acme", "AccountNumber": "77"}]})
    kantata_sandbox.load(CARDS, hang_s=1)
    return Firm(store, config, crm, psa, Ledger(systems["tryton"]), salesforce_sandbox, kantata_sandbox)


@pytest.fixture
def real_gate(app_url: str) -> ExpectationGate:
    return ExpectationGate(app_url)


__all__ += ["ConfigurationError"]

"""Our own five adapters keep what every adapter promises, and README says what they offer."""

from __future__ import annotations

import datetime as dt
import importlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from psflow.contracts import VendorProfile
from psflow.sandbox.tryton import TrytonServer
from psflow.systems import bamboohr, float, kantata, salesforce, tryton
from psflow.systems.bamboohr.client import BambooHR
from psflow.systems.float.client import Float
from psflow.systems.kantata.client import Kantata
from psflow.systems.ports import Page, Pulled, System
from psflow.systems.registry import registrations, table
from psflow.systems.salesforce.client import Salesforce
from psflow.systems.transport import Transport
from psflow.systems.tryton.client import Tryton
from psflow.testing import Conformance, open_effect
from tests.systems.test_bamboohr import employee, job, leave
from tests.systems.test_kantata import CARDS, PROJECT, entry
from tests.systems.test_kantata_billing import invoice
from tests.systems.test_kantata_delivery import expense, story
from tests.systems.test_kantata_writes import WORK
from tests.systems.test_salesforce import WON, opportunity
from tests.systems.test_tryton import create_customer, draft
from tests.systems.test_tryton_time import an_hour
from tests.systems.tryton_fixture import adapter

PROFILE = VendorProfile(lookup="search", deadline_s=2, late_landing_s=1, search_lag_s=0.5, lease_s=10)
README = Path(__file__).parents[2] / "README.md"
NUMBER = itertools.count(1)
_WORK = {"start_date": "2027-01-04", "end_date": "2027-01-15", "hours": 6}


class _Sandboxed(Conformance):
    """What the vendors with a sandbox have in common."""

    secret = "hunter2"
    misshapen: ClassVar[dict[str, tuple[str, dict[str, Any]]]]  # stream -> kind, and a record that replaces a good one
    key_field: ClassVar[str] = "id"
    sandbox: Any

    def lose_answer(self, capability: str) -> None:
        self.sandbox.arm("write", "timeout_after_commit")

    def made(self) -> int:
        return sum(self.sandbox.state()["records"].values())

    def spoil(self, stream: str) -> str:
        kind, record = self.misshapen[stream]
        self.sandbox.load({kind: [record]})
        return str(record[self.key_field])


class TestSalesforce(_Sandboxed):
    registration = salesforce.REGISTRATION
    key_field = "Id"
    misshapen: ClassVar = {
        "customer": ("Account", {"Id": "001000000000001AAA", "Name": None}),
        "opportunity": ("Opportunity", opportunity(1, Id=WON, AccountId=None)),
    }

    @pytest.fixture
    def system(self, salesforce_sandbox: Any) -> System:
        accounts = [
            {"Id": f"001{n:012d}", "Name": f"A{n}", "SystemModstamp": f"2026-11-0{n}T08:00Z"} for n in (1, 2, 3)
        ]
        deals = [opportunity(n, SystemModstamp=f"2026-11-0{n}T08:00Z") for n in range(1, 8)]
        salesforce_sandbox.load({"Account": accounts, "Opportunity": deals}, page_size=2, hang_s=1.5)
        return self.client(salesforce_sandbox)

    def client(self, sandbox: Any, secret: str = "swordfish") -> Salesforce:
        self.sandbox = sandbox
        return Salesforce(Transport("salesforce", sandbox.url, 1), PROFILE, client_id="app", client_secret=secret)

    @pytest.fixture(autouse=True)
    def _served(self, salesforce_sandbox: Any) -> None:
        self.sandbox = salesforce_sandbox

    def locked_out(self) -> System:
        return self.client(self.sandbox, self.secret)

    def payload(self, system: System, capability: str) -> dict[str, Any]:
        return {"opportunity_id": WON, "engagement_id": "E-1", "project_code": "P-1"}


class TestKantata(_Sandboxed):
    registration = kantata.REGISTRATION
    misshapen: ClassVar = {
        "resource": ("users", {"id": "7", "full_name": None}),
        "rate_card": ("rate_cards", {"id": "5", "currency": 5, "rate_card_set_id": "1"}),
        "time_entry": ("time_entries", entry(1, time_in_minutes="480")),
        "expense_entry": ("expenses", expense(1, amount_in_cents="1")),
        "task": ("stories", story(1, title=None)),
        "milestone": ("stories", story(2, story_type="milestone", title=None)),
        "invoice": ("invoices", invoice(1, currency_base_unit=0)),
    }

    @pytest.fixture
    def system(self, kantata_sandbox: Any) -> System:
        days = [f"2026-11-0{n}T08:00:00+00:00" for n in range(1, 4)]
        kantata_sandbox.load(
            CARDS
            | {
                "rate_cards": [*CARDS["rate_cards"], {"id": "6", "currency": "EUR", "rate_card_set_id": "1"}],
                "rate_card_versions": [
                    *CARDS["rate_card_versions"],
                    {"id": "24", "rate_card_id": "6", "rate_card_set_version_id": "11", "default_rate": 15000},
                ],
                "users": [{"id": "7", "full_name": "Ann Lee"}, {"id": "8", "full_name": "Bo"}],
                "workspaces": [{"id": "55", "title": "Acme"}],
                "time_entries": [entry(n, updated_at=days[n % 3]) for n in range(1, 302)],
                "expenses": [expense(n, updated_at=day) for n, day in enumerate(days, 1)],
                "invoices": [invoice(n, updated_at=day, time_entry_ids=[str(n)]) for n, day in enumerate(days, 1)],
                "stories": [
                    story(n, updated_at=days[n % 3], story_type="task" if n % 2 else "milestone") for n in range(1, 7)
                ],
            }
        )
        return self.client(kantata_sandbox)

    def client(self, sandbox: Any, bearer: str = "swordfish") -> Kantata:
        self.sandbox = sandbox
        return Kantata(Transport("kantata", sandbox.url, 1), PROFILE, bearer)

    @pytest.fixture(autouse=True)
    def _served(self, kantata_sandbox: Any) -> None:
        self.sandbox = kantata_sandbox

    def locked_out(self) -> System:
        return self.client(self.sandbox, self.secret)

    def lose_answer(self, capability: str) -> None:
        last = {"assign_resource": "POST /api/v1/workspace_allocations"}  # the other step is a test of its own
        self.sandbox.arm(last.get(capability, "write"), "timeout_after_commit")

    def payload(self, system: System, capability: str) -> dict[str, Any]:
        return {
            "create_project": PROJECT,
            "close_project": {"psa_project_id": "55"},
            "assign_resource": WORK | {"psa_person_id": "7"},
            "request_resource": WORK,
            "update_milestone": {"psa_milestone_id": "2", "is_done": True},
        }[capability]


class TestBambooHR(_Sandboxed):
    registration = bamboohr.REGISTRATION
    misshapen: ClassVar = {
        "resource": ("employees", employee(7, hireDate="01.03.2024")),
        "employment": ("job_info", job(7, "01.03.2024") | {"id": "7"}),
        "absence": ("time_off_requests", leave(1, {"2026-11-02": "much"})),
    }

    @pytest.fixture
    def system(self, bamboohr_sandbox: Any) -> System:
        away = [leave(n, {f"2026-11-0{n}": 8, f"2026-11-1{n}": 4}) for n in (1, 2)]
        people = {"employees": [employee(n) for n in range(7, 12)]}
        jobs = {"job_info": [job(n, "2024-03-01") | {"id": str(n)} for n in range(7, 12)]}
        bamboohr_sandbox.load(people | jobs | {"time_off_requests": away})
        return self.client(bamboohr_sandbox)

    def client(self, sandbox: Any, api_key: str = "swordfish") -> BambooHR:
        return BambooHR(Transport("bamboohr", sandbox.url, 1), PROFILE, api_key)

    @pytest.fixture(autouse=True)
    def _served(self, bamboohr_sandbox: Any) -> None:
        self.sandbox = bamboohr_sandbox

    def locked_out(self) -> System:
        return self.client(self.sandbox, self.secret)


class TestFloat(_Sandboxed):
    registration = float.REGISTRATION
    misshapen: ClassVar = {
        **{
            stream: ("people", {"people_id": 7, "id": 7, "name": None})
            for stream in ("resource", "work_pattern", "cost_rate")
        },
        "assignment": ("tasks", {"task_id": 31, "id": 31, "project_id": 55, "people_id": 7} | _WORK | {"hours": "x"}),
    }

    @pytest.fixture
    def system(self, float_sandbox: Any) -> System:
        float_sandbox.load(
            {
                "people": [{"people_id": n, "name": f"Ann {n}"} for n in (7, 8)],
                "projects": [{"project_id": 55, "name": "Acme", "project_code": "P-0"}],
                "tasks": [_WORK | {"task_id": n, "project_id": 55, "people_id": 7} for n in (31, 32)],
            }
        )
        return self.client(float_sandbox)

    def client(self, sandbox: Any, token: str = "swordfish") -> Float:
        self.sandbox = sandbox
        transport = Transport("float", sandbox.url, 1)
        return Float(transport, PROFILE, token, currency="USD", contact="it@firm.example", app_url=sandbox.url)

    @pytest.fixture(autouse=True)
    def _served(self, float_sandbox: Any) -> None:
        self.sandbox = float_sandbox

    def locked_out(self) -> System:
        return self.client(self.sandbox, self.secret)

    def lose_answer(self, capability: str) -> None:
        last = {"request_resource": "POST /v3/tasks"}
        self.sandbox.arm(last.get(capability, "write"), "timeout_after_commit")

    def payload(self, system: System, capability: str) -> dict[str, Any]:
        work = WORK | {"planner_project_id": "55", "name": "Acme", "starts_on": "2030-01-07", "ends_on": "2030-01-18"}
        needs = {"close_request": "request_resource", "release_resource": "assign_resource"}
        person = {"planner_person_id": "8"}
        if capability == "close_project":
            return {"planner_project_id": "55"}
        if capability not in needs:
            return work | person
        made = system.perform(open_effect("float", needs[capability], work | person, f"float:{needs[capability]}:R-1"))
        closed = {"request_id": "R-1", "planner_request_id": made}
        return closed if capability == "close_request" else {"planner_assignment_id": made, "ends_on": "2030-01-11"}


class TestTryton(Conformance):
    registration = tryton.REGISTRATION
    secret = "hunter2"
    strict_streams = registration.streams  # every answer is typed by the server, and misread ones stop the read

    @pytest.fixture
    def system(self, tryton_server: TrytonServer) -> Iterator[System]:
        self.server, self.erp = tryton_server, adapter(tryton_server)
        yield self.erp
        tryton_server.reset_faults()

    def pages(self, system: Any, stream: str, since: dt.datetime | None = None) -> Iterator[Any]:
        if stream != "invoice":
            return super().pages(system, stream, since)
        if not hasattr(self, "drafted"):
            self.drafted = [draft(self._customer()) for _ in range(2)]
            for each in self.drafted:
                system.perform(each)
        found = system.invoices([each.payload["invoice_key"] for each in self.drafted])
        return iter([Page([Pulled(each.erp_invoice_id, each, "") for each in found], [])])

    @pytest.fixture(autouse=True)
    def _served(self, tryton_server: TrytonServer) -> None:
        self.server = tryton_server

    def locked_out(self) -> System:
        refused: Tryton = adapter(self.server, password=self.secret)
        return refused

    def lose_answer(self, capability: str) -> None:
        method = {
            "create_customer": "model.party.party.create",
            "create_project": "model.project.work.create",
            "close_project": "model.project.work.write",
            "post_time": "model.timesheet.line.create",
            "void_time": "model.timesheet.line.write",
            "draft_invoice": "model.account.invoice.create",
            "post_invoice": "model.account.invoice.post",
            "cancel_invoice": "model.account.invoice.cancel",
        }[capability]
        asked_first = capability == "post_invoice"  # its first answer wants a confirmation
        self.server.arm(method, "reset_after", skip=int(asked_first))

    def made(self) -> int:
        return sum(count for count, _ in adapter(self.server).newest_write().values())

    def payload(self, system: System, capability: str) -> dict[str, Any]:
        if capability == "create_customer":
            return dict(create_customer().payload)
        if capability in ("create_project", "close_project"):
            project = self._project()
            if capability == "create_project":
                return project
            key = f"conformance:project:{next(NUMBER)}"
            return {"erp_project_id": system.perform(open_effect("tryton", "create_project", project, key))}
        if capability in ("post_time", "void_time"):
            hour = an_hour(self.server, self.erp)
            if capability == "post_time":
                return hour
            key = f"conformance:time:{next(NUMBER)}"
            return {"erp_time_id": system.perform(open_effect("tryton", "post_time", hour, key))}
        return dict(draft(self._customer()).payload) if capability == "draft_invoice" else self._drafted()

    def _effect(self, system: System, capability: str) -> Any:
        return open_effect("tryton", capability, self.payload(system, capability), f"conformance:{next(NUMBER)}")

    def _customer(self) -> str:
        return self.erp.perform(create_customer())

    def _project(self) -> dict[str, Any]:
        fields = {"project_code": "P-1", "name": "Rollout", "customer_ref": self._customer(), "currency": "USD"}
        return fields | {"engagement_id": "E-1", "epoch": 1, "starts_on": None}

    def _drafted(self) -> dict[str, Any]:
        wanted = draft(self._customer())
        return {"invoice_key": wanted.payload["invoice_key"], "erp_invoice_id": self.erp.perform(wanted)}


SUITES = (TestSalesforce, TestTryton, TestKantata, TestBambooHR, TestFloat)


def test_every_registered_system_has_a_suite_that_runs_once_for_each_thing_it_declares() -> None:
    assert [suite.registration for suite in SUITES] == registrations()


def test_the_version_that_is_registered_is_the_one_that_is_spoken() -> None:
    """The sandboxes serve one version, and the suites above show that the clients speak it."""
    for module in ("salesforce.sandbox_query", "kantata.sandbox", "float.sandbox"):
        vendor = module.partition(".")[0]
        version = next(each.api_version for each in registrations() if each.key == vendor)
        root: str = importlib.import_module(f"psflow.systems.{module}").ROOT
        assert root.endswith(version), root


def test_readme_says_what_the_registrations_say() -> None:
    begin, end = "<!-- capabilities -->", "<!-- /capabilities -->"
    (shown,) = re.findall(f"{begin}\n(.*?)\n{end}", README.read_text(encoding="utf-8"), re.DOTALL)
    assert shown.strip() == table().strip(), "copy the output of psflow.systems.registry.table() into README.md"

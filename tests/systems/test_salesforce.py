"""Salesforce as our CRM, over HTTP against its sandbox."""

from __future__ import annotations

import datetime as dt
import json
import time
import traceback
from decimal import Decimal
from typing import Any

import pytest

from psflow.contracts import VendorProfile
from psflow.errors import ConfigurationError, Rejected, TransientError, Unauthorized, UncertainOutcome
from psflow.systems.salesforce.client import Salesforce
from psflow.systems.salesforce.soql import soql_datetime, soql_id
from psflow.systems.transport import Transport
from tests.effects import open_effect

PROFILE = VendorProfile(lookup="unique_external_id", deadline_s=2, late_landing_s=1, search_lag_s=0, lease_s=10)
SAME_INSTANT = "2026-11-01T08:15:30.000+0000"
WON = "006000000000001AAA"


def opportunity(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "Id": f"006{number:012d}",
        "Name": f"Deal {number}",
        "AccountId": "001000000000001AAA",
        "IsWon": True,
        "IsClosed": True,
        "Amount": 125000.55,
        "SystemModstamp": SAME_INSTANT,
    } | fields


@pytest.fixture
def crm(salesforce_sandbox: Any) -> Salesforce:
    return client(salesforce_sandbox)


def client(sandbox: Any, secret: str = "swordfish", deadline_s: float = 2) -> Salesforce:
    return Salesforce(Transport("salesforce", sandbox.url, deadline_s), PROFILE, client_id="app", client_secret=secret)


def update(**payload: Any) -> Any:
    wanted = {"opportunity_id": WON, "engagement_id": "E-1", "project_code": "P-1"} | payload
    return open_effect(key="k-1", system="salesforce", capability="update_opportunity", payload=wanted)


def deals(crm: Salesforce, since: dt.datetime | None = None) -> list[Any]:
    return [row.record for page in crm.opportunities(since) for row in page.rows]


def test_pages_end_and_lose_nothing_at_equal_time_stamps(salesforce_sandbox: Any, crm: Salesforce) -> None:
    salesforce_sandbox.load({"Opportunity": [opportunity(n) for n in range(1, 24)]}, page_size=5)
    pages = list(crm.opportunities(None))
    assert [len(page.rows) for page in pages] == [5, 5, 5, 5, 3]
    assert len({row.record_id for page in pages for row in page.rows}) == 23


def test_the_same_since_gives_the_same_records(salesforce_sandbox: Any, crm: Salesforce) -> None:
    old = opportunity(1, SystemModstamp="2026-10-01T00:00:00Z")
    salesforce_sandbox.load({"Opportunity": [old, opportunity(2), opportunity(3)]})
    since = dt.datetime.fromisoformat(SAME_INSTANT)
    first, again = deals(crm, since), deals(crm, since)
    assert [d.name for d in first] == ["Deal 2", "Deal 3"]
    assert first == again


def test_rows_that_change_while_we_read_are_neither_lost_nor_doubled(salesforce_sandbox: Any, crm: Salesforce) -> None:
    salesforce_sandbox.load({"Opportunity": [opportunity(n) for n in range(1, 7)]}, page_size=2)
    reading = crm.opportunities(None)
    seen = [row.record.name for row in next(reading).rows]
    salesforce_sandbox.load({"Opportunity": [opportunity(1, SystemModstamp="2026-12-01T00:00:00Z")]})
    seen += [row.record.name for page in reading for row in page.rows]
    assert seen == [f"Deal {n}" for n in range(1, 7)]


def test_money_keeps_its_cents(salesforce_sandbox: Any, crm: Salesforce) -> None:
    line = {"Id": "00k000000000001", "OpportunityId": WON, "Quantity": 3, "UnitPrice": 1250.1}
    salesforce_sandbox.load({"Opportunity": [opportunity(1)], "OpportunityLineItem": [line]})
    (deal,) = deals(crm)
    assert deal.amount == Decimal("125000.55")
    assert deal.lines[0].unit_price == Decimal("1250.1")


def test_lines_that_page_on_their_own_are_all_read(salesforce_sandbox: Any, crm: Salesforce) -> None:
    lines = [{"Id": f"00k{n:012d}", "OpportunityId": WON, "Quantity": n, "UnitPrice": 1} for n in range(1, 8)]
    records = {"Opportunity": [opportunity(1), opportunity(2)], "OpportunityLineItem": lines}
    salesforce_sandbox.load(records, child_page_size=3)
    won, other = deals(crm)
    assert sorted(line.quantity for line in won.lines) == list(range(1, 8))
    assert other.lines == ()  # the vendor says null there


def test_the_fields_of_a_deal_arrive_and_the_payload_is_as_received(salesforce_sandbox: Any, crm: Salesforce) -> None:
    custom = {"Legal_Entity__c": "Meridian US", "Rate_Card__c": "Standard", "Contract_Type__c": "Time and Materials"}
    custom |= {"Start_Date__c": "2026-11-02", "CurrencyIsoCode": "EUR"}
    salesforce_sandbox.load({"Opportunity": [opportunity(1, **custom)]})
    (((row,), _),) = crm.opportunities(None)
    deal, payload = row.record, row.payload
    assert (deal.legal_entity_value, deal.rate_card_name, deal.currency) == ("Meridian US", "Standard", "EUR")
    assert (deal.starts_on, deal.ends_on) == (dt.date(2026, 11, 2), None)
    assert deal.modified_at == row.modified_at == dt.datetime.fromisoformat(SAME_INSTANT)
    assert json.loads(payload)["attributes"]["type"] == "Opportunity"


def test_a_deal_says_how_it_is_taxed_where_it_is_delivered_and_whom_it_needs(
    salesforce_sandbox: Any, crm: Salesforce
) -> None:
    terms = {"Tax_Treatment__c": "US services", "Delivery_Region__c": "North America"}
    line = {"Id": "00k000000000001", "OpportunityId": WON, "Quantity": 100, "UnitPrice": 180.5}
    need = {"Role__c": "Architect", "Skills__c": "airflow;sql", "Hours_Per_Day__c": 7.5}
    need |= {"ServiceDate": "2026-11-02", "End_Date__c": "2026-12-18"}
    lines = [line | need, line | {"Id": "00k000000000002"}]
    salesforce_sandbox.load({"Opportunity": [opportunity(1, **terms)], "OpportunityLineItem": lines})
    (deal,) = deals(crm)
    assert (deal.tax_treatment, deal.delivery_region) == ("US services", "North America")
    wanted, silent = deal.lines
    assert (wanted.role, wanted.skills, wanted.hours_per_day) == ("Architect", ("airflow", "sql"), Decimal("7.5"))
    assert (wanted.starts_on, wanted.ends_on) == (dt.date(2026, 11, 2), dt.date(2026, 12, 18))
    assert (silent.role, silent.skills, silent.hours_per_day, silent.ends_on) == (None, (), None, None)


def test_a_customer_is_named_by_its_account_number_or_else_its_id(salesforce_sandbox: Any, crm: Salesforce) -> None:
    accounts = [
        {"Id": "001000000000001", "Name": "Acme", "AccountNumber": "77"},
        {"Id": "001000000000002", "Name": "B"},
    ]
    salesforce_sandbox.load({"Account": accounts})
    (((acme, other), _),) = crm.customers(None)
    assert acme.record_id == "001000000000001AAA"
    assert acme.record.customer_id == "C-77"
    assert other.record.customer_id == "C-001000000000002AAA"


def test_a_single_currency_org_is_read_without_the_currency_field(salesforce_sandbox: Any, crm: Salesforce) -> None:
    salesforce_sandbox.load({"Opportunity": [opportunity(1)]}, multi_currency=False)
    with pytest.raises(Rejected, match="INVALID_FIELD"):
        deals(crm)
    crm.org_currency = "USD"
    assert [d.currency for d in deals(crm)] == ["USD"]


def test_a_deal_without_its_account_names_itself_and_the_rest_goes_on(salesforce_sandbox: Any, crm: Salesforce) -> None:
    salesforce_sandbox.load({"Opportunity": [opportunity(1, AccountId=None), opportunity(2)]})
    ((rows, (bad,)),) = crm.opportunities(None)
    assert [row.record.name for row in rows] == ["Deal 2"]
    assert bad.record_id == WON and f"{WON}: account_id" in bad.problem and json.loads(bad.payload)["Name"] == "Deal 1"


def test_an_expired_token_is_renewed_once(salesforce_sandbox: Any, crm: Salesforce) -> None:
    salesforce_sandbox.load({"Opportunity": [opportunity(n) for n in range(1, 7)]}, page_size=2, token_calls=2)
    assert len(deals(crm)) == 6
    salesforce_sandbox.load(token_calls=0)  # every new token is dead at birth: no loop
    with pytest.raises(Unauthorized, match="401.*even after a fresh sign-in"):
        deals(client(salesforce_sandbox))


def test_a_token_answer_naming_another_host_is_refused(salesforce_sandbox: Any, crm: Salesforce) -> None:
    salesforce_sandbox.load(instance_url="https://evil.example.com")
    with pytest.raises(ConfigurationError, match="evil.example.com"):
        deals(crm)


@pytest.mark.parametrize(
    "named",
    [
        "https://127.0.0.1.evil.example.com", "http://127.0.0.1@evil.example.com", "//evil.example.com", "file:///etc",
        "http://127.0.0.1", "http://127.0.0.1:80", "http://[::1]:80", "http://169.254.169.254", "gopher://127.0.0.1",
        "",
    ],
)  # fmt: skip
def test_a_token_is_carried_to_the_configured_host_and_nowhere_else(
    salesforce_sandbox: Any, crm: Salesforce, named: str
) -> None:
    """A13: other host, port, scheme or user part; the allow-list is the one host of the connection."""
    salesforce_sandbox.load(instance_url=named)
    with pytest.raises(Unauthorized, match="set the connection's host"):
        deals(crm)
    assert salesforce_sandbox.state()["reads"] == 0


def test_secrets_never_reach_an_error_message(salesforce_sandbox: Any) -> None:
    crm = client(salesforce_sandbox, secret="hunter2")
    with pytest.raises(ConfigurationError, match="invalid_client") as caught:
        deals(crm)
    shown = "".join(traceback.format_exception(caught.value)) + repr(crm)
    assert "hunter2" not in shown
    good = client(salesforce_sandbox)
    deals(good)
    assert good._token._value
    assert good._token._value not in repr(good)


def test_an_update_is_found_again_and_may_be_repeated(salesforce_sandbox: Any, crm: Salesforce) -> None:
    salesforce_sandbox.load({"Opportunity": [opportunity(1)]})
    assert crm.find(update()) is None
    assert crm.perform(update()) == crm.perform(update()) == WON
    assert crm.find(update()) == WON
    assert crm.find(update(project_code="P-2")) is None
    assert salesforce_sandbox.state()["writes"] == 2


def test_a_time_out_after_commit_is_unknown_and_then_found(salesforce_sandbox: Any) -> None:
    crm = client(salesforce_sandbox, deadline_s=0.5)
    salesforce_sandbox.load({"Opportunity": [opportunity(1)]}, hang_s=1.5)
    salesforce_sandbox.arm("PATCH /services/data", "timeout_after_commit")
    with pytest.raises(UncertainOutcome):
        crm.perform(update())
    assert crm.find(update()) == WON


@pytest.mark.parametrize(
    ("fault", "error"),
    [("throttle", TransientError), ("e503_before", UncertainOutcome), ("e500_after", UncertainOutcome)],
)
def test_a_refused_write_says_what_may_happen_next(
    salesforce_sandbox: Any, crm: Salesforce, fault: str, error: type[Exception]
) -> None:
    salesforce_sandbox.load({"Opportunity": [opportunity(1)]})
    salesforce_sandbox.arm("PATCH /services/data", fault)
    with pytest.raises(error):
        crm.perform(update())


def test_a_deal_somebody_has_open_was_not_changed_though_the_call_answers_200(
    salesforce_sandbox: Any, crm: Salesforce
) -> None:
    salesforce_sandbox.load({"Opportunity": [opportunity(1)]})
    salesforce_sandbox.arm("PATCH /services/data", "partial_success")
    with pytest.raises(TransientError, match="UNABLE_TO_LOCK_ROW"):
        crm.perform(update())
    assert crm.find(update()) is None
    assert crm.perform(update()) == WON


def test_a_write_with_an_expired_token_was_not_applied_and_goes_once_more_with_a_new_one(
    salesforce_sandbox: Any, crm: Salesforce
) -> None:
    salesforce_sandbox.load({"Opportunity": [opportunity(1)]}, token_calls=1)
    deals(crm)
    assert crm.perform(update()) == WON
    assert salesforce_sandbox.state()["writes"] == 1


def test_a_token_that_died_before_its_first_use_costs_a_read_a_new_one(
    salesforce_sandbox: Any, crm: Salesforce
) -> None:
    salesforce_sandbox.arm("GET /services/data", "expired_token")
    assert deals(crm) == []


def test_a_missing_deal_is_rejected_with_the_vendors_code(crm: Salesforce) -> None:
    with pytest.raises(Rejected) as caught:
        crm.perform(update())
    assert caught.value.code == "NOT_FOUND"


def test_an_old_ticket_is_not_sent(salesforce_sandbox: Any, crm: Salesforce) -> None:
    effect = open_effect(
        system="salesforce", capability="update_opportunity", payload=update().payload, send_before=time.monotonic() - 1
    )
    with pytest.raises(TransientError, match="nothing was sent"):
        crm.perform(effect)
    assert salesforce_sandbox.state()["writes"] == 0


def test_an_unknown_capability_is_a_configuration_error(crm: Salesforce) -> None:
    with pytest.raises(ConfigurationError, match="update_opportunity"):
        crm.perform(open_effect(system="salesforce", capability="create_project"))


def test_data_cannot_become_part_of_a_statement() -> None:
    with pytest.raises(ValueError, match="not a Salesforce record id"):
        soql_id("x' OR Name != '")
    with pytest.raises(ValueError, match="time zone"):
        soql_datetime(dt.datetime(2026, 11, 1))
    zone = dt.timezone(dt.timedelta(hours=2))
    assert soql_datetime(dt.datetime(2026, 11, 1, 1, tzinfo=zone)) == "2026-10-31T23:00:00.000Z"


def test_a_record_has_a_page(crm: Salesforce) -> None:
    assert crm.url("opportunity", WON).endswith(f"/lightning/r/Opportunity/{WON}/view")


def test_a_sign_in_that_is_put_off_is_tried_again_and_is_no_wrong_login(
    salesforce_sandbox: Any, crm: Salesforce
) -> None:
    salesforce_sandbox.arm("POST /services/oauth2/token", "throttle", 3)
    assert list(crm.customers(None)) is not None
    salesforce_sandbox.arm("POST /services/oauth2/token", "throttle", 4)
    with pytest.raises(TransientError, match="REQUEST_LIMIT_EXCEEDED"):
        client(salesforce_sandbox).perform(update())

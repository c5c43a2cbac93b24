"""A client that is not ours, simple-salesforce, gets from the sandbox what it would get from Salesforce."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceGeneralError,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceRefusedRequest,
    SalesforceResourceNotFound,
)

WON = "006000000000001AAA"
DEAL = {"Id": WON, "Name": "Rollout", "AccountId": "001000000000001AAA", "IsWon": True, "IsClosed": True}


class _ToSandbox(HTTPAdapter):
    """The client insists on https://<domain>.salesforce.com: its requests go to the sandbox instead."""

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        request.url = self.url + request.path_url
        return super().send(request, *args, **kwargs)


def session(sandbox: Any) -> requests.Session:
    made = requests.Session()
    made.mount("https://", _ToSandbox(sandbox.url))
    return made


def sign_in(sandbox: Any, secret: str = "swordfish") -> Salesforce:
    key = {"consumer_key": "app", "consumer_secret": secret}
    return Salesforce(**key, domain="meridian.my", session=session(sandbox), version="62.0")


@pytest.fixture
def org(salesforce_sandbox: Any) -> Salesforce:
    return sign_in(salesforce_sandbox)


def test_it_signs_in_by_client_credentials_and_is_refused_with_a_wrong_secret(salesforce_sandbox: Any) -> None:
    assert sign_in(salesforce_sandbox).auth_type == "client-credentials"
    with pytest.raises(SalesforceAuthenticationFailed, match="invalid_client"):
        sign_in(salesforce_sandbox, secret="wrong")


def test_it_works_with_a_session_it_was_given_until_that_expires(salesforce_sandbox: Any, org: Salesforce) -> None:
    given = Salesforce(
        session_id=org.session_id, instance_url="https://meridian.my.salesforce.com",
        session=session(salesforce_sandbox), version="62.0",
    )  # fmt: skip
    assert given.query("SELECT Id FROM Account")["totalSize"] == 0
    assert given.api_usage["api-usage"].total == 100000
    salesforce_sandbox.arm("GET /services/data", "expired_token")
    with pytest.raises(SalesforceExpiredSession, match="INVALID_SESSION_ID"):
        given.query("SELECT Id FROM Account")


def test_it_renews_a_session_that_expired(salesforce_sandbox: Any, org: Salesforce) -> None:
    salesforce_sandbox.arm("GET /services/data", "expired_token")
    assert org.query("SELECT Id FROM Account")["done"] is True
    assert salesforce_sandbox.state()["faults"] == {"expired_token": 1}


def test_it_reads_all_pages_of_a_query(salesforce_sandbox: Any, org: Salesforce) -> None:
    rows = [{"Id": f"001{n:012d}", "Name": f"A{n}"} for n in range(1, 24)]
    salesforce_sandbox.load(
        {"Account": [*rows, {"Id": f"001{99:012d}", "Name": "Gone", "IsDeleted": True}]}, page_size=5
    )
    statement = "SELECT Id, Name FROM Account ORDER BY SystemModstamp, Id"
    assert len(org.query(statement)["records"]) == 5
    assert len(org.query_all(statement)["records"]) == 23
    assert len(list(org.query_all_iter(statement, include_deleted=True))) == 24


def test_it_creates_reads_changes_and_deletes_a_record(org: Salesforce) -> None:
    made = org.Account.create({"Name": "Acme", "BillingCity": "Boston"})
    assert made["success"] is True and len(made["id"]) == 18
    assert org.Account.get(made["id"])["BillingCity"] == "Boston"
    assert org.Account.update(made["id"], {"Name": "Acme Inc"}) == 204
    assert org.query("SELECT Name FROM Account")["records"][0]["Name"] == "Acme Inc"
    assert org.Account.delete(made["id"]) == 204
    assert org.query("SELECT Id FROM Account")["totalSize"] == 0
    with pytest.raises(SalesforceResourceNotFound, match="ENTITY_IS_DELETED"):
        org.Account.delete(made["id"])


def test_it_upserts_by_an_external_id(org: Salesforce) -> None:
    assert org.Account.upsert("Customer_Key__c/K-1", {"Name": "Acme"}) == 201
    assert org.Account.upsert("Customer_Key__c/K-1", {"Name": "Acme Inc"}) == 200
    assert [r["Name"] for r in org.query("SELECT Name FROM Account")["records"]] == ["Acme Inc"]


@pytest.mark.parametrize(
    ("ask", "error", "code"),
    [
        (lambda org: org.query("SELECT Nope FROM Account"), SalesforceMalformedRequest, "INVALID_FIELD"),
        (lambda org: org.query("SELEKT Id"), SalesforceMalformedRequest, "MALFORMED_QUERY"),
        (lambda org: org.query("SELECT Id FROM Nope"), SalesforceMalformedRequest, "INVALID_TYPE"),
        (lambda org: org.Account.create({"BillingCity": "X"}), SalesforceMalformedRequest, "REQUIRED_FIELD_MISSING"),
        (lambda org: org.Account.get("001000000000404AAA"), SalesforceResourceNotFound, "NOT_FOUND"),
    ],
)
def test_it_sees_the_errors_it_knows(org: Salesforce, ask: Any, error: type[Exception], code: str) -> None:
    with pytest.raises(error, match=code):
        ask(org)


def test_a_throttle_is_a_refused_request_and_a_breakdown_a_general_error(
    salesforce_sandbox: Any, org: Salesforce
) -> None:
    salesforce_sandbox.arm("GET /services/data", "throttle")
    with pytest.raises(SalesforceRefusedRequest, match="REQUEST_LIMIT_EXCEEDED"):
        org.query("SELECT Id FROM Account")
    salesforce_sandbox.arm("GET /services/data", "error_before")
    with pytest.raises(SalesforceGeneralError) as caught:
        org.query("SELECT Id FROM Account")
    assert caught.value.status == 503


# -- the traps of this vendor


def collection(*records: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"records": [{"attributes": {"type": "Account"}} | r for r in records]} | more


def test_trap_a_collection_answers_200_though_a_record_failed(salesforce_sandbox: Any, org: Salesforce) -> None:
    body = collection({"Name": "Good"}, {"Name": "Bad", "Nope": 1})
    good, bad = org.restful("composite/sobjects", method="POST", json=body)
    assert (good["success"], good["errors"], len(good["id"])) == (True, [], 18)
    assert (bad["success"], bad["errors"][0]["statusCode"], bad["errors"][0]["fields"]) == (
        False,
        "INVALID_FIELD",
        ["Nope"],
    )
    assert org.query("SELECT Id FROM Account")["totalSize"] == 1
    keys = [{"Customer_Key__c": f"K-{n}", "Name": f"A{n}"} for n in (1, 2)]
    salesforce_sandbox.arm("PATCH /services/data/v62.0/composite", "partial_success")
    path = "composite/sobjects/Account/Customer_Key__c"
    first = org.restful(path, method="PATCH", json=collection(*keys))
    assert [(r["success"], r.get("created")) for r in first] == [(True, True), (False, None)]
    assert first[1]["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW"
    again = org.restful(path, method="PATCH", json=collection(*keys))
    assert [(r["success"], r["created"]) for r in again] == [(True, False), (True, True)]


def test_a_collection_changes_records_by_id_and_wants_the_external_id_it_upserts_by(org: Salesforce) -> None:
    made = org.Account.create({"Name": "Acme"})["id"]
    changes = collection({"id": made, "Name": "Acme Inc"}, {"id": "001000000000404AAA", "Name": "Nobody"})
    done = org.restful("composite/sobjects", method="PATCH", json=changes)
    assert [(r["success"], [e["statusCode"] for e in r["errors"]]) for r in done] == [
        (True, []),
        (False, ["NOT_FOUND"]),
    ]
    assert org.Account.get(made)["Name"] == "Acme Inc"
    (refused,) = org.restful(
        "composite/sobjects/Account/Customer_Key__c", method="PATCH", json=collection({"Name": "Keyless"})
    )
    assert refused["errors"][0]["statusCode"] == "MISSING_ARGUMENT"


def test_trap_all_or_none_rolls_the_good_ones_back(org: Salesforce) -> None:
    body = collection({"Name": "Good"}, {"Name": "Bad", "Nope": 1}, allOrNone=True)
    codes = [r["errors"][0]["statusCode"] for r in org.restful("composite/sobjects", method="POST", json=body)]
    assert codes == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "INVALID_FIELD"]
    assert org.query("SELECT Id FROM Account")["totalSize"] == 0


def test_trap_an_external_id_that_two_records_carry_is_a_300(salesforce_sandbox: Any, org: Salesforce) -> None:
    twins = [{"Id": f"00100000000000{n}AAA", "Name": "Twin", "Customer_Key__c": "K-1"} for n in (1, 2)]
    salesforce_sandbox.load({"Account": twins})
    with pytest.raises(SalesforceMoreThanOneRecord) as caught:
        org.Account.upsert("Customer_Key__c/K-1", {"Name": "Which?"})
    assert caught.value.status == 300
    assert len(caught.value.content) == 2


def test_trap_a_deal_without_lines_has_null_and_no_empty_list(salesforce_sandbox: Any, org: Salesforce) -> None:
    salesforce_sandbox.load({"Opportunity": [DEAL]})
    (deal,) = org.query("SELECT Id, (SELECT Id FROM OpportunityLineItems) FROM Opportunity")["records"]
    assert deal["OpportunityLineItems"] is None


def test_trap_an_org_with_one_currency_has_no_currency_field(salesforce_sandbox: Any, org: Salesforce) -> None:
    salesforce_sandbox.load({"Opportunity": [DEAL]}, multi_currency=False)
    with pytest.raises(SalesforceMalformedRequest, match="No such column 'CurrencyIsoCode'"):
        org.query("SELECT CurrencyIsoCode FROM Opportunity")


def test_trap_a_token_answer_tells_no_life_time(salesforce_sandbox: Any) -> None:
    form = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "swordfish"}
    answer = requests.post(f"{salesforce_sandbox.url}/services/oauth2/token", data=form, timeout=5).json()
    assert "expires_in" not in answer

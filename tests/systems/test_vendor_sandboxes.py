"""The sandboxes refuse what the vendors refuse, and remember what a killed server had answered."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import requests

from psflow.sandbox.vendors import VENDORS, Vendors
from psflow.systems.salesforce.sandbox_query import id18
from psflow.systems.salesforce.soql import MalformedQuery, parse

SOBJECTS = "/services/data/v62.0"


def sign_in(sandbox: Any, **form: str) -> requests.Response:
    form = {"grant_type": "client_credentials", "client_id": "app", "client_secret": "swordfish"} | form
    return requests.post(f"{sandbox.url}/services/oauth2/token", data=form, timeout=5)


def salesforce(sandbox: Any, verb: str, path: str, **request: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {sign_in(sandbox).json()['access_token']}"} | request.pop("headers", {})
    return requests.request(verb, sandbox.url + SOBJECTS + path, headers=headers, timeout=5, **request)


def kantata(sandbox: Any, verb: str, path: str, bearer: str = "swordfish", **request: Any) -> requests.Response:
    headers = {"Authorization": f"Bearer {bearer}"}
    return requests.request(verb, f"{sandbox.url}/api/v1/{path}", headers=headers, timeout=5, **request)


@pytest.mark.parametrize(
    ("form", "word"),
    [
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"client_id": "x"}, "invalid_client_id"),
        ({"client_secret": "x"}, "invalid_client"),
    ],
)
def test_salesforce_refuses_a_wrong_sign_in(salesforce_sandbox: Any, form: dict[str, str], word: str) -> None:
    answer = sign_in(salesforce_sandbox, **form)
    assert (answer.status_code, answer.json()["error"]) == (400, word)


def test_a_token_answer_tells_no_life_time(salesforce_sandbox: Any) -> None:
    assert "expires_in" not in sign_in(salesforce_sandbox).json()


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT Id, Nope__c FROM Opportunity", "INVALID_FIELD"),
        ("SELECT Id FROM Invoice__c", "INVALID_TYPE"),
        ("SELECT Id FROM Opportunity WHERE Name LIKE 'A%'", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity WHERE IsWon = true OR IsClosed = true", "MALFORMED_QUERY"),
        ("SELECT Id FROM Opportunity ORDER BY Amount", "MALFORMED_QUERY"),
        ("SELECT COUNT() FROM Opportunity", "MALFORMED_QUERY"),
        ("SELECT Id, (SELECT Id FROM Nobody) FROM Opportunity", "INVALID_TYPE"),
        ("SELECT Id FROM Opportunity WHERE Name = 'x'; DROP TABLE record", "MALFORMED_QUERY"),
    ],
)
def test_salesforce_refuses_what_it_does_not_speak(salesforce_sandbox: Any, statement: str, code: str) -> None:
    answer = salesforce(salesforce_sandbox, "GET", "/query", params={"q": statement})
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)


def test_salesforce_reads_conditions_and_limits(salesforce_sandbox: Any) -> None:
    rows = [{"Id": f"006{n:012d}", "Name": f"O'Neil {n}", "IsWon": n % 2 == 0} for n in range(1, 7)]
    salesforce_sandbox.load({"Opportunity": rows})
    where = "IsWon = true AND Id IN ('006000000000002AAA', '006000000000003', '006000000000004')"
    for condition, found in [(where, 2), (r"Name = 'O\'Neil 3'", 1), ("IsWon != true", 3), ("Amount = null", 6)]:
        page = salesforce(
            salesforce_sandbox, "GET", "/query", params={"q": f"SELECT Id FROM Opportunity WHERE {condition}"}
        )
        assert page.json()["totalSize"] == found, condition
    page = salesforce(salesforce_sandbox, "GET", "/query", params={"q": "SELECT Id FROM Opportunity LIMIT 4"})
    assert page.json()["totalSize"] == 4


def test_salesforce_hides_deleted_rows_but_from_query_all(salesforce_sandbox: Any) -> None:
    salesforce_sandbox.load({"Account": [{"Id": "001000000000001", "Name": "Gone", "IsDeleted": True}]})
    asked = {"q": "SELECT Id, IsDeleted FROM Account"}
    assert salesforce(salesforce_sandbox, "GET", "/query", params=asked).json()["records"] == []
    assert len(salesforce(salesforce_sandbox, "GET", "/queryAll", params=asked).json()["records"]) == 1


def test_salesforce_upserts_by_external_id_and_says_300_when_two_match(salesforce_sandbox: Any) -> None:
    path = "/sobjects/Account/Customer_Key__c/K-1"
    made = salesforce(salesforce_sandbox, "PATCH", path, json={"Name": "Acme"})
    again = salesforce(salesforce_sandbox, "PATCH", path, json={"Name": "Acme Inc"})
    assert (made.status_code, again.status_code) == (201, 200)
    assert made.json()["id"] == again.json()["id"]
    salesforce_sandbox.load({"Account": [{"Id": "001000000000009", "Name": "Twin", "Customer_Key__c": "K-1"}]})
    twins = salesforce(salesforce_sandbox, "PATCH", path, json={"Name": "?"})
    assert (twins.status_code, len(twins.json())) == (300, 2)
    unknown = salesforce(salesforce_sandbox, "PATCH", path.replace("K-1", "K-9") + "?updateOnly=true", json={})
    assert unknown.status_code == 404


def test_salesforce_refuses_an_unknown_field_in_an_update(salesforce_sandbox: Any) -> None:
    salesforce_sandbox.load({"Account": [{"Id": "001000000000001", "Name": "Acme"}]})
    answer = salesforce(salesforce_sandbox, "PATCH", "/sobjects/Account/001000000000001AAA", json={"Nope": 1})
    assert (answer.status_code, answer.json()[0]["fields"]) == (400, ["Nope"])


def test_salesforce_tells_its_limits_and_throttles_with_403(salesforce_sandbox: Any) -> None:
    salesforce_sandbox.arm("GET /services/data/v62.0/query", "throttle")
    answer = salesforce(salesforce_sandbox, "GET", "/query", params={"q": "SELECT Id FROM Account"})
    assert (answer.status_code, answer.json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")
    assert answer.headers["Sforce-Limit-Info"].startswith("api-usage=")


def test_an_old_cursor_is_dropped(salesforce_sandbox: Any) -> None:
    salesforce_sandbox.load({"Account": [{"Id": f"001{n:012d}", "Name": "A"} for n in range(1, 4)]}, page_size=1)
    first = [
        salesforce(salesforce_sandbox, "GET", "/query", params={"q": "SELECT Id FROM Account"}).json()["nextRecordsUrl"]
        for _ in range(11)
    ]
    gone = salesforce(salesforce_sandbox, "GET", first[0].removeprefix(SOBJECTS))
    assert gone.json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_ids_of_15_and_18_characters_are_one() -> None:
    assert id18("001000000000001") == id18("001000000000001AAA") == "001000000000001AAA"
    assert id18("0012000000abcDE") != id18("0012000000abcde")


@pytest.mark.parametrize(
    "statement", ["", "SELECT", "SELECT Id FROM", "SELECT Id FROM A WHERE", "SELECT Id FROM A LIMIT x", "ü"]
)
def test_half_a_statement_is_malformed(statement: str) -> None:
    with pytest.raises(MalformedQuery):
        parse(statement)


@pytest.mark.parametrize(
    ("workspace", "field"),
    [
        ({"creator_role": "maven"}, "title"),
        ({"title": "T"}, "creator_role"),
        ({"title": "T", "creator_role": "x"}, "creator_role"),
    ],
)
def test_kantata_refuses_a_missing_title_or_creator_role(
    kantata_sandbox: Any, workspace: dict[str, str], field: str
) -> None:
    answer = kantata(kantata_sandbox, "POST", "workspaces", json={"workspace": workspace})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_kantata_wants_its_wrapper_and_drops_unknown_attributes(kantata_sandbox: Any) -> None:
    assert kantata(kantata_sandbox, "POST", "workspaces", json={"title": "T"}).status_code == 400
    body = {"workspace": {"title": "T", "creator_role": "maven", "archived": True, "nope": 1}}
    answer = kantata(kantata_sandbox, "POST", "workspaces", json=body).json()
    made = answer["workspaces"][answer["results"][0]["id"]]
    assert "nope" not in made
    assert made["archived"] is False


def test_kantata_hides_an_archived_workspace_even_from_its_own_address(kantata_sandbox: Any) -> None:
    kantata_sandbox.load({"workspaces": [{"id": "1", "title": "Old", "archived": True}, {"id": "2", "title": "New"}]})
    assert kantata(kantata_sandbox, "GET", "workspaces/1").status_code == 404
    for asked, count in [("", 1), ("?include_archived=true", 2), ("?archived=only", 1), ("?only=1", 0)]:
        assert kantata(kantata_sandbox, "GET", f"workspaces{asked}").json()["count"] == count, asked


def test_kantata_pages_both_ways_and_caps_at_200(kantata_sandbox: Any) -> None:
    kantata_sandbox.load({"users": [{"id": str(n), "full_name": "X"} for n in range(1, 206)]})
    assert kantata(kantata_sandbox, "GET", "users").json()["meta"]["page_size"] == 20
    assert len(kantata(kantata_sandbox, "GET", "users?per_page=999").json()["results"]) == 200
    assert len(kantata(kantata_sandbox, "GET", "users?per_page=200&page=2").json()["results"]) == 5
    assert kantata(kantata_sandbox, "GET", "users?limit=2&offset=3").json()["results"][0]["id"] == "4"


def test_kantata_shows_some_foreign_keys_only_when_included(kantata_sandbox: Any) -> None:
    kantata_sandbox.load(
        {
            "roles": [{"id": "2", "name": "Consultant"}],
            "rate_card_roles": [{"id": "31", "rate_card_version_id": "21", "role_id": "2", "rate": 1}],
        }
    )
    assert kantata(kantata_sandbox, "GET", "rate_card_roles").json()["rate_card_roles"]["31"] == {"id": "31", "rate": 1}
    both = kantata(kantata_sandbox, "GET", "rate_card_roles?include=role").json()
    assert both["roles"]["2"]["name"] == "Consultant"
    assert both["rate_card_roles"]["31"]["role_id"] == "2"


def test_kantata_tags_a_record_once_a_service(kantata_sandbox: Any) -> None:
    kantata_sandbox.load({"workspaces": [{"id": "1", "title": "T"}]})
    tag = {"subject_type": "Workspace", "subject_id": 1, "service_name": "psflow", "service_model": "Engagement"}
    for ref in ("a", "b"):
        body = {"external_reference": tag | {"service_model_ref": ref}}
        assert kantata(kantata_sandbox, "POST", "external_references/create_or_update", json=body).status_code == 200
    assert kantata(kantata_sandbox, "GET", "external_references").status_code == 400
    assert kantata(kantata_sandbox, "GET", "external_references?subject_type=Workspace").json()["count"] == 1


def test_kantata_refuses_an_unknown_bearer_and_throttles_without_a_hint(kantata_sandbox: Any) -> None:
    assert kantata(kantata_sandbox, "GET", "users", bearer="x").status_code == 401
    kantata_sandbox.arm("GET /api/v1/users", "throttle")
    answer = kantata(kantata_sandbox, "GET", "users")
    assert (answer.status_code, "Retry-After" in answer.headers) == (429, False)
    assert answer.headers["x-request-id"]


def test_control_needs_its_token_and_refuses_a_record_out_of_shape(kantata_sandbox: Any) -> None:
    assert requests.get(f"{kantata_sandbox.url}/_sandbox/state", timeout=5).status_code == 403
    with pytest.raises(requests.HTTPError):
        kantata_sandbox.load({"workspaces": [{"id": "1", "title": "good"}, {"id": "x"}]})
    assert kantata_sandbox.state()["records"] == {}


def test_reset_forgets_records_and_keeps_the_credentials(kantata_sandbox: Any) -> None:
    kantata_sandbox.load({"workspaces": [{"id": "1", "title": "T"}]})
    kantata_sandbox.control("reset")
    assert kantata(kantata_sandbox, "GET", "workspaces").json()["count"] == 0


def test_a_killed_sandbox_comes_back_with_its_records_at_the_same_address(tmp_path: Path) -> None:
    vendors = Vendors(tmp_path)
    vendors.start()
    try:
        body = {"workspace": {"title": "T", "creator_role": "maven"}}
        headers = {"Authorization": f"Bearer {vendors.credentials.bearer}"}
        address = f"{vendors.kantata_url}/api/v1/workspaces"
        assert requests.post(address, json=body, headers=headers, timeout=5).status_code == 201
        assert {path.stat().st_mode & 0o077 for path in tmp_path.glob("*.sqlite*")} == {0}  # logins are in there
        vendors.signal("kantata", signal.SIGKILL)
        again = Vendors(tmp_path)
        again.start()
        assert requests.get(address, headers=headers, timeout=5).json()["count"] == 1
        assert again.state("kantata")["writes"] == 1
    finally:
        vendors.stop()
    with pytest.raises(requests.ConnectionError):
        requests.get(vendors.kantata_url, timeout=5)


def test_a_folder_from_before_a_vendor_came_keeps_what_it_has_and_gets_the_rest(tmp_path: Path) -> None:
    older = {"credentials": {"bearer": "kept"}, "ports": {"kantata": 40001}}
    (tmp_path / "vendors.json").write_text(json.dumps(older))
    first, second = Vendors(tmp_path), Vendors(tmp_path)
    assert (first.credentials.bearer, first.ports["kantata"]) == ("kept", 40001)
    assert (first.credentials, first.ports) == (second.credentials, second.ports)
    assert set(first.ports) == set(VENDORS)

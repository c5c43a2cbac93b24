"""
The reading half of the Salesforce sandbox: its objects, how it writes values, SOQL answers and their cursors.

Objects and fields are those psflow meets (`*__c` are the firm's own); everything else is refused as the vendor does.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
import time
from typing import Any

from starlette.responses import JSONResponse, Response

from psflow.sandbox.vendor_app import Call, Row, Shelf
from psflow.systems.salesforce import soql


def _names(text: str) -> set[str]:
    return set(text.split())


VERSION = "v62.0"
ROOT = f"/services/data/{VERSION}"
STAMPS = ("CreatedDate", "LastModifiedDate", "SystemModstamp")
_COMMON = {"Id", "IsDeleted", "CurrencyIsoCode", *STAMPS}
FIELDS: dict[str, set[str]] = {
    "Account": _COMMON
    | _names("Name AccountNumber ParentId Type Industry Website OwnerId MasterRecordId Customer_Key__c VAT_Id__c")
    | _names("BillingStreet BillingCity BillingState BillingPostalCode BillingCountry"),
    "Opportunity": _COMMON
    | _names("Name AccountId StageName IsClosed IsWon Amount CloseDate Type OwnerId Probability")
    | _names("LastStageChangeDate Legal_Entity__c Rate_Card__c Contract_Type__c Start_Date__c End_Date__c")
    | _names("Engagement__c Project_Code__c Activation_Status__c Tax_Treatment__c Delivery_Region__c"),
    "OpportunityLineItem": _COMMON
    | _names("OpportunityId Product2Id ProductCode Name Quantity UnitPrice TotalPrice ServiceDate Description")
    | _names("Role__c Skills__c Hours_Per_Day__c End_Date__c"),
}
PREFIX = {"Account": "001", "Opportunity": "006", "OpportunityLineItem": "00k"}
EXTERNAL = {"Account": {"Customer_Key__c"}, "Opportunity": {"Engagement__c"}}
_CHILDREN = {("Opportunity", "OpportunityLineItems"): "OpportunityLineItem"}
_DOUBLES = {"Amount", "Quantity", "UnitPrice", "TotalPrice", "Probability", "Hours_Per_Day__c"}
READ_ONLY = {"Id", "IsDeleted", "IsWon", "IsClosed", *STAMPS}
_OPEN_CURSORS = 10  # the vendor drops the oldest beyond ten


def id18(value: str) -> str:
    """Return the 18-character form of a 15-character id: each of the last three tells the case of five."""
    if not re.fullmatch(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?", value):
        raise ValueError(f"{value!r} is not a record id of 15 or 18 characters")
    groups = [value[:15][at : at + 5] for at in (0, 5, 10)]
    bits = [sum(1 << i for i, c in enumerate(group) if c.isupper()) for group in groups]
    return value[:15] + "".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"[b] for b in bits)


def stamp_text(value: dt.datetime) -> str:
    """As the vendor writes it: no colon in the offset, always UTC, so it also sorts as text."""
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}+0000"


def row(kind: str, body: dict[str, Any]) -> Row:
    for name in STAMPS:
        body[name] = stamp_text(dt.datetime.fromisoformat(body[name]))
    for name in _DOUBLES & set(body):
        body[name] = None if body[name] is None else float(body[name])
    link = "OpportunityId" if kind == "OpportunityLineItem" else "Engagement__c"
    return Row(body["Id"], body["SystemModstamp"], body.get(link if kind != "Account" else "Customer_Key__c"), body)


def refused(status: int, code: str, message: str, fields: list[str] | None = None) -> Response:
    entry: dict[str, Any] = {"message": message, "errorCode": code}
    return JSONResponse([entry | ({"fields": fields} if fields is not None else {})], status)


def run(shelf: Shelf, call: Call) -> Response:
    try:
        query = soql.parse(call.query.get("q", ""))
    except soql.MalformedQuery as error:
        return refused(400, "MALFORMED_QUERY", str(error))
    if problem := _unknown(shelf, query, query.source):
        return problem
    where, values = _condition(query)
    if not call.path.rstrip("/").endswith("/queryAll"):
        where += " AND NOT json_extract(body, '$.IsDeleted')"
    tail = "ORDER BY stamp, length(id), id" if "SystemModstamp" in query.order else "ORDER BY id"
    ids = shelf.ids(query.source, where, values, f"{tail} LIMIT {-1 if query.limit is None else query.limit}")
    hint = re.search(r"batchSize=(\d+)", call.headers.get("sforce-query-options", ""))
    size = min(2000, max(200, int(hint.group(1)) if hint else 2000))
    plan = {"kind": query.source, "fields": query.fields, "child": _child_plan(query), "ids": ids, "at": 0}
    return JSONResponse(_page(shelf, plan | {"size": min(size, shelf.setting("page_size", 2000))}))


def more(shelf: Shelf, call: Call) -> Response:
    name, _, at = call.args["locator"].rpartition("-")
    plan = shelf.get("_cursor", name)
    if plan is None or not at.isdigit() or int(at) > len(plan["ids"]):
        return refused(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    return JSONResponse(_page(shelf, plan | {"at": int(at), "name": name}))


def _unknown(shelf: Shelf, query: soql.Query, kind: str) -> Response | None:
    """Return the refusal of an unknown object or field; a field of another kind of org looks the same."""
    if kind not in FIELDS:
        return refused(400, "INVALID_TYPE", f"sObject type '{kind}' is not supported.")
    known = FIELDS[kind] - (set() if shelf.setting("multi_currency", True) else {"CurrencyIsoCode"})
    for name in (*query.fields, *(c.field for c in query.where)):
        if name not in known:
            return refused(400, "INVALID_FIELD", f"No such column '{name}' on entity '{kind}'.")
    if query.child is None:
        return None
    if (kind, query.child.source) not in _CHILDREN or query.child.where or query.child.limit is not None:
        return refused(400, "INVALID_TYPE", f"Didn't understand relationship '{query.child.source}'.")
    return _unknown(shelf, query.child, _CHILDREN[kind, query.child.source])


def _condition(query: soql.Query) -> tuple[str, list[Any]]:
    parts, values = ["true"], []
    for c in query.where:
        column = {"Id": "id", "SystemModstamp": "stamp"}.get(c.field, f"json_extract(body, '$.{c.field}')")
        if c.op == "IN":
            parts.append(f"{column} IN ({', '.join('?' * len(c.value))})")
            values += [_bound(c.field, v) for v in c.value]
        else:  # IS is the null-safe equality of SQLite
            parts.append(f"{column} {({'=': 'IS', '!=': 'IS NOT'}).get(c.op, c.op)} ?")
            values.append(_bound(c.field, c.value))
    return " AND ".join(parts), values


def _bound(field: str, value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return stamp_text(value)
    return id18(value) if field == "Id" and isinstance(value, str) and len(value) in (15, 18) else value


def _child_plan(query: soql.Query) -> dict[str, Any] | None:
    if query.child is None:
        return None
    kind = _CHILDREN[query.source, query.child.source]
    return {"name": query.child.source, "kind": kind, "fields": query.child.fields}


def _page(shelf: Shelf, plan: dict[str, Any]) -> dict[str, Any]:
    """
    Return one page of a result set. Its ids were fixed when the query ran, as the vendor's cursor does, so rows
    that change while a caller reads neither move nor repeat.
    """
    ids, at, size = plan["ids"], plan["at"], plan["size"]
    marks = ", ".join("?" * len(ids[at : at + size]))
    found = {body["Id"]: body for body in shelf.select(plan["kind"], f"id IN ({marks})", ids[at : at + size])}
    records = [record_of(shelf, plan, found[key]) for key in ids[at : at + size] if key in found]
    page: dict[str, Any] = {"totalSize": len(ids), "done": at + size >= len(ids)}
    if not page["done"]:
        page["nextRecordsUrl"] = f"{ROOT}/query/{_keep(shelf, plan)}-{at + size}"
    return page | {"records": records}


def _keep(shelf: Shelf, plan: dict[str, Any]) -> str:
    name = str(plan.get("name") or "01g" + secrets.token_hex(6))
    shelf.put("_cursor", [Row(name, f"{time.time():017.6f}", None, plan)])
    for old in shelf.ids("_cursor", "true", [], f"ORDER BY stamp DESC LIMIT -1 OFFSET {_OPEN_CURSORS}"):
        shelf.delete("_cursor", old)
    return name


def record_of(shelf: Shelf, plan: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    kind, child = plan["kind"], plan.get("child")
    record: dict[str, Any] = {"attributes": {"type": kind, "url": f"{ROOT}/sobjects/{kind}/{body['Id']}"}}
    record |= {name: body.get(name) for name in plan["fields"]}
    if child:
        live = "link = ? AND NOT json_extract(body, '$.IsDeleted')"
        ids = shelf.ids(child["kind"], live, [body["Id"]], "ORDER BY id")
        below = child | {"ids": ids, "at": 0, "size": shelf.setting("child_page_size", 2000), "name": None}
        record[child["name"]] = _page(shelf, below) if ids else None  # null, never an empty list
    return record

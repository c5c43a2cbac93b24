"""
Salesforce records <-> contracts. Pure; the vendor's words end here.

Money arrives as a JSON double: it is read from the text of the answer as Decimal and never becomes a float.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from psflow.contracts import Customer, Opportunity, OpportunityLine
from psflow.errors import NeedsReview

ACCOUNT_FIELDS = "Id, Name, AccountNumber, BillingStreet, BillingCity, BillingCountry, VAT_Id__c, SystemModstamp"
LINES = "OpportunityLineItems"
_LINE_FIELDS = "Id, ProductCode, Quantity, UnitPrice, ServiceDate, Role__c, Skills__c, Hours_Per_Day__c, End_Date__c"
_OPPORTUNITY_FIELDS = (
    "Id, Name, AccountId, IsWon, IsClosed, Amount, Legal_Entity__c, Rate_Card__c, Contract_Type__c, "
    "Tax_Treatment__c, Delivery_Region__c, Start_Date__c, End_Date__c, SystemModstamp"
)


def opportunity_fields(multi_currency: bool) -> str:
    """Return the SELECT list; CurrencyIsoCode does not exist in a single-currency org."""
    currency = ", CurrencyIsoCode" if multi_currency else ""
    return f"{_OPPORTUNITY_FIELDS}{currency}, (SELECT {_LINE_FIELDS} FROM {LINES})"


def decode(text: str | bytes) -> Any:
    """Read JSON with every number that has a point as Decimal."""
    return json.loads(text, parse_float=Decimal)


def customer(record: dict[str, Any]) -> Customer:
    """Return the customer of an Account; its id is the account number when there is one. Raises NeedsReview."""
    try:
        return Customer(
            customer_id=f"C-{record.get('AccountNumber') or record['Id']}",
            name=record["Name"],
            street=record.get("BillingStreet"),
            city=record.get("BillingCity"),
            country=record.get("BillingCountry"),
            vat_id=_vat_id(record.get("VAT_Id__c")),
        )
    except (KeyError, ValidationError) as error:
        raise NeedsReview(f"salesforce: Account {record.get('Id')}: {_why(error)}") from None


def _vat_id(text: str | None) -> str | None:
    """Return a VAT id without what people put between its digits."""
    return re.sub(r"[\s.-]", "", text).upper() or None if text else None


def opportunity(record: dict[str, Any], lines: list[dict[str, Any]], org_currency: str | None) -> Opportunity:
    """Return the opportunity with its lines; `org_currency` is that of a single-currency org. Raises NeedsReview."""
    try:
        return Opportunity(
            opportunity_id=record["Id"],
            account_id=record["AccountId"],
            name=record["Name"],
            is_won=record["IsWon"],
            is_closed=record["IsClosed"],
            amount=record.get("Amount"),
            currency=org_currency or record.get("CurrencyIsoCode"),
            legal_entity_value=record.get("Legal_Entity__c"),
            rate_card_name=record.get("Rate_Card__c"),
            contract_type=record.get("Contract_Type__c"),
            tax_treatment=record.get("Tax_Treatment__c"),
            delivery_region=record.get("Delivery_Region__c"),
            starts_on=_date(record.get("Start_Date__c")),
            ends_on=_date(record.get("End_Date__c")),
            modified_at=stamp(record),
            lines=tuple(_line(line) for line in lines),
        )
    except (KeyError, TypeError, ValueError) as error:  # pydantic's ValidationError is a ValueError
        raise NeedsReview(f"salesforce: Opportunity {record.get('Id')}: {_why(error)}") from None


def _line(record: dict[str, Any]) -> OpportunityLine:
    return OpportunityLine(
        line_id=record["Id"],
        product_code=record.get("ProductCode"),
        quantity=record["Quantity"],
        unit_price=record["UnitPrice"],
        role=record.get("Role__c"),
        skills=tuple(skill for skill in (record.get("Skills__c") or "").split(";") if skill),  # a multi-picklist
        hours_per_day=record.get("Hours_Per_Day__c"),
        starts_on=_date(record.get("ServiceDate")),
        ends_on=_date(record.get("End_Date__c")),
    )


def stamp(record: dict[str, Any]) -> dt.datetime:
    """Return when the vendor last touched a record."""
    return dt.datetime.fromisoformat(record["SystemModstamp"])


def _date(text: str | None) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return f"field {error} is missing" if isinstance(error, KeyError) else str(error)


_ENGAGEMENT = {"engagement_id": "Engagement__c", "project_code": "Project_Code__c", "status": "Activation_Status__c"}


def engagement_fields(payload: dict[str, Any]) -> dict[str, str]:
    """Return the custom fields of `update_opportunity`: which engagement and project the deal became, and its state."""
    return {field: payload[key] for key, field in _ENGAGEMENT.items() if key in payload}

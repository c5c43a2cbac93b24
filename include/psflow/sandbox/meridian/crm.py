"""Meridian's customers and deals as Salesforce holds them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

from psflow.sandbox.meridian.deals import AGAIN, CUSTOMERS, TWICE, Customer, Deal, Demand
from psflow.sandbox.meridian.plan import Firm, current
from psflow.sandbox.meridian.prices import CARD

Records = dict[str, list[dict[str, Any]]]

_ECHOED_AT = "2026-11-05T07:00:00Z"


def crm_records() -> Records:
    """Return accounts, deals and lines, by object. Deals change in the order of their numbers, a minute apart."""
    firm = current()
    return {
        "Account": [_account(each) for each in (*CUSTOMERS, AGAIN)],
        "Opportunity": [_deal(firm, deal) for deal in firm.deals],
        "OpportunityLineItem": [line for deal in firm.deals for line in _lines(firm, deal)],
    }


def crm_again() -> Records:
    """Return one won deal as it is delivered a second time: touched, and not changed in any field."""
    firm = current()
    return {"Opportunity": [_deal(firm, firm.deal(TWICE)) | {"SystemModstamp": _ECHOED_AT}]}


def deal_id(number: str) -> str:
    """Return the 15-character id of a deal."""
    return _id("006", number)


def account_id(number: str) -> str:
    """Return the 15-character id of an account."""
    return _id("001", number)


def _id(prefix: str, number: str | int) -> str:
    return f"{prefix}{int(number):012d}"


def _account(customer: Customer) -> dict[str, Any]:
    return {
        "Id": account_id(customer.number),
        "Name": customer.name,
        "AccountNumber": None if customer is AGAIN else f"{100 + int(customer.number)}",
        "BillingStreet": customer.street,
        "BillingCity": customer.city,
        "BillingCountry": customer.country,
        "VAT_Id__c": customer.vat_id,
        "SystemModstamp": f"2026-09-21T08:{int(customer.number):02d}:00Z",
    }


def _deal(firm: Firm, deal: Deal) -> dict[str, Any]:
    amount = sum((hours * price for hours, price in firm.sold[deal.number]), Decimal())
    return {
        "Id": deal_id(deal.number),
        "Name": deal.name,
        "AccountId": account_id(deal.customer),
        "StageName": "Closed Won" if deal.is_won else "Negotiation",
        "IsWon": deal.is_won,
        "IsClosed": deal.is_won,
        "CloseDate": (deal.starts - dt.timedelta(days=20)).isoformat(),
        "Amount": amount,
        "CurrencyIsoCode": deal.currency,
        "Legal_Entity__c": deal.entity,
        "Rate_Card__c": CARD,
        "Contract_Type__c": deal.contract_type,
        "Tax_Treatment__c": deal.tax,
        "Delivery_Region__c": deal.region,
        "Start_Date__c": deal.starts.isoformat(),
        "End_Date__c": deal.ends.isoformat(),
        "SystemModstamp": f"2026-09-28T09:{int(deal.number):02d}:00Z",
    }


def _lines(firm: Firm, deal: Deal) -> list[dict[str, Any]]:
    asked: list[Demand | None] = [None, *(each for each in firm.demands if each.deal == deal.number)]
    return [
        {
            "Id": _id("00k", int(deal.number) * 100 + at),
            "OpportunityId": deal_id(deal.number),
            "ProductCode": "CONSULTING",
            "Quantity": hours,
            "UnitPrice": price,
            "CurrencyIsoCode": deal.currency,
            "SystemModstamp": f"2026-09-28T09:{int(deal.number):02d}:00Z",
        }
        | (_asks(demand) if demand else {})
        for at, ((hours, price), demand) in enumerate(zip(firm.sold[deal.number], asked, strict=False), start=1)
    ]


def _asks(demand: Demand) -> dict[str, Any]:
    return {
        "Role__c": demand.role,
        "Skills__c": ";".join(demand.skills) or None,  # a multi-select picklist
        "Hours_Per_Day__c": demand.hours,
        "ServiceDate": demand.starts.isoformat(),
        "End_Date__c": demand.ends.isoformat(),
    }

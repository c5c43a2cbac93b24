"""What is true? The canonical entities v1 and the values they are made of."""

from psflow.contracts.effect import OpenEffect, VendorProfile
from psflow.contracts.entities import (
    BillingBatch,
    Charge,
    Contract,
    Customer,
    Engagement,
    Invoice,
    InvoiceLine,
    LegalEntity,
    Opportunity,
    OpportunityLine,
    Project,
    Rate,
    RateCard,
    Resource,
    TimeEntry,
)
from psflow.contracts.values import Money, Period, Ref

__all__ = [
    "BillingBatch",
    "Charge",
    "Contract",
    "Customer",
    "Engagement",
    "Invoice",
    "InvoiceLine",
    "LegalEntity",
    "Money",
    "OpenEffect",
    "Opportunity",
    "OpportunityLine",
    "Period",
    "Project",
    "Rate",
    "RateCard",
    "Ref",
    "Resource",
    "TimeEntry",
    "VendorProfile",
]

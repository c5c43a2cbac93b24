"""How does each vendor say it? Ports by role; one folder a vendor."""

from psflow.systems.ports import (
    BadRow,
    Crm,
    Erp,
    ErpInvoice,
    ErpInvoiceLine,
    LedgerLine,
    Page,
    Psa,
    Pulled,
    System,
    TimeEntryRow,
    TimePage,
)

__all__ = [
    "BadRow",
    "Crm",
    "Erp",
    "ErpInvoice",
    "ErpInvoiceLine",
    "LedgerLine",
    "Page",
    "Psa",
    "Pulled",
    "System",
    "TimeEntryRow",
    "TimePage",
]

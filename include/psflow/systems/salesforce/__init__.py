"""Salesforce as the firm's CRM, REST API v62.0."""

from __future__ import annotations

from psflow.systems.ports import Registration

REGISTRATION = Registration(
    key="salesforce",
    role="crm",
    name="Salesforce",
    conn_type="psflow_salesforce",
    api_version="v62.0",
    capabilities=frozenset(("update_opportunity",)),
    streams=frozenset(("customer", "opportunity")),
)

"""
What Airflow knows of us: the connection types with their forms, and the link on a task.

Secrets have one place each, the password field: Airflow encrypts and masks it. Extra fields hold none.
"""

from __future__ import annotations

from typing import Any

import psflow

_UNUSED = ["schema", "port"]
_HOST = {"host": "Base URL"}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, by Airflow's provider_info.schema.json."""
    return {
        "package-name": "psflow",
        "name": "Professional services flow",
        "description": "Carries a won deal to a tied-out invoice between CRM, ERP and PSA.",
        "versions": [psflow.__version__],
        "connection-types": [_salesforce(), _kantata(), _bamboohr(), _float(), _tryton()],
        "extra-links": ["psflow_airflow.operators.base.RecordLink"],
        "notifications": [
            "psflow_airflow.notifications.MailNotifier",
            "psflow_airflow.notifications.WebhookNotifier",
        ],
    }


def _salesforce() -> dict[str, Any]:
    return _connection(
        "salesforce",
        "Salesforce",
        hidden=_UNUSED,
        labels=_HOST | {"login": "Client ID", "password": "Client secret"},
        placeholders={"host": "https://yourorg.my.salesforce.com", "login": "consumer key of the external client app"},
        fields={"org_currency": _text("Currency of a single-currency org", "ISO code; empty: multi-currency")},
    )


def _kantata() -> dict[str, Any]:
    return _connection(
        "kantata",
        "Kantata",
        hidden=[*_UNUSED, "login"],
        labels=_HOST | {"password": "Bearer token"},
        placeholders={"host": "https://api.mavenlink.com"},
        fields={
            "app_url": _text("Address people use", "for links; default https://app.mavenlink.com"),
            "contract_line_field": _text("Field of a time entry that names its contract line", "story_id or location"),
            "regions": _text("Regions of locations of time entries", "Berlin = EU, Boston = NA; empty: the person's"),
        },
    )


def _bamboohr() -> dict[str, Any]:
    return _connection(
        "bamboohr",
        "BambooHR",
        hidden=[*_UNUSED, "login"],
        labels=_HOST | {"password": "API key"},
        placeholders={"host": "https://yourcompany.bamboohr.com"},
        fields={},
    )


def _float() -> dict[str, Any]:
    return _connection(
        "float",
        "Float",
        hidden=[*_UNUSED, "login"],
        labels=_HOST | {"password": "API token"},
        placeholders={"host": "https://api.float.com"},
        fields={
            "currency": _text("Currency of the account", "ISO code of its cost rates; required"),
            "contact": _text("Contact", "mail address Float may write to about our requests; required"),
            "app_url": _text("Address people use", "https://yourcompany.float.com, for links; required"),
            "zone": _text("Time zone of the account", "such as Europe/Berlin; default UTC"),
        },
    )


def _tryton() -> dict[str, Any]:
    return _connection(
        "tryton",
        "Tryton",
        hidden=_UNUSED,
        labels=_HOST,
        placeholders={"host": "https://erp.example.com", "login": "psflow"},
        fields={
            "database": _text("Database", "name in Tryton's login; required"),
            "company": _text("Company", "its name in Tryton; required"),
            "payment_term": _text("Payment term", "of invoices whose customer has none; default Net 30"),
            "hours_product": _text("Product of hours", "default Consulting hours"),
            "fee_product": _text("Product of fees", "default Consulting fee"),
        },
    )


def _connection(
    system: str,
    name: str,
    *,
    hidden: list[str],
    labels: dict[str, str],
    placeholders: dict[str, str],
    fields: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    return {
        "connection-type": f"psflow_{system}",
        "hook-class-name": f"psflow_airflow.hooks.{system}.{name}Hook",
        "hook-name": f"{name} (psflow)",
        "ui-field-behaviour": {"hidden-fields": hidden, "relabeling": labels, "placeholders": placeholders},
        "conn-fields": fields,
    }


def _text(label: str, description: str) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": ["string", "null"]}}

"""Tryton 8.2 as the firm's ERP, over JSON-RPC."""

from __future__ import annotations

from psflow.systems.ports import Registration

REGISTRATION = Registration(
    key="tryton",
    role="erp",
    name="Tryton",
    conn_type="psflow_tryton",
    api_version="8.2",
    capabilities=frozenset(
        {
            "create_customer",
            "create_project",
            "close_project",
            "post_time",
            "void_time",
            "draft_invoice",
            "post_invoice",
            "cancel_invoice",
        }
    ),
    streams=frozenset(("invoice", "fx_rate")),
)

"""Kantata OX as the firm's PSA, REST API v1."""

from __future__ import annotations

from psflow.systems.ports import Registration

REGISTRATION = Registration(
    key="kantata",
    role="psa",
    name="Kantata OX",
    conn_type="psflow_kantata",
    api_version="v1",
    capabilities=frozenset(
        ("create_project", "close_project", "assign_resource", "request_resource", "update_milestone")
    ),
    streams=frozenset(("resource", "rate_card", "time_entry", "expense_entry", "task", "milestone", "invoice")),
)

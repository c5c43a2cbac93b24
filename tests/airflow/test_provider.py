"""Airflow knows our connection types, their forms and our plugin."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import pytest

import psflow
from psflow_airflow.provider import get_provider_info

TYPES = {found["connection-type"]: found for found in get_provider_info()["connection-types"]}


@pytest.mark.parametrize("name", TYPES)
def test_a_connection_type_names_a_hook_that_calls_itself_the_same(name: str) -> None:
    module, _, attribute = TYPES[name]["hook-class-name"].rpartition(".")
    hook = getattr(import_module(module), attribute)
    assert (hook.conn_type, hook.hook_name) == (name, TYPES[name]["hook-name"])
    assert hook.default_conn_name == name
    assert hook(conn_id="mine").conn_id == "mine" and hook.conn_name_attr == "conn_id"


def test_airflow_itself_finds_the_forms() -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    assert manager.providers["psflow"].version == psflow.__version__
    forms = manager.field_behaviours
    assert set(TYPES) <= set(forms)
    assert forms["psflow_salesforce"]["relabeling"]["password"] == "Client secret"
    assert "login" in forms["psflow_kantata"]["hidden_fields"]
    assert forms["psflow_bamboohr"]["relabeling"]["password"] == "API key"
    fields = {name for name in manager.connection_form_widgets if "psflow_tryton" in name}
    assert {"extra__psflow_tryton__database", "extra__psflow_tryton__company"} <= fields
    assert "psflow_airflow.operators.base.RecordLink" in manager.extra_links_class_names


@pytest.mark.parametrize("name", TYPES)
def test_secrets_are_in_the_password_and_nowhere_else(name: str) -> None:
    from airflow._shared.secrets_masker import should_hide_value_for_key

    assert should_hide_value_for_key("password")
    form: dict[str, Any] = TYPES[name]
    for field in form["conn-fields"]:
        assert not should_hide_value_for_key(field), f"{field} sounds like a secret: use the password"
    assert "password" not in form["ui-field-behaviour"]["hidden-fields"]


def test_the_plugin_is_found_once_with_its_pages_an_entry_and_two_tabs() -> None:
    (plugin,) = entry_points(group="airflow.plugins", name="psflow")
    loaded = plugin.load()
    assert loaded.name == "psflow"
    assert [app["url_prefix"] for app in loaded.fastapi_apps] == ["/psflow"]
    assert [view["destination"] for view in loaded.external_views] == ["nav", "dag", "dag_run"]
    assert all(view["href"].startswith("/psflow/") for view in loaded.external_views)

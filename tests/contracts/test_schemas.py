"""Other teams build on the published schemas: they say what the code says, and v1 is never broken."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from psflow.contracts import schema


def test_the_published_schemas_are_what_the_models_say() -> None:
    assert schema.committed() == schema.schemas(), "run `python -m psflow.contracts.schema` and review the diff"


@pytest.mark.parametrize("name", sorted(schema.schemas()))
def test_a_schema_is_valid_and_every_field_has_a_type(name: str) -> None:
    published = schema.committed()[name]
    Draft202012Validator.check_schema(published)
    assert published["additionalProperties"] is False and published["description"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s["properties"].pop("name"), "name: gone"),
        (lambda s: s["properties"].update(name={"type": "integer"}), "name: was string, is integer"),
        (lambda s: s["required"].remove("name"), "name: no longer always there"),
    ],
)
def test_a_breaking_change_is_named(change: Any, says: str) -> None:
    old = schema.committed()["Customer"]
    new = copy.deepcopy(old)
    change(new)
    assert schema.incompatible(old, new) == [says]


def test_a_new_optional_field_breaks_nobody() -> None:
    old = schema.committed()["Customer"]
    new = copy.deepcopy(old)
    new["properties"]["vat_id"] = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert schema.incompatible(old, new) == []

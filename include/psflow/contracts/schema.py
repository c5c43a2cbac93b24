"""
The contracts as JSON Schema, committed beside them: what another team may build on.

`python -m psflow.contracts.schema` writes them; `incompatible` says what a change would break for a reader of v1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from psflow import contracts
from psflow.contracts.values import Record

FOLDER = Path(__file__).parent / "v1"
ENTITIES: tuple[type[Record], ...] = (
    contracts.LegalEntity,
    contracts.Customer,
    contracts.Opportunity,
    contracts.Engagement,
    contracts.Contract,
    contracts.Project,
    contracts.Task,
    contracts.Milestone,
    contracts.Resource,
    contracts.Skill,
    contracts.Employment,
    contracts.WorkPattern,
    contracts.Absence,
    contracts.Capacity,
    contracts.CostRate,
    contracts.ResourceRequest,
    contracts.Assignment,
    contracts.RateCard,
    contracts.TimeEntry,
    contracts.ExpenseEntry,
    contracts.Charge,
    contracts.BillingBatch,
    contracts.Invoice,
    contracts.RevenueEvent,
)


def schemas() -> dict[str, dict[str, Any]]:
    """Return entity name -> JSON Schema, as the models say it now."""
    return {model.__name__: model.model_json_schema(mode="serialization") for model in ENTITIES}


def committed() -> dict[str, dict[str, Any]]:
    """Return entity name -> JSON Schema, as published."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def incompatible(old: dict[str, Any], new: dict[str, Any], at: str = "") -> list[str]:
    """Return what a reader of `old` would trip over in `new`: fields gone, optional again, or of another type."""
    found: list[str] = []
    for name, was in old.get("properties", {}).items():
        where = f"{at}{name}"
        now = new.get("properties", {}).get(name)
        if now is None:
            found.append(f"{where}: gone")
        elif _shape(was) != _shape(now):
            found.append(f"{where}: was {_shape(was)}, is {_shape(now)}")
        elif name in old.get("required", []) and name not in new.get("required", []):
            found.append(f"{where}: no longer always there")
    for name, was in old.get("$defs", {}).items():
        found += incompatible(was, new.get("$defs", {}).get(name, {}), f"{at}{name}.")
    return found


def _shape(field: dict[str, Any]) -> str:
    """Return what a value may be, without bounds and words."""
    if "anyOf" in field:
        return " or ".join(sorted(_shape(option) for option in field["anyOf"]))
    if "items" in field:
        return f"list of {_shape(field['items'])}"
    return str(field.get("$ref") or field.get("enum") or field.get("const") or field.get("format") or field.get("type"))


def export() -> None:
    """Write every schema. Refuses to break v1: that takes a v2 beside it."""
    published = committed()
    for name, schema in schemas().items():
        if broken := incompatible(published.get(name, {}), schema):
            raise SystemExit(f"{name} would break readers of v1: {'; '.join(broken)}")
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{name}.json").write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    export()

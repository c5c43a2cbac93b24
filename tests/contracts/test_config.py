"""A wrong psflow.yaml is refused whole, each defect with file:line:col, the value and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from psflow import config
from psflow.errors import ConfigurationError

GOOD = (Path(__file__).parents[2] / "psflow.yaml").read_text(encoding="utf-8")


def refused(tmp_path: Path, text: str) -> str:
    path = tmp_path / "psflow.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        config.load(path)
    return str(caught.value).replace(str(tmp_path) + "/", "")


def test_the_shipped_policy_is_whole() -> None:
    loaded = config.load()
    assert loaded.person_of("fiona").person == "P-101"
    assert [p.airflow_user for p in loaded.people_who_may("approve")] == ["frank"]
    assert loaded.entity_by_crm_value["Meridian US"].legal_entity_id == "MER-US"


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        (
            "currency: USD",
            "currency: usd",
            "legal_entities.0.currency: String should match pattern '^[A-Z]{3}$' (got 'usd')",
        ),
        (
            "may: [submit]",
            "may: [post]",
            "people.0.may.0: Input should be 'submit', 'approve' or 'exceptions' (got 'post')",
        ),
        ("lease_s: 15", "lease_s: 5", "systems.tryton: lease_s 5 must be longer than"),
        ("region: eu-west", "regoin: eu-west", "regoin: Extra inputs are not permitted (got 'eu-west')"),
        ("deadline_s: 5", "deadline_s: soon", "systems.tryton.deadline_s: Input should be a valid number"),
    ],
)
def test_a_defect_is_named_with_its_place(tmp_path: Path, was: str, becomes: str, says: str) -> None:
    text = GOOD.replace(was, becomes)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if becomes in row)
    assert f"psflow.yaml:{line}:" in refused(tmp_path, text)
    assert says in refused(tmp_path, text)


def test_every_defect_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("currency: USD", "currency: usd").replace("may: [submit]", "may: [post]")
    assert len(refused(tmp_path, text).splitlines()) == 2


def test_a_rule_without_an_owner_is_refused(tmp_path: Path) -> None:
    text = "\n".join(row for row in GOOD.splitlines() if not row.startswith("  rate:"))
    assert "routing lacks the rules ['rate']" in refused(tmp_path, text)


def test_what_is_no_yaml_says_where(tmp_path: Path) -> None:
    assert refused(tmp_path, "region: [\npeople: }").startswith("psflow.yaml:2:9: not YAML")


def test_an_empty_file_and_a_missing_one_are_named(tmp_path: Path) -> None:
    assert "psflow.yaml:1:1: file:" in refused(tmp_path, "")
    with pytest.raises(ConfigurationError, match="no such file; set PSFLOW_CONFIG"):
        config.load(tmp_path / "nowhere.yaml")


def test_a_login_nobody_owns_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'eve' is no person in psflow.yaml; add it under people"):
        config.load().person_of("eve")

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
    assert [p.airflow_user for p in loaded.people_who_may("approve", "MER-US")] == ["frank"]
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
            "people.0.may.0: Input should be 'submit', 'approve', 'exceptions', 'release', 'rates' or 'close' "
            "(got 'post')",
        ),
        ("lease_s: 15", "lease_s: 5", "systems.tryton: lease_s 5 must be longer than"),
        (
            "region: eu-west",
            "regoin: eu-west",
            "regoin: there is no such key; the keys are region, people, legal_entities,",
        ),
        (
            "may: [submit]",
            "my: [submit]",
            "people.0.my: there is no such key; the keys are person, airflow_user, teams, may,",
        ),
        (
            "owner_team: data engineering, fix",
            "owner: x, fix",
            "routing.record.owner: there is no such key; the keys are",
        ),
        ("deadline_s: 5", "deadline_s: soon", "systems.tryton.deadline_s: Input should be a valid number"),
    ],
)
def test_a_defect_is_named_with_its_place(tmp_path: Path, was: str, becomes: str, says: str) -> None:
    text = GOOD.replace(was, becomes)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if becomes in row)
    assert f"psflow.yaml:{line}:" in refused(tmp_path, text)
    assert says in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("may: [submit]", "may: [submit, rates]", "P-101 may edit rates and submit; take one away"),
        ("airflow_user: frank", "airflow_user: Fiona", "'P-101' and 'P-102' share the airflow_user 'Fiona'"),
        ("person: P-102", "person: p-101", "'P-101' and 'p-101' share the person 'p-101'"),
    ],
)
def test_nobody_is_two_people_or_prices_what_they_decide_on(tmp_path: Path, was: str, becomes: str, says: str) -> None:
    assert f"psflow.yaml:5:1: people: {says}" in refused(tmp_path, GOOD.replace(was, becomes))


def test_a_person_of_a_legal_entity_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    said = refused(tmp_path, GOOD.replace("may: [submit]", "may: [submit], entities: [MER-XX]"))
    assert "people: P-101 has entities ['MER-XX']; there are ['MER-EU', 'MER-US']" in said


def test_only_people_of_its_legal_entity_may_answer_for_a_batch(tmp_path: Path) -> None:
    path = tmp_path / "psflow.yaml"
    text = GOOD.replace("may: [approve, close]", "may: [approve, close], entities: [MER-EU]")
    path.write_text(text, encoding="utf-8")
    loaded = config.load(path)
    assert loaded.people_who_may("approve", "MER-US") == ()
    assert [p.airflow_user for p in loaded.people_who_may("approve", "MER-EU")] == ["frank"]
    assert [p.airflow_user for p in loaded.people_who_may("submit", "MER-US")] == ["fiona"], "none said: all"


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("rate_pct: 19", "rate_pct: 0", "legal_entities.1.taxes.0: category S takes a rate above 0"),
        ("reason_code: VATEX-EU-AE, ", "", "legal_entities.1.taxes.1: category AE takes a reason_code"),
        ("category: AE", "category: RC", "legal_entities.1.taxes.1.category: Input should be 'S', 'Z', 'AE', "),
    ],
)
def test_a_tax_that_cannot_be_posted_is_named_with_its_place(tmp_path: Path, was: str, becomes: str, says: str) -> None:
    text = GOOD.replace(was, becomes)
    line = next(n for n, row in enumerate(GOOD.splitlines(), 1) if was in row)
    said = refused(tmp_path, text)
    assert f"psflow.yaml:{line}:" in said and says in said


def test_two_taxes_of_one_buyer_and_a_treatment_nobody_maps_are_refused(tmp_path: Path) -> None:
    twice = GOOD.replace("treatment: eu_reverse_charge, countries: [AT,", "treatment: german_vat, countries: [DE,")
    assert "legal_entities.1: taxes 1 and 2 both fit; end one, or part their countries" in refused(tmp_path, twice)
    unknown = GOOD.replace("German VAT: german_vat", "German VAT: vat")
    assert "taxes of MER-EU name ['german_vat']; tax_treatments has" in refused(tmp_path, unknown)


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("cost_plus_pct: 12.5}", "pct_of_bill: 70, cost_plus_pct: 12.5}", "not cost_plus_pct and pct_of_bill"),
        (
            ", cost_plus_pct: 12.5}",
            "}",
            "intercompany.0: a rule has one of rates, cost_plus_pct and pct_of_bill, not none",
        ),
        (
            "lender: MER-EU, borrower: MER-US",
            "lender: MER-EU, borrower: MER-EU",
            "intercompany.0: MER-EU lends nobody to",
        ),
        (
            "cost_plus_pct: 12.5",
            "pct_of_bill: 120",
            "intercompany.0.pct_of_bill: Input should be less than or equal to 100",
        ),
    ],
)
def test_a_transfer_price_that_is_none_is_named_with_its_place(
    tmp_path: Path, was: str, becomes: str, says: str
) -> None:
    line = next(n for n, row in enumerate(GOOD.splitlines(), 1) if was in row)
    said = refused(tmp_path, GOOD.replace(was, becomes))
    assert f"psflow.yaml:{line}:" in said and says in said


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        (
            "  - lender: MER-US\n    borrower: MER-EU",
            "  - lender: MER-EU\n    borrower: MER-US",
            "rules 1 and 2 both price",
        ),
        ("lender: MER-EU, borrower: MER-US", "lender: MER-EU, borrower: MER-UK", "rule 1 names ['MER-UK']; legal"),
    ],
)
def test_two_prices_of_a_pair_and_a_company_that_is_not_ours_are_refused(
    tmp_path: Path, was: str, becomes: str, says: str
) -> None:
    line = next(n for n, row in enumerate(GOOD.splitlines(), 1) if row == "intercompany:")
    assert f"psflow.yaml:{line}:1: intercompany: {says}" in refused(tmp_path, GOOD.replace(was, becomes))
    ended = GOOD.replace("cost_plus_pct: 12.5}", "cost_plus_pct: 12.5, valid_to: 2026-09-30}").replace(
        "  - lender: MER-US\n    borrower: MER-EU",
        "  - valid_from: 2026-10-01\n    lender: MER-EU\n    borrower: MER-US",
    )
    (tmp_path / "psflow.yaml").write_text(ended, encoding="utf-8")
    assert len(config.load(tmp_path / "psflow.yaml").intercompany) == 2


def test_two_companies_with_one_name_in_hr_are_refused(tmp_path: Path) -> None:
    twice = GOOD.replace("hr_values: [Meridian EU]", "hr_values: [Meridian US]")
    assert "legal_entities: hr_values ['Meridian US'] name more than one" in refused(tmp_path, twice)


def test_every_defect_is_told_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("currency: USD", "currency: usd", 1).replace("may: [submit]", "may: [post]")
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

"""Firm policy from psflow.yaml: read once, refused whole, each error with file:line:col, the value and the reason."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from psflow.contracts import Capability, LegalEntity, TransferRule, VendorProfile
from psflow.contracts.entities import ContractType
from psflow.contracts.intercompany import defect
from psflow.contracts.values import Amount, Currency, Id, Record
from psflow.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Rule = Literal[
    "record", "match", "ownership", "legal_entity", "tax_treatment", "contract_type", "delivery_region", "rate_card",
    "resource_demand", "activation", "staffing", "master_data", "time_entry", "expense_entry", "rate", "tax", "billing",
    "intercompany", "metrics", "effect", "account", "tie_out", "shadow", "period", "dispute",
]  # fmt: skip
Mode = Literal["observe", "propose", "post"]
NumberOwner = Literal["psflow", "psa", "erp"]
OwnedEntity = Literal["customer", "resource"]
Step = Literal["submit", "approve"]
Duty = Literal["submit", "approve", "exceptions", "release", "rates", "close"]
Address = Annotated[str, Field(pattern=r"^[^\s@<>,;\"]+@[^\s@<>,;\"]+$", max_length=254)]


class Person(Record):
    """Who answers required actions. Identity is the person, not the login."""

    person: Id
    airflow_user: Id
    teams: tuple[str, ...]
    # exceptions: work on those of every team; release: let proposed effects out; rates: edits rate cards in the PSA
    may: tuple[Duty, ...] = ()
    entities: tuple[Id, ...] | None = Field(default=None, description="legal entities they see; none said: all")
    resource: Id | None = Field(default=None, description="who of the resources they are; nobody decides on own hours")

    def sees(self, legal_entity_id: str | None) -> bool:
        """Whether rows of a legal entity are theirs to see; those of none that is known yet are everybody's."""
        return self.entities is None or legal_entity_id is None or legal_entity_id in self.entities


class Route(Record):
    """Who owns the exceptions of one rule, and what they do about it."""

    owner_team: Id
    fix: str = Field(min_length=10)
    due_days: int = Field(default=2, gt=0, description="business days until it is overdue")
    dag: Id | None = Field(default=None, description="the DAG that looks again; none: its system's own sync")


class ModeRule(Record):
    """What may leave for some system, entity and capability (None: any). The first rule that fits decides."""

    mode: Mode
    system: Id | None = None
    legal_entity_id: Id | None = None
    capability: Capability | None = None


class NumberRule(Record):
    """
    Whose number a contract's invoice is (None: any). The first rule that fits decides; else psflow makes the invoice.

    psa: its lines are priced again, and those without a difference go to the ERP; erp: its documents are priced again.
    """

    owner: NumberOwner
    legal_entity_id: Id | None = None
    contract_id: Id | None = None


class Approval(Record):
    """How many persons approve a billing batch."""

    second_approver_above: dict[Currency, Annotated[Amount, Field(ge=0)]] = Field(
        default={}, description="two approve when invoices of a currency come to more; one not named takes two"
    )


class Channel(Record):
    """Where a team is told of its exceptions: a mail, or a webhook when there are no addresses."""

    conn_id: Id = Field(description="Airflow connection of type smtp or http; it holds host and secret")
    to: tuple[Address, ...] = ()


class Config(Record):
    """The whole of psflow.yaml."""

    region: Id
    people: tuple[Person, ...] = Field(min_length=1)
    legal_entities: tuple[LegalEntity, ...] = Field(min_length=1)
    intercompany: tuple[TransferRule, ...] = Field(default=(), description="what lent hours cost, by pair and day")
    contract_types: dict[str, ContractType] = Field(description="what the CRM writes -> how hours are billed")
    tax_treatments: dict[str, Id] = Field(default={}, description="what the CRM writes -> ours")
    delivery_regions: dict[str, Id] = Field(default={}, description="what the CRM writes -> where we may deliver")
    owners: dict[OwnedEntity, dict[str, Id]] = Field(default={}, description="entity -> field -> system that owns it")
    modes: tuple[ModeRule, ...] = ()
    approval: Approval = Approval()
    number_owner: tuple[NumberRule, ...] = ()
    routing: dict[Rule, Route]
    channels: dict[Id, Channel] = Field(default={}, description="owner team -> where it is told")
    systems: dict[Id, VendorProfile]

    @field_validator("people")
    @classmethod
    def _one_human_is_one_person(cls, people: tuple[Person, ...]) -> tuple[Person, ...]:
        first = dict[tuple[str, str], str]()
        for one in people:
            for field in ("person", "airflow_user", "resource"):
                if value := getattr(one, field):
                    other = first.setdefault((field, " ".join(value.split()).casefold()), one.person)
                    if other != one.person:
                        raise ValueError(
                            f"{other!r} and {one.person!r} share the {field} {value!r}; make them one person"
                        )
        return people

    @field_validator("people")
    @classmethod
    def _nobody_prices_what_they_decide_on(cls, people: tuple[Person, ...]) -> tuple[Person, ...]:
        for one in people:
            may = {duty for login in people if login.person == one.person for duty in login.may}
            if "rates" in may and (decides := sorted(may & {"submit", "approve"})):
                raise ValueError(f"{one.person} may edit rates and {' and '.join(decides)}; take one away")
        return people

    @field_validator("legal_entities")
    @classmethod
    def _one_employer_is_one_entity(cls, entities: tuple[LegalEntity, ...]) -> tuple[LegalEntity, ...]:
        employers = [value for entity in entities for value in entity.hr_values]
        if twice := sorted({value for value in employers if employers.count(value) > 1}):
            raise ValueError(f"hr_values {twice} name more than one legal entity; each may name one")
        return entities

    @field_validator("intercompany")
    @classmethod
    def _one_price_an_hour(cls, rules: tuple[TransferRule, ...], info: ValidationInfo) -> tuple[TransferRule, ...]:
        entities = info.data.get("legal_entities")  # None: refused by itself
        if entities is not None and (wrong := defect(rules, {entity.legal_entity_id for entity in entities})):
            raise ValueError(wrong)
        return rules

    @model_validator(mode="after")
    def _complete(self) -> Config:
        missing = set(Rule.__args__) - set(self.routing)  # type: ignore[attr-defined]
        if missing:
            raise ValueError(f"routing lacks the rules {sorted(missing)}: each needs an owner_team and a fix")
        if len(self.entity_by_crm_value) != sum(len(e.crm_values) for e in self.legal_entities):
            raise ValueError("legal_entities: one CRM value names two legal entities; each may name one")
        ours = {entity.legal_entity_id for entity in self.legal_entities}
        for person in self.people:
            if foreign := set(person.entities or ()) - ours:
                raise ValueError(f"people: {person.person} has entities {sorted(foreign)}; there are {sorted(ours)}")
        for rule in self.number_owner:
            if rule.legal_entity_id is not None and rule.legal_entity_id not in ours:
                raise ValueError(f"number_owner names {rule.legal_entity_id!r}; legal entities: {sorted(ours)}")
        treatments = set(self.tax_treatments.values())
        for entity in self.legal_entities:
            if strange := {rule.treatment for rule in entity.taxes} - treatments:
                raise ValueError(
                    f"taxes of {entity.legal_entity_id} name {sorted(strange)}; tax_treatments has {sorted(treatments)}"
                )
        teams = {route.owner_team for route in self.routing.values()}
        if strangers := set(self.channels) - teams:
            raise ValueError(f"channels names {sorted(strangers)}, who own no exceptions; owner teams: {sorted(teams)}")
        return self

    @cached_property
    def entity_by_crm_value(self) -> dict[str, LegalEntity]:
        """CRM value -> the legal entity it stands for."""
        return {value: entity for entity in self.legal_entities for value in entity.crm_values}

    def legal_entity(self, legal_entity_id: str) -> LegalEntity:
        """Return a company of ours. Raises ConfigurationError for one that psflow.yaml does not have."""
        for entity in self.legal_entities:
            if entity.legal_entity_id == legal_entity_id:
                return entity
        raise ConfigurationError(
            f"legal entity {legal_entity_id!r} is not in psflow.yaml; add it or correct the run's conf"
        )

    def people_who_may(self, step: Duty, legal_entity_id: str) -> tuple[Person, ...]:
        """Return the people who may do what takes a duty for a legal entity: submit its batch, close its period."""
        return tuple(p for p in self.people if step in p.may and p.sees(legal_entity_id))

    def mode(self, system: str, legal_entity_id: str | None, capability: str) -> Mode:
        """Return what may leave for a write; an entity that is not known yet (None) fits only rules that name none."""
        for rule in self.modes:
            if (
                rule.system in (None, system)
                and rule.legal_entity_id in (None, legal_entity_id)
                and rule.capability in (None, capability)
            ):
                return rule.mode
        return "post"

    def person_of(self, airflow_user: str) -> Person:
        """Return the person behind an Airflow login. Raises ConfigurationError for a login nobody owns."""
        for person in self.people:
            if person.airflow_user == airflow_user:
                return person
        raise ConfigurationError(f"Airflow user {airflow_user!r} is no person in psflow.yaml; add it under people")


def default_path() -> Path:
    """Return PSFLOW_CONFIG, or psflow.yaml beside the installed project, or in the current folder."""
    if given := os.environ.get("PSFLOW_CONFIG"):
        return Path(given)
    beside = Path(__file__).resolve().parents[2] / "psflow.yaml"
    return beside if beside.exists() else Path.cwd() / "psflow.yaml"


def load(path: Path | None = None) -> Config:
    """
    Read and check psflow.yaml.

    Raises ConfigurationError listing every defect as `file:line:col: key: what is wrong (got value)`.
    """
    path = path or default_path()
    try:
        tree = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such file; set PSFLOW_CONFIG or create it") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ConfigurationError(f"{where}: not YAML: {getattr(error, 'problem', error)}") from None
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        found = error.errors()
        # a list whose every item is refused is also called too short: that says nothing more
        told = [e for e in found if e["type"] != "too_short" or not any(_within(e["loc"], o["loc"]) for o in found)]
        raise ConfigurationError(
            "\n".join(_explain(path, tree, e["loc"], _said(e), e["input"]) for e in told)
        ) from None


def _within(outer: tuple[int | str, ...], inner: tuple[int | str, ...]) -> bool:
    return len(outer) < len(inner) and inner[: len(outer)] == outer


def _said(error: ErrorDetails) -> str:
    """Return what is wrong; of a key that does not exist, also which keys do."""
    if error["type"] != "extra_forbidden":
        return error["msg"]
    kind: Any = Config
    for part in error["loc"][:-1]:
        fields = getattr(kind, "model_fields", {})
        inside = [a for a in get_args(kind) if a not in (..., type(None))]
        kind = fields[part].annotation if part in fields else (inside or [None])[-1]
    return f"there is no such key; the keys are {', '.join(getattr(kind, 'model_fields', {}))}"


def _explain(path: Path, tree: Any, loc: tuple[int | str, ...], message: str, value: Any) -> str:
    line, col = position(tree, loc)
    got = f" (got {value!r})" if isinstance(value, (str, int, float, bool)) or value is None else ""
    return f"{path}:{line}:{col}: {'.'.join(map(str, loc)) or 'file'}: {message.removeprefix('Value error, ')}{got}"


def position(tree: Any, loc: tuple[int | str, ...]) -> tuple[int, int]:
    """Follow `loc` as far as the file goes; a missing key is placed at its parent. 1-based."""
    line, col, node = 0, 0, tree
    for part in loc:
        marks = getattr(node, "lc", None)
        if marks is None or marks.data is None or (part not in marks.data):
            break
        line, col = marks.data[part][:2]
        node = node[part]
    return line + 1, col + 1

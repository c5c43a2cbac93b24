"""
Contract terms into the database: what is new or changed goes in with an audit row, what is the same stays as it is.

A changed term is a new version. A price that hours are billed at keeps its number: another one starts on a later day.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from psflow.config import Config, Person
from psflow.contracts.agreed import AgreedOvertime, AgreedPayers, AgreedRate, Agreement
from psflow.errors import GateFailed, NeedsReview
from psflow.flows.terms_file import TERMS, Piece, TermsFile
from psflow.flows.terms_rows import STATEMENTS, columns
from psflow.store import audit, duties
from psflow.store.connection import Row, Store


@dataclass(frozen=True, slots=True)
class _Block:
    """A contract, what the head of its block says, and who loads it."""

    contract: Row
    head: Agreement
    person: Person


def load(store: Store, config: Config, path: Path, airflow_user: str) -> tuple[int, list[str]]:
    """
    Load a file of terms; return how many agreements are new or changed, and what is wrong, each with its place.

    Raises ConfigurationError when the file cannot be read, NeedsReview without the duty `rates`.
    """
    person, file = _editor(config, airflow_user), TermsFile.read(path)
    with store.transaction("terms.duties"):
        duties.tell(store, config)  # who sets a price decides on nothing that is billed at it
    changed, said = 0, dict[tuple[str, ...], str]()
    for key in file.tree:
        if block := _block(store, file, key, person):
            pieces = list(file.pieces(key))
            for piece in pieces:
                if lacks := _lacks(store, block, piece, pieces):
                    file.defect(piece.place, lacks)
                else:
                    changed += _take(store, file, block, piece, said)
    return changed, file.wrong


def accept(
    store: Store, config: Config, key: str, milestone: str, airflow_user: str, evidence: str, delivered_by: str,
    on: dt.date,
) -> None:  # fmt: skip
    """
    Say that a milestone is accepted; the next batch bills it.

    Raises NeedsReview for a contract or milestone that is not there, GateFailed when the person delivered it, and when
    it is accepted already.
    """
    person, contract = config.person_of(airflow_user), find(store, key)
    known: list[str] = store.value(_MILESTONES, contract=contract["contract_id"])
    if not person.sees(contract["legal_entity_id"]):
        raise NeedsReview(f"{airflow_user} does not see {contract['legal_entity_id']}; see entities in psflow.yaml")
    if milestone not in known:
        raise NeedsReview(f"{key} has no milestone {milestone!r}; it has {', '.join(known) or 'none'}")
    if not evidence.strip() or not delivered_by.strip():
        raise GateFailed(f"milestone {milestone}: evidence and who delivered it must be said; say where it is kept")
    if {delivered_by.strip().casefold()} & {name.casefold() for name in (person.person, *_names(config, person))}:
        raise GateFailed(f"milestone {milestone}: {airflow_user} delivered it; another person accepts it")
    with store.transaction("terms.accept"):
        done = store.run(
            _ACCEPT, contract=contract["contract_id"], milestone=milestone, on=on, person=person.person,
            delivered=delivered_by.strip(), evidence=evidence,
        )  # fmt: skip
        if not done:
            raise GateFailed(f"milestone {milestone} of {key} is accepted already; what stands, stays")
        detail = {"accepted_on": on.isoformat(), "delivered_by": delivered_by.strip(), "evidence": evidence}
        audit.write(store, "milestone.accepted", f"{contract['contract_id']} {milestone}", person.person, detail)


def find(store: Store, key: str) -> Row:
    """Return the contract of a project code, engagement id or contract id. Raises NeedsReview for none and for two."""
    found = store.rows(_CONTRACT, key=key)
    if len(found) != 1:
        what = "names two contracts; give the contract id" if found else "is no project, engagement or contract"
        raise NeedsReview(f"{key} {what}; activate its deal first, or correct it")
    return found[0]


def _names(config: Config, person: Person) -> list[str]:
    own = [login for login in config.people if login.person == person.person]
    return [name for login in own for name in (login.airflow_user, login.resource) if name]


def _editor(config: Config, airflow_user: str) -> Person:
    person = config.person_of(airflow_user)
    if "rates" not in person.may:
        raise NeedsReview(f"{airflow_user} may not set terms; it takes the duty rates, see may under people")
    return person


def _block(store: Store, file: TermsFile, key: Any, person: Person) -> _Block | None:
    """Return a contract's block, None when it cannot be taken; why is noted."""
    head = file.head(key)
    if head is None:
        return None
    try:
        contract = find(store, str(key))
    except NeedsReview as error:
        file.defect((key,), str(error))
        return None
    if not person.sees(contract["legal_entity_id"]):
        file.defect((key,), f"{person.airflow_user} does not see {contract['legal_entity_id']}; see entities in people")
    elif head.currency != contract["currency"]:
        file.defect((key, "currency"), f"the contract is in {contract['currency']}; correct it", head.currency)
    else:
        return _Block(contract, head, person)
    return None


def _lacks(store: Store, block: _Block, piece: Piece, pieces: Sequence[Piece]) -> str | None:
    """Return what an agreement lacks beside it, in the file, agreed or known before; None when nothing."""
    scope = {"contract": block.contract["contract_id"], "customer": block.contract["customer_id"]}
    beside = [other.said for other in pieces]
    match piece.said:
        case AgreedPayers(shares=shares):
            return next((lacks for share in shares if (lacks := _lacks_payer(store, block, share.customer))), None)
        case AgreedOvertime(multiplier=None):
            rates = [other for other in beside if isinstance(other, AgreedRate) and other.is_overtime]
            if not rates and not store.value(_HAS_RATE_OF_OVERTIME, **scope):
                return "has no multiplier, and no rate has is_overtime; give one of the two"
        case AgreedRate(is_overtime=True):
            agreed = [other for other in beside if isinstance(other, AgreedOvertime)]
            if not agreed and not store.value(_HAS_OVERTIME, **scope):
                return "is for overtime, and nothing says from when on it is; give after_hours under overtime"
    return None


def _lacks_payer(store: Store, block: _Block, payer: str) -> str | None:
    """Return why a customer cannot be sent an invoice of this contract; None when one can."""
    own, project = block.contract["customer_id"], block.contract["project_code"]
    if not store.value("select exists (select from core.customer where customer_id = %(payer)s)", payer=payer):
        named = store.rows("select customer_id from core.customer where name = %(payer)s", payer=payer)
        meant = f", whose id is {', '.join(row['customer_id'] for row in named)}" if named else ""
        return f"{payer} is no customer's id{meant}; this project's own customer is {own}"
    lacks = store.value(_LACKS_PARTY, payer=payer, own=own, project=project)
    return f"{payer} is not known in {lacks}, which invoices; activate a deal of theirs first" if lacks else None


def _take(store: Store, file: TermsFile, block: _Block, piece: Piece, said: dict[tuple[str, ...], str]) -> bool:
    """Keep one agreement; return whether it is new or changed."""
    name = str(piece.place[1])
    kept = columns(piece, block.contract, block.head.currency)
    own = (name, *(str(value) for value in kept[0].values()))
    if before := said.get(own):
        file.defect(piece.place, f"is the same agreement as {before}; keep one of them")
        return False
    said[own] = ".".join(map(str, piece.place))
    with store.transaction("terms.load"):
        if name == "terms":
            return _term(store, block, str(piece.place[2]), piece.said)
        return _agreement(store, file, block, piece, *kept)


def _term(store: Store, block: _Block, term: str, said: Any) -> bool:
    where = {"contract": block.contract["contract_id"], "term": term}
    store.run("select pg_advisory_xact_lock(hashtext(%(contract)s))", contract=where["contract"])
    found = store.row(_NEWEST, **where)
    try:
        if found and TERMS.validate_python(found["terms"]) == said:
            return False
    except ValidationError:
        pass  # what nobody can read is replaced
    version = found["version"] + 1 if found else 1
    store.run(
        _TERM, version=version, kind=said.kind, terms=said.model_dump_json(), on=block.head.agreed_on,
        reason=block.head.reason, **where,
    )  # fmt: skip
    _tell(store, block, f"terms {term}", found["terms"] if found else None, said.model_dump(mode="json"))
    return True


def _agreement(
    store: Store, file: TermsFile, block: _Block, piece: Piece, key: Mapping[str, Any], values: Mapping[str, Any]
) -> bool:
    find_it, put = STATEMENTS[type(piece.said)]
    found = store.row(find_it, **key)
    if found == values:
        return False
    if found and [found.get(n) for n in _PRICE] != [values.get(n) for n in _PRICE] and store.value(_IS_BILLED, **key):
        what = f"hours are billed at {found['hourly_rate']}; end it with valid_to and add a price from a later day"
        name = "day_rate" if values["day_rate"] else "hourly_rate"
        file.defect((*piece.place, name), what, str(values[name]))
        return False
    store.run(put, **key, **values, agreed_on=block.head.agreed_on, reason=block.head.reason)
    before = {name: str(value) for name, value in found.items()} if found else None
    _tell(store, block, " ".join(map(str, (piece.place[1], *key.values()))), before,
          {name: str(value) for name, value in values.items()})  # fmt: skip
    return True


def _tell(store: Store, block: _Block, what: str, before: Any, after: Any) -> None:
    detail = {"before": before, "after": after, "currency": block.head.currency, "reason": block.head.reason}
    audit.write(store, "terms.set", f"{block.contract['contract_id']} {what}", block.person.person, detail)


_CONTRACT = """
select contract_id, legal_entity_id, contract.currency, contract_type, project_code, project.customer_id
from core.contract
join core.project using (engagement_id)
where %(key)s in (project_code, engagement_id, contract_id)
"""
_LACKS_PARTY = """
select min(own.system) from ops.crosswalk own
join ops.crosswalk project on (project.kind, project.entity_id, project.system, project.instance)
                              = ('project', %(project)s, own.system, own.instance)
where (own.kind, own.entity_id) = ('customer', %(own)s)
  and not exists (select from ops.crosswalk theirs where (theirs.kind, theirs.entity_id, theirs.system, theirs.instance)
                                                        = ('customer', %(payer)s, own.system, own.instance))
"""
_PRICE = ("hourly_rate", "day_rate", "hours_per_day")
_HAS_OVERTIME = "select exists (select from core.overtime where contract_id = %(contract)s)"
_HAS_RATE_OF_OVERTIME = """
select exists (select from core.agreed_rate
               where is_overtime and (level = 'standard' or level = 'contract_line'
                                      or (level, scope_id) in (('contract', %(contract)s), ('customer', %(customer)s))))
"""
_IS_BILLED = "select exists (select from billing.charge where rate_id = %(rate_id)s)"
_NEWEST = """
select version, terms from core.contract_term where (contract_id, term_id) = (%(contract)s, %(term)s)
order by version desc limit 1
"""
_TERM = """
insert into core.contract_term (contract_id, term_id, version, kind, terms, agreed_on, reason)
values (%(contract)s, %(term)s, %(version)s, %(kind)s, %(terms)s, %(on)s, %(reason)s)
"""
_MILESTONES = """
select coalesce(array_agg(line ->> 'milestone_id' order by line ->> 'milestone_id'), '{}')
from (select distinct on (term_id) kind, terms from core.contract_term where contract_id = %(contract)s
      order by term_id, version desc) newest
cross join jsonb_array_elements(terms -> 'lines') line
where kind = 'milestone'
"""
_ACCEPT = """
insert into core.acceptance (contract_id, milestone_id, accepted_on, accepted_by, delivered_by, evidence)
values (%(contract)s, %(milestone)s, %(on)s, %(person)s, %(delivered)s, %(evidence)s) on conflict do nothing
"""

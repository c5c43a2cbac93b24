"""Milestones: a deliverable is billed whole once it is accepted, and the last one takes the residue. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from psflow.contracts.terms import BillableItem, MilestoneTerms
from psflow.rules.split import shares


@dataclass(frozen=True, slots=True)
class Acceptance:
    """Who accepted a milestone and when, with what proof."""

    milestone_id: str
    accepted_on: dt.date
    accepted_by: str
    delivered_by: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where a contract stands by its output: money in the contract's currency, each at or above 0."""

    revenue: Decimal
    contract_asset: Decimal
    contract_liability: Decimal


def amounts(terms: MilestoneTerms, currency: str) -> dict[str, Decimal]:
    """Return what each milestone is billed at; without another agreement they add up to the price."""
    parts = shares(terms.price, [line.share for line in terms.lines], currency)
    return {
        line.milestone_id: part if line.agreed is None else line.agreed
        for line, part in zip(terms.lines, parts, strict=True)
    }


def is_accepted(acceptance: Acceptance) -> bool:
    """Whether an acceptance counts: it has its evidence and is not by who delivered."""
    return bool(acceptance.evidence.strip()) and acceptance.accepted_by != acceptance.delivered_by


def items(
    terms: MilestoneTerms, currency: str, acceptances: Sequence[Acceptance], until: dt.date
) -> list[BillableItem]:
    """Return what is to be billed of the milestones accepted up to a day."""
    accepted = {a.milestone_id: a.accepted_on for a in acceptances if is_accepted(a) and a.accepted_on <= until}
    worth = amounts(terms, currency)
    return [
        BillableItem(
            part=line.milestone_id, label=f"Milestone: {line.title}", worked_on=accepted[line.milestone_id],
            amount=worth[line.milestone_id], currency=currency,
        )
        for line in terms.lines
        if line.milestone_id in accepted
    ]  # fmt: skip


def position(accepted: Sequence[BillableItem], billed: Mapping[str, Decimal]) -> Position:
    """Return revenue by output and what of it is not billed, or billed ahead of it; `billed` is by part."""
    revenue = sum((item.amount for item in accepted), Decimal())
    open_amount = revenue - sum(billed.values(), Decimal())
    return Position(revenue, max(open_amount, Decimal()), max(-open_amount, Decimal()))

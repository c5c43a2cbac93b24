"""People, what they can do, when they have time, who asked for them and where they were put."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import Field

from psflow.contracts.values import Amount, Currency, DayHours, Id, Instant, Record


class Skill(Record):
    """One thing a person can do, as one word for the whole firm. Owner: planner."""

    skill: Id
    name: str


class Resource(Record):
    """A person who delivers. Owner: HR for the person, PSA for the role, planner for skills (psflow.yaml `owners`)."""

    resource_id: Id = Field(description="ours, minted at first sight; the crosswalk holds the others")
    name: str
    role: str | None = None
    is_active: bool
    work_email: str | None = Field(default=None, description="the exact key by which systems agree on a person")
    region: str | None = Field(default=None, description="where the person may deliver, as HR writes it")
    employed_from: dt.date | None = None
    employed_to: dt.date | None = Field(default=None, description="last day, included")
    skills: tuple[Id, ...] = ()


class Employment(Record):
    """Which company employs a person from a day on, until the next row. Owner: HR."""

    resource_ref: Id = Field(description="person id in the system that says so")
    valid_from: dt.date
    employer: str | None = Field(
        default=None, description="the company as HR writes it, `hr_values` of a legal entity; None: HR does not say"
    )


class WorkPattern(Record):
    """Hours of each weekday from a day on, before leave. Owner: planner."""

    resource_ref: Id = Field(description="person id in the system that says so")
    valid_from: dt.date
    hours: tuple[DayHours, DayHours, DayHours, DayHours, DayHours, DayHours, DayHours] = Field(
        description="Monday to Sunday"
    )


class Absence(Record):
    """Hours of one day on which a person does not work. Owner: HR."""

    absence_id: Id
    resource_ref: Id = Field(description="person id in the system that says so")
    absent_on: dt.date
    hours: DayHours
    is_approved: bool


class Capacity(Record):
    """Hours a person can give on one day: pattern, employment and leave already considered. Owner: psflow."""

    resource_id: Id
    day: dt.date
    hours: DayHours


class CostRate(Record):
    """What an hour of a person costs the firm between two dates, both included. Owner: planner."""

    resource_ref: Id = Field(description="person id in the system that says so")
    valid_from: dt.date
    valid_to: dt.date | None = None
    hourly_cost: Amount
    currency: Currency


class ResourceRequest(Record):
    """Demand of one engagement: role, skills and place, from one day to another. Owner: psflow."""

    request_id: Id
    engagement_id: Id
    role: Id
    skills: tuple[Id, ...] = ()
    region: str | None = Field(default=None, description="None: anywhere")
    starts_on: dt.date
    ends_on: dt.date = Field(description="last day, included")
    hours_per_day: DayHours = Field(description="on each working day, Monday to Friday")
    state: Literal["open", "assigned", "unstaffed", "closed"] = "open"


class Assignment(Record):
    """A person on a project between two days, both included. Owner: planner."""

    assignment_id: Id
    request_id: Id | None = Field(default=None, description="None: planned by hand in the planner")
    resource_ref: Id = Field(description="person id in the system that says so")
    project_ref: Id = Field(description="project id in the planner")
    starts_on: dt.date
    ends_on: dt.date
    hours_per_day: DayHours
    is_confirmed: bool
    modified_at: Instant | None = None

"""
What does a whole firm look like? Meridian: its people, deals, prices, work and story, and what must come of them.

Everything follows from SEED and SIZE of the environment. `*_records` are what each vendor holds before the first run;
`corrected_records` and `crm_again` come later in the story; `expected`, `staffing`, `revenue`, `utilization`,
`backlog` and `owed` are the oracle.
"""

from __future__ import annotations

from psflow.sandbox.meridian.agreed import ACCEPTED, ORDER, OTHER_PAYER, terms_yaml
from psflow.sandbox.meridian.crm import account_id, crm_again, crm_records, deal_id
from psflow.sandbox.meridian.deals import CAPPED, MILESTONES, ORDERED, RETAINER, SHARED
from psflow.sandbox.meridian.hr import employee_id, hr_records
from psflow.sandbox.meridian.openings import opening_csv
from psflow.sandbox.meridian.oracle import CLOSED, CORRECTIONS, FIRST, PERIODS, WAITING, Expected, Run, expected
from psflow.sandbox.meridian.oracle_intercompany import owed
from psflow.sandbox.meridian.oracle_metrics import backlog, revenue, staffing, utilization
from psflow.sandbox.meridian.plan import current
from psflow.sandbox.meridian.planner import people_id, planner_records
from psflow.sandbox.meridian.psa import (
    corrected_records,
    expense_records,
    psa_records,
    psa_workspaces,
    time_records,
    user_id,
)
from psflow.sandbox.meridian.story import DISPUTED, DISPUTED_DEAL

__all__ = [
    "ACCEPTED",
    "CAPPED",
    "CLOSED",
    "CORRECTIONS",
    "DISPUTED",
    "DISPUTED_DEAL",
    "FIRST",
    "MILESTONES",
    "ORDER",
    "ORDERED",
    "OTHER_PAYER",
    "PERIODS",
    "RETAINER",
    "SHARED",
    "WAITING",
    "Expected",
    "Run",
    "account_id",
    "backlog",
    "corrected_records",
    "crm_again",
    "crm_records",
    "current",
    "deal_id",
    "employee_id",
    "expected",
    "expense_records",
    "hr_records",
    "opening_csv",
    "owed",
    "people_id",
    "planner_records",
    "psa_records",
    "psa_workspaces",
    "revenue",
    "staffing",
    "terms_yaml",
    "time_records",
    "user_id",
    "utilization",
]  # fmt: skip

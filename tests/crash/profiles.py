"""How kind a vendor is to a write whose answer was lost, and how long psflow is told that it may take."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import inf

from psflow.config import Approval, Config, Person
from psflow.contracts import VendorProfile

VIRTUAL = {"deadline_s": 10.0, "late_landing_s": 5.0, "search_lag_s": 10.0, "lease_s": 60.0, "max_attempts": 4}
WALL = {"deadline_s": 1.5, "late_landing_s": 0.2, "search_lag_s": 0.1, "lease_s": 3.0, "max_attempts": 8, "per_s": 6.0}

LIMIT = Decimal(1500)  # USD of a batch: some are above it and some below


@dataclass(frozen=True, slots=True)
class Profile:
    """
    What ERP and PSA do, in shares of what psflow allows for, and how psflow is told to find a lost write there.

    `remembers`: leases for which a second create under the same key is answered as the first was. `lag`: of the search
    lag, until a new record is found. `late`: of the late landing, until a request that was cut off is applied.
    `draft_late`: leases until such a draft is, which no lease outlasts: reading back has to find it. `lookup: none`:
    what may have landed is given up, and read back; of the rest a person says that it never landed.
    """

    lookup: str = "search"
    remembers: float = 0
    lag: float = 0
    late: float = 0.9
    draft_late: float = 0


PROFILES = {
    "unique": Profile("unique_external_id", remembers=inf),
    "keyed": Profile("idempotency_key", remembers=4),
    "lagging": Profile(lag=0.9),
    "plain": Profile(draft_late=1.02),
    "none": Profile("none"),
}


def times(virtual: bool) -> dict[str, float]:
    """Return the profile's seconds of psflow.yaml for this clock."""
    return VIRTUAL if virtual else WALL


def adapted(config: Config, profile: Profile, virtual: bool) -> Config:
    """Return the firm's policy with these vendors' times, ERP and PSA of this kind, and two approvers above LIMIT."""
    given = times(virtual)
    told: dict[str, str | float] = {"lookup": profile.lookup}
    if profile.lookup == "idempotency_key":
        told |= {"key_lifetime_s": profile.remembers * given["lease_s"]}
    systems = {
        key: VendorProfile(**(old.model_dump() | given | (told if key in ("tryton", "kantata") else {})))
        for key, old in config.systems.items()
    }
    people = (*config.people, Person(person="P-104", airflow_user="fay", teams=("finance",), may=("approve",)))
    approval = Approval(second_approver_above={"USD": LIMIT})
    return config.model_copy(update={"systems": systems, "people": people, "approval": approval})

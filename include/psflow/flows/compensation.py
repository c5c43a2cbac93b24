"""
What an epoch of a deal made is closed again, never deleted: after a refusal, and when the deal is lost.

Each close is an effect of its own. It waits until the last attempt of what it undoes is over, since a late request may
make the record after all; then the vendor is looked at once more, and what came late is closed too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from psflow.config import Config
from psflow.errors import NeedsReview, Rejected, TransientError
from psflow.flows import staffing
from psflow.flows.effects import done, drive
from psflow.flows.read_back import read_back
from psflow.store import effects, exceptions
from psflow.store.connection import Row, Store, sql
from psflow.store.effects import NewEffect
from psflow.store.exceptions import Finding
from psflow.systems.ports import Crm, ReadsBack, System


def lost(store: Store) -> list[Row]:
    """Return {engagement_id, epoch} of the deals that were started, are no longer won, and are not closed yet."""
    return store.rows(sql("warehouse.activation", "lost"))


def close_lost(store: Store, config: Config, systems: Sequence[System], engagement_id: str, epoch: int) -> int:
    """
    Close what a deal made in these systems that was lost after its activation began; return how many records.

    What waits to be sent is withdrawn, what is in doubt is settled first. Won again, it begins its next epoch. Raises
    NeedsReview for a deal that is won, and when the fate of a write is a person's to find out.
    """
    with store.transaction("activation.lost"):
        day = store.value(sql("warehouse.activation", "mark_lost"), engagement_id=engagement_id, epoch=epoch)
        if day is None:
            raise NeedsReview(f"{engagement_id}.{epoch} was not started, is closed already, or its deal is won")
        waiting = _made(store, engagement_id, epoch, "pending")
        effects.withdraw(store, [row["effect_key"] for row in waiting], "its deal was lost before it was sent")
    return compensate(store, config, systems, engagement_id, epoch, day)


def compensate(
    store: Store, config: Config, systems: Sequence[System], engagement_id: str, epoch: int, ends_on: dt.date
) -> int:
    """
    Close what this epoch made in these systems, one after the other, and end it; return how many records are closed.

    `ends_on` is the last day that counts of who was booked. Raises Rejected or NeedsReview, with exceptions open, when
    something could not be closed; running it again goes on.
    """
    closed = sum(_close(store, config, system, engagement_id, epoch, ends_on) for system in systems)
    with store.transaction("activation.compensated"):
        store.run(sql("warehouse.activation", "compensated"), engagement_id=engagement_id, epoch=epoch)
        if any(row["state"] in ("pending", "intent") for row in _made(store, engagement_id, epoch)):
            raise TransientError(f"{engagement_id}.{epoch}: something was sent meanwhile; run again")
        staffing.close(store, engagement_id, epoch, ends_on)
    return closed


def tell(store: Store, config: Config, crm: Crm, refused: str, engagement_id: str, epoch: int, why: Rejected) -> str:
    """
    Tell the owner of activations that an effect was refused for good, and write on the deal in the CRM that it failed.

    Returns the opportunity's id. Raises Rejected or NeedsReview, with an exception open, when the CRM does not take it.
    """
    deal = store.value("select opportunity_id from core.engagement where engagement_id = %(id)s", id=engagement_id)
    payload = {"opportunity_id": deal, "status": "activation failed"}
    new = NewEffect(crm.key, "update_opportunity", f"{engagement_id}.{epoch}", payload, engagement_id)
    told = f"{why}; what was made is closed, and the deal says so"
    finding = Finding("activation", "engagement", engagement_id, refused, str(epoch), told, engagement_id)
    with store.transaction("activation.failed"):
        exceptions.resolve(store, "effect", "effect", [refused])  # told once, to who has to act
        exceptions.open_all(store, config, [finding])
        effects.register(store, [new])
    return done(drive(store, config, crm, [new.key]))[new.key]


def _close(store: Store, config: Config, system: System, engagement_id: str, epoch: int, ends_on: dt.date) -> int:
    made = [row for row in _made(store, engagement_id, epoch) if row["system"] == system.key]
    done(drive(store, config, system, [r["effect_key"] for r in made if r["state"] not in ("done", "refused")]))
    if not isinstance(system, ReadsBack):
        return 0
    landed = [row for row in _made(store, engagement_id, epoch, "done") if row["system"] == system.key]
    undone = [new for row in landed if (new := _undo(system, row, ends_on))]
    with store.transaction("activation.closing"):
        keys = effects.register(store, undone)
    done(drive(store, config, system, keys))
    read_back(store, config, system, [row["effect_key"] for row in landed], again=True)
    return len(keys)


def _undo(system: ReadsBack, row: Row, ends_on: dt.date) -> NewEffect | None:
    undo = system.undo(row["capability"], row["payload"], row["external_id"], ends_on)
    subject = row["effect_key"].split(":", 2)[2]
    return undo and NewEffect(
        system.key, undo.capability, subject, undo.payload, row["engagement_id"], undoes=row["effect_key"]
    )


def _made(store: Store, engagement_id: str, epoch: int, state: str | None = None) -> list[Row]:
    return store.rows(sql("warehouse.activation", "made"), engagement_id=engagement_id, epoch=epoch, state=state)

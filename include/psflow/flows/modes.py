"""
What may leave: post (sent), propose (waits until a person releases it), observe (nothing is sent, anywhere).

Asked right before effects are claimed, so a mode that changes counts from then on. One that is in doubt is not even
looked up while it is withheld: it waits as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from psflow.config import Config, Mode, Person
from psflow.errors import NeedsReview
from psflow.store import audit
from psflow.store.connection import Store


def withheld(store: Store, config: Config, keys: Sequence[str]) -> dict[str, Mode]:
    """Return key -> mode of the effects that are not done and may not be sent now."""
    if not config.modes:
        return {}
    rows = store.rows(_OPEN, keys=list(keys))
    modes = {row["effect_key"]: config.mode(row["system"], row["legal_entity_id"], row["capability"]) for row in rows}
    released = {row["effect_key"] for row in rows if row["released_at"]}
    return {
        key: mode for key, mode in modes.items() if mode == "observe" or (mode == "propose" and key not in released)
    }


def told(withheld: dict[str, Mode]) -> str:
    """Return what was not sent, and what to do about it."""
    by_mode = {mode: sorted(key for key, is_ in withheld.items() if is_ == mode) for mode in ("observe", "propose")}
    parts = [f"not sent (observe): {', '.join(by_mode['observe'])}"] if by_mode["observe"] else []
    if by_mode["propose"]:
        parts.append(f"proposed: {', '.join(by_mode['propose'])}; `psflow release` lets it out, then run this again")
    return "; ".join(parts)


def release(store: Store, keys: Sequence[str], by: Person) -> int:
    """
    Let proposed effects out under a person's name; return how many were waiting. The next run sends them.

    Raises NeedsReview without the duty `release`.
    """
    if "release" not in by.may:
        raise NeedsReview(f"{by.airflow_user} may not let effects out; see may under people in psflow.yaml")
    with store.transaction("effect.release"):
        released = store.rows(_RELEASE, keys=list(keys), person=by.person)
        for row in released:
            audit.write(store, "effect.released", row["effect_key"], by.person)
    return len(released)


_OPEN = """
select effect.effect_key, effect.system, effect.capability, effect.released_at,
       coalesce(batch.legal_entity_id, contract.legal_entity_id) as legal_entity_id
from ops.effect
left join billing.batch using (batch_id)
left join core.contract on contract.engagement_id = effect.engagement_id
where effect_key = any(%(keys)s) and effect.state <> 'done'
"""
_RELEASE = """
update ops.effect set released_by = %(person)s, released_at = clock_timestamp()
where effect_key = any(%(keys)s) and released_at is null and state <> 'done'
returning effect_key
"""

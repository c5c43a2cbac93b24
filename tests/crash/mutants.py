"""
Planted defects, at least one for each guard; a harness that does not find them proves nothing. How: `planting`.
"""

from __future__ import annotations

from collections.abc import Mapping

from tests.crash import attacks
from tests.crash.mutants_books import BOOKS
from tests.crash.mutants_intercompany import INTERCOMPANY
from tests.crash.mutants_periods import CLOSING
from tests.crash.mutants_postgres import POSTGRES
from tests.crash.planting import Mutant

_EFFECTS, _DRIVE = "psflow.store.effects", "psflow.flows.effects"
_LATE, _LOST = "activation/lagging@tryton.create_customer:sent+1", "activation/lagging@tryton.create_customer:answered"

# -- the protocol of an effect
PROTOCOL = {
    "no_lease": Mutant(
        "a claimed effect is looked at only when its lease is over",
        _EFFECTS,
        "or (state = 'intent' and lease_until < clock_timestamp())",
        "or state = 'intent'",
        hunts=(_LATE, _LOST),
    ),
    "no_lookup": Mutant(
        "what may have landed is looked up first",
        _DRIVE,
        'return ticket.key_is_old if profile.lookup == "idempotency_key" else ticket.uncertain',
        "return False",
        hunts=(_LOST,),
    ),
    "keys_live_for_ever": Mutant(
        "a vendor forgets a key",
        _DRIVE,
        'return ticket.key_is_old if profile.lookup == "idempotency_key" else ticket.uncertain',
        'return profile.lookup != "idempotency_key" and ticket.uncertain',
        hunts=("activation/keyed@tryton.create_customer:answered~900",),
    ),
    "lost_is_not_sent": Mutant(
        "a connection lost after sending leaves it uncertain",
        "psflow.systems.transport",
        'raise UncertainOutcome(f"{self.system}: {effect.key}: connection lost after sending") from None',
        'raise TransientError("lost") from None',
        hunts=("activation/lagging!POST parties:reset_after",),
    ),
    "late_is_not_sent": Mutant(
        "a time-out leaves it uncertain",
        "psflow.systems.transport",
        'raise UncertainOutcome(f"{self.system}: {effect.key}: {type(error).__name__} after sending") from None',
        'raise TransientError("late") from None',
        hunts=("activation/lagging!POST parties:timeout_after_commit",),
    ),
    "e500_is_not_applied": Mutant(
        "a 5xx proves nothing",
        "psflow.systems.transport",
        "        raise UncertainOutcome(said)",
        "        raise TransientError(said)",
        hunts=("activation/lagging!POST parties:error_after",),
    ),
    "e500_is_refused": Mutant(
        "only listed answers refuse",
        "psflow.systems.transport",
        "if _proves(reply, proof.refused):",
        "if reply.status >= 400:",
        hunts=("activation/unique!POST workspaces:error_after", "activation/unique!POST parties:error_after"),
    ),
    "no_audit_row": Mutant(
        "a result is audited",
        _EFFECTS,
        'audit.write(store, f"effect.{result.outcome}", result.effect.key, detail=detail)',
        "pass",
        hunts=("activation/unique",),
    ),
    "no_cap": Mutant(
        "attempts are used up",
        _DRIVE,
        "ticket.attempts > system.profile.max_attempts",
        "False",
        hunts=("activation/unique?1001",),
    ),
    "two_truths": Mutant(
        "a key has one payload",
        _EFFECTS,
        'if found["payload_hash"] != wanted[found["effect_key"]]:',
        "if False:",
        attack=attacks.two_truths,
    ),
    "foreign_ticket": Mutant(
        "a ticket is for one system",
        "psflow.contracts.effect",
        "if system != self.system:",
        "if False:",
        attack=attacks.foreign_ticket,
    ),
    "old_ticket": Mutant(
        "a ticket is not sent after a third of its lease",
        "psflow.contracts.effect",
        "if time.monotonic() > self.send_before:",
        "if False:",
        attack=attacks.old_ticket,
    ),
    "no_fence": Mutant(
        "only the last claim settles", _EFFECTS, "and fence = %(fence)s and", "and", attack=attacks.late_settle
    ),
    "result_is_forgotten": Mutant(
        "a result is kept", _DRIVE, "results = effects.settle(store, results)", "pass", hunts=("activation/unique",)
    ),
}

# -- the flows
FLOWS = {
    "torn_release": Mutant(
        "charges, invoices and drafts are decided in one transaction",
        "psflow.flows.billing_posting",
        '    store.run(sql("warehouse.billing", "charges"), batch=batch_id)\n',
        '    store.run(sql("warehouse.billing", "charges"), batch=batch_id)\n'
        '    store._connection.commit()\n    __import__("psflow.crash").crash.point("billing.torn")\n',
        hunts=("billing/unique@billing.release:before-commit",),
    ),
    "no_compensation": Mutant(
        "a refused deal is closed in the ERP",
        "psflow.flows.activation",
        "        _compensate(store, config, erp, engagement_id, epoch)\n        raise\n",
        "        raise\n",
        hunts=("compensation/unique",),
    ),
    "refusal_untold": Mutant(
        "a refused deal says so in the CRM, and its owner is told",
        "psflow.flows.activation",
        "compensation.tell(store, config, crm, refused, engagement_id, epoch, error)",
        "pass",
        hunts=("compensation/unique",),
    ),
    "one_epoch": Mutant(
        "a deal won again has effects of its own",
        "psflow.flows.activation",
        '    shell = _shell(project, epoch) | {"customer_ref": party}\n',
        '    shell, epoch = _shell(project, epoch) | {"customer_ref": party}, 1\n',
        hunts=("rewon/unique",),
    ),
    "strays_stay": Mutant(
        "drafts that stand twice are cancelled",
        "psflow.flows.read_back",
        'and copy.state != "closed"]',
        "and False]",
        hunts=("billing/plain@tryton.draft_invoice:sent+1",),
    ),
    "moved": Mutant(
        "what is posted is what was approved",
        "psflow.flows.billing_posting",
        "    if moved:\n        some = ",
        "    if False:\n        some = ",
        attack=attacks.moved,
    ),
    "no_crosswalk": Mutant(
        "what was made is known again",
        "psflow.flows.activation",
        "        crosswalk.link(store, kind, ours, system, external_id)\n",
        "        pass\n",
        hunts=("activation/unique",),
    ),
    "active_too_soon": Mutant(
        "a deal is active when its CRM knows",
        "psflow.flows.activation",
        "    opportunity_id = _drive_one(store, config, crm, update, epoch)\n",
        '    opportunity_id = project["opportunity_id"]\n',
        hunts=("activation/unique",),
    ),
    "gate_looks_away": Mutant(
        "a blocked deal is not started",
        "psflow.rules.activation",
        "failures += [card] if isinstance(card, Failure) else _unpriced(deal, card)",
        "card = policy.rate_cards[0] if isinstance(card, Failure) else card",
        hunts=("activation/unique",),
    ),
    "staffed_twice": Mutant(
        "who is matched is not matched again",
        "psflow.flows.staffing",
        '        _mark(store, "assigned", [o.request.request_id for o in taken])\n',
        "",
        hunts=("staffing/unique",),
    ),
}

MUTANTS: Mapping[str, Mutant] = {**PROTOCOL, **FLOWS, **POSTGRES, **BOOKS, **CLOSING, **INTERCOMPANY}
EXPLAINED: Mapping[str, str] = {}

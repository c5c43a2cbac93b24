"""
The ledger one project should have, in plain Python: loops over a few objects, no SQL, written apart from the engine.

Money is Decimal in dollars, an amount is minutes x rate / 60 rounded once, half away from zero.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
MICRO = Decimal("0.000001")
OWN = "C"  # the customer whose project it is


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def worth(minutes: Decimal | int, rate: Decimal) -> Decimal:
    return cents(minutes * rate / 60)


def pays_for(amount: Decimal, rate: Decimal) -> Decimal:
    return (amount * 60 / rate).quantize(MICRO, rounding=ROUND_HALF_UP)


@dataclass(frozen=True)
class Split:
    """Who pays, from a day of the work on: percent by payer; one of them takes what the others' rounding leaves."""

    since: dt.date
    percent: dict[str, Decimal]
    residue: str

    def of(self, amount: Decimal) -> dict[str, Decimal]:
        parts = {who: cents(amount * pct / 100) for who, pct in self.percent.items() if who != self.residue}
        return parts | {self.residue: amount - sum(parts.values(), Decimal())}


@dataclass
class Entry:
    """An hour as it is now; `version` counts every edit, also one that money does not hang on."""

    key: str
    on: dt.date
    minutes: int
    role: str
    approved: bool = True
    version: int = 1
    written_off: Decimal = Decimal()  # minutes
    lost: Decimal = Decimal()  # their amount

    def facts(self) -> tuple[dt.date, int, str]:
        return self.on, self.minutes, self.role


@dataclass
class Charge:
    """One line of the ledger; a reversal has a charge's amount below zero and names nobody's price but its own."""

    key: str
    version: int
    seq: int
    facts: tuple[dt.date, int, str]
    rate: Decimal
    whole: Decimal
    minutes: Decimal
    amount: Decimal
    payer: str = OWN
    split: Split | None = None
    is_live: bool = True


@dataclass
class Book:
    """One project: its hours, prices, cap, decisions and ledger."""

    rates: dict[str, Decimal]
    limit: Decimal | None
    entries: dict[str, Entry] = field(default_factory=dict)
    charges: list[Charge] = field(default_factory=list)
    credits: dict[str, tuple[Decimal, str | None]] = field(default_factory=dict)  # entry -> minutes to credit, of whom
    last: tuple[list[Charge], list[Charge]] = ([], [])  # what the newest batch took back, and charged
    decided: set[str] = field(default_factory=set)  # entries credited in it
    splits: list[Split] = field(default_factory=list)
    lines: list[tuple[str, int, int, str, str, Decimal, Decimal]] = field(default_factory=list)

    def live(self, key: str) -> list[Charge]:
        return [charge for charge in self.charges if charge.key == key and charge.is_live]

    def bill(self, until: dt.date, since: dt.date = dt.date.min) -> bool:
        """Bill what was done between two days; False when nothing comes of it or all of it waits."""
        back, again, candidates = list[Charge](), list[Charge](), list[Entry]()
        for key, entry in self.entries.items():
            live = self.live(key)
            if not (entry.approved and since <= entry.on <= until):
                back += [charge for charge in live if since <= charge.facts[0] <= until]
                continue
            back += [charge for charge in live if charge.facts != entry.facts()]
            if credited := self._credited(entry):
                back += credited
                again += self._accepted(entry, credited)
            else:
                candidates.append(entry)
        made = again + self._fill(candidates, back, again)
        return self._keep(back, made)

    def cancel(self, payer: str) -> bool:
        """One payer's draft of the newest batch is cancelled; False when there is none, or it carries a credit."""
        back, made = ([charge for charge in part if charge.payer == payer] for part in self.last)
        if not back + made or self.decided & {charge.key for charge in back + made}:
            return False
        self.last = [], []
        for charge in back:
            charge.is_live = True
        self.charges = [charge for charge in self.charges if charge not in made]
        of = {(charge.key, charge.version, charge.seq, "reversal") for charge in back}
        of |= {(charge.key, charge.version, charge.seq, "charge") for charge in made}
        self.lines = [line for line in self.lines if line[:4] not in of]
        return True

    def _credited(self, entry: Entry) -> list[Charge]:
        if entry.key not in self.credits:
            return []
        whose = self.credits[entry.key][1]
        return [c for c in self.live(entry.key) if c.facts == entry.facts() and whose in (None, c.payer)]

    def _accepted(self, entry: Entry, live: list[Charge]) -> list[Charge]:
        minutes = sum((c.minutes for c in live), Decimal()) - self.credits[entry.key][0]
        if worth(minutes, live[0].rate) <= 0:  # the entry may be shorter by now than what is credited
            return []
        split, payers = live[0].split, {charge.payer for charge in live}
        weights = {who: pct for who, pct in split.percent.items() if who in payers} if split else {}
        whole = self._charge(entry, live[0].rate, live[-1].whole, minutes, worth(minutes, live[0].rate))
        return self._parts(whole, split, weights)

    def _fill(self, candidates: list[Entry], back: list[Charge], again: list[Charge]) -> list[Charge]:
        """Give each candidate, in the order of its work, what the cap has left."""
        used = sum((c.amount for c in self.charges if c.is_live and c not in back), Decimal())
        used += sum((c.amount for c in again), Decimal())
        made = list[Charge]()
        for entry in sorted(candidates, key=lambda e: (e.on, e.key)):
            stands = [c for c in self.live(entry.key) if c not in back]
            before = sorted(self.live(entry.key), key=lambda c: (-c.version, -c.seq))
            kept = bool(before) and (before[0].facts[0], before[0].facts[2]) == (entry.on, entry.role)
            rate = stands[0].rate if stands else before[0].rate if kept else self.rates[entry.role]
            whole = stands[-1].whole if stands else worth(entry.minutes, rate)
            owed = whole - sum((c.amount for c in stands), Decimal()) - entry.lost
            minutes = Decimal(entry.minutes) - sum((c.minutes for c in stands), Decimal()) - entry.written_off
            take = owed if self.limit is None else min(owed, max(self.limit - used, Decimal()))
            if owed <= 0 or take <= 0:
                continue
            used += take
            part = minutes if take == owed else pays_for(take, rate)
            is_alike = bool(before) and before[0].facts[0] == entry.on
            split = before[0].split if is_alike else self._split_of(entry.on)
            weights = self._weights(split, whole - entry.lost, stands, is_fresh=not stands and not entry.lost)
            made += self._parts(self._charge(entry, rate, whole, part, take), split, weights)
        return made

    def _split_of(self, day: dt.date) -> Split | None:
        agreed = [(split.since, number, split) for number, split in enumerate(self.splits) if split.since <= day]
        return max(agreed, key=lambda each: each[:2])[2] if agreed else None

    @staticmethod
    def _weights(split: Split | None, due: Decimal, stands: list[Charge], *, is_fresh: bool) -> dict[str, Decimal]:
        if split is None or is_fresh:
            return split.percent if split else {}
        stood = {who: sum((c.amount for c in stands if c.payer == who), Decimal()) for who in split.percent}
        return {who: max(part - stood[who], Decimal()) for who, part in split.of(due).items()}

    @staticmethod
    def _parts(whole: Charge, split: Split | None, weights: dict[str, Decimal]) -> list[Charge]:
        """Split a charge by weights; who has the residue, or else the first who pays, takes what rounding leaves."""
        if split is None:
            return [whole]
        order = sorted((who for who in weights if weights[who]), key=lambda who: (who != split.residue, who))
        total = sum(weights.values())
        amounts = {who: cents(whole.amount * weights[who] / total) for who in order[1:]}
        amounts[order[0]] = whole.amount - sum(amounts.values(), Decimal())
        paying = [who for who in order if amounts[who]]
        minutes = {who: pays_for(amounts[who], whole.rate) for who in paying[1:]}
        minutes[paying[0]] = whole.minutes - sum(minutes.values(), Decimal())
        return [
            replace(whole, seq=whole.seq + place, payer=who, split=split, amount=amounts[who], minutes=minutes[who])
            for place, who in enumerate(sorted(paying))
        ]

    def _charge(self, entry: Entry, rate: Decimal, whole: Decimal, minutes: Decimal, amount: Decimal) -> Charge:
        seqs = [c.seq for c in self.charges if (c.key, c.version) == (entry.key, entry.version)]
        return Charge(entry.key, entry.version, max(seqs, default=0) + 1, entry.facts(), rate, whole, minutes, amount)

    def _keep(self, back: list[Charge], made: list[Charge]) -> bool:
        while waiting := self._waiting(back, made):
            if self.limit is not None:  # what it is to give back is room that others take
                return False
            together = {c.key for c in back + made if c.payer in waiting and self._is_one(c.key, back, made)}
            back = [c for c in back if c.payer not in waiting and c.key not in together]
            made = [c for c in made if c.payer not in waiting and c.key not in together]
        if not back + made:
            return False
        self.last = back, made
        self.decided = {charge.key for charge in back} & set(self.credits)
        for charge in back:
            charge.is_live = False
            self.lines.append(
                (charge.key, charge.version, charge.seq, "reversal", charge.payer, -charge.minutes, -charge.amount)
            )
            if charge.facts == self.entries[charge.key].facts() and self.entries[charge.key].approved:
                self.credits.pop(charge.key, None)
        for charge in made:
            self.charges.append(charge)
            self.lines.append(
                (charge.key, charge.version, charge.seq, "charge", charge.payer, charge.minutes, charge.amount)
            )
        return True

    def _waiting(self, back: list[Charge], made: list[Charge]) -> set[str]:
        """Return the payers whose invoice would be at or below zero, and not by a credit that was decided."""
        nets = dict.fromkeys((c.payer for c in back + made), Decimal())
        for charge in made:
            nets[charge.payer] += charge.amount
        for charge in back:
            nets[charge.payer] -= charge.amount
        decided = {c.payer for c in back if self._is_decided(c)}
        return {payer for payer, net in nets.items() if net == 0 or (net < 0 and payer not in decided)}

    def _is_one(self, key: str, back: list[Charge], made: list[Charge]) -> bool:
        """Whether all that is billed of an entry waits with one payer: decided on, moved, or only taken back."""
        lines = [c for c in back + made if c.key == key]
        moved = len({c.facts[0] for c in lines}) > 1 or len({id(c.split) for c in lines}) > 1
        return moved or any(map(self._is_decided, lines)) or not any(c.key == key for c in made)

    def _is_decided(self, charge: Charge) -> bool:
        entry = self.entries[charge.key]
        return charge.key in self.credits and entry.approved and charge.facts == entry.facts()

"""
The ledger one project should have, in plain Python: loops over a few objects, no SQL, written apart from the engine.

Money is Decimal in dollars, an amount is minutes x rate / 60 rounded once, half away from zero.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

CENT = Decimal("0.01")
MICRO = Decimal("0.000001")


def worth(minutes: Decimal | int, rate: Decimal) -> Decimal:
    return (minutes * rate / 60).quantize(CENT, rounding=ROUND_HALF_UP)


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
    is_live: bool = True


@dataclass
class Book:
    """One project: its hours, prices, cap, decisions and ledger."""

    rates: dict[str, Decimal]
    limit: Decimal | None
    entries: dict[str, Entry] = field(default_factory=dict)
    charges: list[Charge] = field(default_factory=list)
    credits: dict[str, Decimal] = field(default_factory=dict)  # entry -> minutes that were not taken back yet
    lines: list[tuple[str, int, int, str, Decimal, Decimal]] = field(default_factory=list)

    def live(self, key: str) -> list[Charge]:
        return [charge for charge in self.charges if charge.key == key and charge.is_live]

    def bill(self, until: dt.date, since: dt.date = dt.date.min) -> bool:
        """Bill what was done between two days; False when nothing comes of it or all of it waits."""
        back, again, candidates = list[Charge](), list[Charge](), list[Entry]()
        for key, entry in self.entries.items():
            live = self.live(key)
            if not (entry.approved and since <= entry.on <= until):
                back += [charge for charge in live if since <= charge.facts[0] <= until]
            elif live and live[0].facts != entry.facts():
                back += live
                candidates.append(entry)
            elif key in self.credits and live:
                back += live
                again += self._accepted(entry, live)
            else:
                candidates.append(entry)
        made = again + self._fill(candidates, back, again)
        return self._keep(back, made)

    def _accepted(self, entry: Entry, live: list[Charge]) -> list[Charge]:
        minutes = sum((c.minutes for c in live), Decimal()) - self.credits[entry.key]
        if not minutes:
            return []
        return [self._charge(entry, live[0].rate, live[-1].whole, minutes, worth(minutes, live[0].rate))]

    def _fill(self, candidates: list[Entry], back: list[Charge], again: list[Charge]) -> list[Charge]:
        """Give each candidate, in the order of its work, what the cap has left."""
        used = sum((c.amount for c in self.charges if c.is_live and c not in back), Decimal())
        used += sum((c.amount for c in again), Decimal())
        made = list[Charge]()
        for entry in sorted(candidates, key=lambda e: (e.on, e.key)):
            stands = [c for c in self.live(entry.key) if c not in back]
            before = self.live(entry.key)
            kept = bool(before) and (before[0].facts[0], before[0].facts[2]) == (entry.on, entry.role)
            rate = before[0].rate if kept else self.rates[entry.role]
            whole = stands[-1].whole if stands else worth(entry.minutes, rate)
            owed = whole - sum((c.amount for c in stands), Decimal()) - entry.lost
            minutes = Decimal(entry.minutes) - sum((c.minutes for c in stands), Decimal()) - entry.written_off
            take = owed if self.limit is None else min(owed, max(self.limit - used, Decimal()))
            if owed <= 0 or take <= 0:
                continue
            used += take
            part = minutes if take == owed else (take * 60 / rate).quantize(MICRO, rounding=ROUND_HALF_UP)
            made.append(self._charge(entry, rate, whole, part, take))
        return made

    def _charge(self, entry: Entry, rate: Decimal, whole: Decimal, minutes: Decimal, amount: Decimal) -> Charge:
        seqs = [c.seq for c in self.charges if (c.key, c.version) == (entry.key, entry.version)]
        return Charge(entry.key, entry.version, max(seqs, default=0) + 1, entry.facts(), rate, whole, minutes, amount)

    def _keep(self, back: list[Charge], made: list[Charge]) -> bool:
        net = sum((c.amount for c in made), Decimal()) - sum((c.amount for c in back), Decimal())
        credited = {c.key for c in back} & set(self.credits)
        decided = any(
            key in self.credits and self.entries[key].approved and self.live(key)[0].facts == self.entries[key].facts()
            for key in credited
        )
        if not (back or made) or net == 0 or (net < 0 and not decided):
            return False
        for charge in back:
            charge.is_live = False
            self.lines.append((charge.key, charge.version, charge.seq, "reversal", -charge.minutes, -charge.amount))
            if charge.facts == self.entries[charge.key].facts() and self.entries[charge.key].approved:
                self.credits.pop(charge.key, None)
        for charge in made:
            self.charges.append(charge)
            self.lines.append((charge.key, charge.version, charge.seq, "charge", charge.minutes, charge.amount))
        return True

"""Rounding and sharing of money: rounded once, and the parts add up to the whole. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Literal

_DIGITS = dict.fromkeys(
    ["BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"], 0
) | dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3)  # fmt: skip
Tie = Literal["half_up", "half_even"]
_TIES = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN}


def round_money(amount: Decimal, currency: str, tie: Tie = "half_up") -> Decimal:
    """Round to the currency's minor unit (ISO 4217), as `billing.round_money` does: a tie goes away from zero."""
    return amount.quantize(Decimal(1).scaleb(-_DIGITS.get(currency, 2)), rounding=_TIES[tie])


def shares(total: Decimal, weights: Sequence[Decimal], currency: str, residue: int = -1) -> list[Decimal]:
    """
    Split a total by weights: the others rounded, the part at `residue` takes what is left.

    A total below zero mirrors the same total above. Raises ValueError when the weights do not add up to more than 0.
    """
    whole = sum(weights, Decimal())
    if whole <= 0:
        raise ValueError(f"weights: they add up to {whole}, which nothing can be split by")
    parts = [round_money(total * weight / whole, currency) for weight in weights]
    parts[residue] += round_money(total, currency) - sum(parts, Decimal())
    return parts

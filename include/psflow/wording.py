"""How people read values: money with its currency, names instead of keys, what differs between before and after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

Values = Mapping[str, Any]
# our and the vendors' housekeeping, and what may say too much of a person
_UNSAID = {
    "attributes", "SystemModstamp", "LastModifiedDate", "LastModifiedById", "totalSize", "done",
    "street", "city", "notes", "line_key",
}  # fmt: skip
_MONEY = ("amount", "hourly_rate", "day_rate", "unitprice", "cost", "tax", "taxable")


def money(amount: Decimal | str | None, currency: str | None) -> str:
    """Return e.g. `1,234.50 USD`; a dash when there is none."""
    if amount is None:
        return "\N{EN DASH}"
    value = Decimal(amount)
    places = max(2, -int(value.normalize().as_tuple().exponent))
    return f"{value:,.{0 if currency == 'JPY' else places}f} {currency or ''}".strip()


def values(of: Values) -> str:
    """Return what a record holds: `name Rollout, amount 281.05 USD, expenses category Travel, amount 100.55 USD`."""
    return ", ".join(f"{_label(key)} {_said(key, value, _currency(of))}" for key, value in _kept(of))


def difference(before: Values, after: Values) -> tuple[str, str]:
    """Return what was and what is now of the fields that differ; both are empty when none does."""
    was, now = dict(_kept(before)), dict(_kept(after))
    keys = sorted(key for key in was.keys() | now.keys() if was.get(key) != now.get(key))
    old, new = _currency(before), _currency(after)
    return (
        ", ".join(f"{_label(key)} {_said(key, was.get(key), old)}" for key in keys),
        ", ".join(f"{_label(key)} {_said(key, now.get(key), new)}" for key in keys),
    )


def _kept(of: Values) -> Iterator[tuple[str, Any]]:
    yield from ((key, value) for key, value in of.items() if key not in _UNSAID and value is not None)


def _label(key: str) -> str:
    return key.removesuffix("__c").replace("_", " ")


def _currency(of: Values) -> str | None:
    return next((of[name] for name in ("currency", "CurrencyIsoCode") if of.get(name)), None)


def _said(key: str, value: Any, currency: str | None) -> str:
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, Mapping):
        return ", ".join(f"{_label(k)} {_said(k, v, _currency(value) or currency)}" for k, v in _kept(value))
    if isinstance(value, list):
        return "; ".join(_said(key, item, currency) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    try:
        if key.lower() in _MONEY:
            return money(str(value), currency)
        return f"{Decimal(value).normalize():f}" if key in ("hours", "rate_pct") else str(value)
    except InvalidOperation:
        return str(value)

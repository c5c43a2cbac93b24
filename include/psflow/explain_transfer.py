"""What one company of ours owes another for an hour, and why; or what its transfer waits for."""

from __future__ import annotations

from psflow.explain_words import hours, money, plain
from psflow.store.connection import Row, Store, sql


def transfers(store: Store, entry: str) -> list[str]:
    """Return a sentence for each transfer of an hour and one when a transfer waits; none for own hours."""
    return [_says(row) for row in store.rows(sql("warehouse.explain", "transfers"), entry=entry)]


def _says(row: Row) -> str:
    if row["waits_for"]:
        return (
            f"{row['lender'] or 'nobody knows which company'} lends it to {row['borrower']}: waits, {row['waits_for']}"
        )
    owed = money(row["amount"], row["currency"])
    said = f"{row['borrower']} owes {row['lender']} {owed} for it, {_price(row)}, transfer {row['transfer_id']}"
    back = f"; taken back in {row['taken_back_in']}" if row["taken_back_in"] else ""
    return f"{said}, counts in {row['month']} in both books{back}"


def _price(row: Row) -> str:
    """Return the price in words; what a person costs is not for everybody who may read an entry."""
    basis, factor = money(row["basis"], row["basis_currency"]), plain(row["factor_pct"])
    match row["price_kind"]:
        case "rate":
            return f"at the rate of {row['role']}, {basis} an hour"
        case "cost_plus":
            return f"at its cost and {plain(row['factor_pct'] - 100)} %"
    rate = "" if row["fx_rate"] == 1 else f", exchange rate {plain(row['fx_rate'])}"
    return f"at {factor} % of the {basis} that {hours(row['basis_minutes'])} are billed at{rate}"

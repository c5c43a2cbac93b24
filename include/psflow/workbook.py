"""An XLSX workbook of plain tables: text stays text (none of it is ever a formula), numbers and days are themselves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import xlsxwriter

from psflow.contracts import text

Cell = str | int | Decimal | dt.date | None
_MOST_ROWS, _MOST_TEXT = 1_048_575, 32_767  # what a sheet and a cell may hold
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_PLAIN = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table: its name (at most 31 characters), its headings, its rows."""

    name: str
    head: Sequence[str]
    rows: Iterable[Sequence[Cell]]


def write(path: Path, sheets: Sequence[Sheet]) -> None:
    """Write the sheets, in their order. Rows beyond what a sheet can hold raise ValueError."""
    with xlsxwriter.Workbook(path, _PLAIN) as book:
        styles = {"head": book.add_format({"bold": True}), "day": book.add_format({"num_format": "yyyy-mm-dd"})}
        for sheet in sheets:
            _fill(book.add_worksheet(sheet.name), sheet, styles)


def _fill(page: Any, sheet: Sheet, styles: dict[str, Any]) -> None:
    page.freeze_panes(1, 0)
    page.set_column(0, max(0, len(sheet.head) - 1), 18)
    for column, title in enumerate(sheet.head):
        page.write_string(0, column, title, styles["head"])
    for number, row in enumerate(sheet.rows, 1):
        if number > _MOST_ROWS:
            raise ValueError(f"sheet {sheet.name!r} would have more than {_MOST_ROWS} rows")
        for column, value in enumerate(row):
            _put(page, number, column, value, styles)


def _put(page: Any, row: int, column: int, value: Cell, styles: dict[str, Any]) -> None:
    match value:
        case None:
            return
        case str():
            page.write_string(row, column, _text(value))
        case dt.date():
            page.write_datetime(row, column, value, styles["day"])
        case _:
            page.write_number(row, column, value)


def _text(value: str) -> str:
    """Return what a cell shows; what a spreadsheet would calculate once saved as CSV begins with an apostrophe."""
    return text.lines(f"'{value}" if value.startswith(_FORMULA) else value)[:_MOST_TEXT]

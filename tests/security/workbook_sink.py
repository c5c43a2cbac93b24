"""Text in a workbook: no formula, no link, and every cell says what was given."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from zipfile import ZipFile

import xlsxwriter

from psflow import workbook

_XML = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_CALCULATES = ("=", "+", "-", "@")
_MOST = 32_767


def write(*texts: str) -> str:
    """Return the XML of a sheet with one row a text, by the product's writer."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.xlsx"
        workbook.write(file, [workbook.Sheet("names", ["name"], [[text] for text in texts])])
        return _sheet(file)


def naive(text: str) -> str:
    """Return the XML of a sheet whose writer lets the library guess what a text is."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "x.xlsx"
        with xlsxwriter.Workbook(file, {"constant_memory": True}) as book:
            page = book.add_worksheet("names")
            page.write(0, 0, "name")
            page.write(1, 0, text)
        return _sheet(file)


def holds(text: str, written: str) -> bool:
    """Whether a sheet says the text and nothing else."""
    return _says([text], written)


def all_hold(texts: Sequence[str]) -> bool:
    """Whether a sheet says each of the texts in its own row."""
    return _says(texts, write(*texts))


def _sheet(file: Path) -> str:
    with ZipFile(file) as archive:
        return archive.read("xl/worksheets/sheet1.xml").decode()


def _says(texts: Sequence[str], written: str) -> bool:
    sheet = ElementTree.fromstring(written)
    if any(True for name in ("f", "hyperlink") for _ in sheet.iter(f"{_XML}{name}")):
        return False
    cells = ["".join(cell.itertext()) for cell in sheet.iter(f"{_XML}c")][1:]
    if any(cell.startswith(_CALCULATES) for cell in cells):
        return False
    return [said for cell in cells if (said := _bare(cell))] == [given for text in texts if (given := _bare(text))]


def _bare(text: str) -> str:
    """Return what a text shows, without blanks and what a writer may put before or cut off."""
    return "".join(c for c in text if c.isprintable() and not c.isspace()).lstrip("'")[: _MOST // 2]

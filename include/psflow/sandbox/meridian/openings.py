"""What finance exports once: one opening balance a project, as the CSV that `psflow` loads."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

from psflow.sandbox.meridian.oracle import expected

_COLUMNS = ("project_code", "as_of", "hours", "amount", "currency")


def opening_csv(projects: Mapping[str, str]) -> str:
    """Return the file's text; `projects` is deal number -> our project code."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)  # a carriage return is not quoted by itself
    writer.writerow(_COLUMNS)
    for deal, opening in expected().openings.items():
        writer.writerow((projects[deal], opening.as_of, opening.hours, opening.amount, opening.currency))
    return text.getvalue()

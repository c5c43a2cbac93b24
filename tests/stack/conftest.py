"""A folder for servers that run as another account than the tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def place() -> Iterator[Path]:
    """Return a new folder that everybody may pass through, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="psflow-tests-") as name:
        Path(name).chmod(0o755)
        yield Path(name)

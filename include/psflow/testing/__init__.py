"""Does an adapter keep what every adapter promises? The conformance suite, as a pytest plugin.

In a system's own tests: `pytest_plugins = ["psflow.testing"]`, and a class that inherits `Conformance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from psflow.testing.effects import open_effect
from psflow.testing.suite import Conformance

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Conformance", "open_effect", "pytest_generate_tests"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of a suite once for each capability and stream its registration declares."""
    suite = metafunc.cls
    if suite is None or not issubclass(suite, Conformance):
        return
    declared: dict[str, Iterable[str]] = {
        "capability": suite.registration.capabilities,
        "stream": suite.registration.streams,
        "loose_stream": suite.registration.streams - suite.strict_streams,
    }
    for name in declared.keys() & set(metafunc.fixturenames):
        none: list[Any] = [pytest.param(None, marks=pytest.mark.skip(reason=f"declares no {name}"))]
        metafunc.parametrize(name, sorted(declared[name]) or none)

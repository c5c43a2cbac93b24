"""
Which systems are installed: ours, and those a firm keeps in a package of its own.

Both say so by an entry point of the group `psflow.systems` that names a `Registration`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import get_args

from psflow.contracts import Capability, Stream
from psflow.errors import ConfigurationError
from psflow.systems.ports import Registration

GROUP = "psflow.systems"
_ROLES = ("crm", "erp", "psa", "hr", "planner")


def registrations() -> list[Registration]:
    """Return every installed system, by role and key. Raises ConfigurationError that names the broken entry point."""
    return _sorted(_loaded(point) for point in entry_points(group=GROUP))


def _sorted(found: Iterable[Registration]) -> list[Registration]:
    by_key: dict[str, Registration] = {}
    for each in found:
        if by_key.setdefault(each.key, each) != each:
            raise ConfigurationError(f"two systems register as {each.key!r}; give one another key or uninstall it")
    return sorted(by_key.values(), key=lambda each: (_ROLES.index(each.role), each.key))


def _loaded(point: EntryPoint) -> Registration:
    named = f"entry point {GROUP}: {point.name} = {point.value}" + (f" of {point.dist.name}" if point.dist else "")
    try:
        found = point.load()
    except Exception as error:  # an import may fail in any way; whoever made the package must see which
        raise ConfigurationError(f"{named} cannot be loaded: {type(error).__name__}: {error}") from error
    if not isinstance(found, Registration):
        raise ConfigurationError(f"{named} is a {type(found).__name__}, not a psflow.systems.Registration")
    known = {*_ROLES, *get_args(Capability), *get_args(Stream)}
    if unknown := {found.role, *found.capabilities, *found.streams} - known:
        raise ConfigurationError(f"{named} declares {', '.join(sorted(unknown))}, which psflow does not know")
    return found


def table(systems: Sequence[Registration] | None = None) -> str:
    """Return who offers what as a Markdown table: a row a capability and a row a stream, a column a system."""
    systems = registrations() if systems is None else systems
    rows = [["", *(each.name for each in systems)], ["---", *(":-:" for _ in systems)]]
    rows.append(["API version", *(each.api_version for each in systems)])
    for capability in get_args(Capability):
        rows.append([f"`{capability}`", *_marks(capability in each.capabilities for each in systems)])
    for stream in get_args(Stream):
        rows.append([f"reads `{stream}`", *_marks(stream in each.streams for each in systems)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _marks(offered: Iterable[bool]) -> list[str]:
    return ["yes" if each else "-" for each in offered]

"""
How a defect is planted: one guard is taken away, in a worker's memory or in the database of its case alone.

A mutant is a text of the package replaced by another, or a statement that takes a guard out of Postgres. `hunts` are
cases in which it must be found: `stage/profile`, then `@point+late` for a death, `~seconds` for how long nobody comes,
`!METHOD last:fault` for a fault, `?word` for a vendor that takes no request with it; or an attack.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tests.crash.attacks import Attack


@dataclass(frozen=True, slots=True)
class Mutant:
    """One guard taken away. `beside` takes away others that would refuse the attack too; the guard alone must then."""

    guard: str
    module: str = ""
    text: str = ""
    by: str = ""
    statement: str = ""
    beside: str = ""
    hunts: tuple[str, ...] = ()
    attack: Attack | None = None

    def apply(self) -> None:
        """Plant it in this process."""
        if self.module:
            plant(self.module, self.text, self.by)


def source(module: str) -> str:
    """Return the text of a module of the package."""
    file = importlib.import_module(module).__file__
    assert file is not None
    with open(file, encoding="utf-8") as text:  # noqa: PTH123
        return text.read()


def plant(name: str, text: str, by: str) -> None:
    """Replace a text in a module and let every other use what changed. Raises LookupError when it is not there."""
    code = source(name)
    if code.count(text) != 1:
        raise LookupError(f"{name} has {code.count(text)} times {text!r}; correct tests/crash/mutants.py")
    module = importlib.import_module(name)
    before = dict(vars(module))
    exec(compile(code.replace(text, by), str(module.__file__), "exec"), vars(module))
    new = {id(old): vars(module)[key] for key, old in before.items() if _made_in(name, old)}
    for other in list(sys.modules.values()):
        if isinstance(other, ModuleType) and other.__name__.startswith(("psflow.", "tests.crash")):
            for key, value in list(vars(other).items()):
                if id(value) in new:
                    setattr(other, key, new[id(value)])


def _made_in(module: str, value: Any) -> bool:
    return getattr(value, "__module__", None) == module and not isinstance(value, ModuleType)


def without(function: str, old: str, new: str) -> str:
    """Return the statement that replaces a text in a function of Postgres; it fails when the text is not there."""
    return (
        f"do $do$ declare body text := pg_get_functiondef('{function}'::regproc); begin "
        f"if position($t${old}$t$ in body) = 0 then raise exception '{function} lacks the text'; end if; "
        f"execute replace(body, $t${old}$t$, $t${new}$t$); end $do$"
    )


def dropped(table: str, constraint: str) -> str:
    """Return the statement that takes a constraint away."""
    return f"alter table {table} drop constraint {constraint} cascade"


def granted(what: str, table: str) -> str:
    """Return the statement that lets the application do more to a table."""
    return f"grant {what} on {table} to psflow_app"


def last(guard: str, statement: str, attack: Attack, beside: str = "") -> Mutant:
    """Return the mutant of a guard in Postgres."""
    return Mutant(guard, statement=statement, beside=beside, attack=attack)

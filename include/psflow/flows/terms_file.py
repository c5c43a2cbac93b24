"""
The file of contract terms: read, checked piece by piece, each defect with its place; what is right is handed on.

One block a contract, under its project code, engagement id or contract id: `currency`, `agreed_on`, `reason`, and
`terms` (id -> terms), `caps`, `purchase_orders`, `payers`, `rates`, `overtime`, `increments`, `expenses` (lists).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import YAMLError

from psflow.config import position
from psflow.contracts.agreed import (
    AgreedCap,
    AgreedExpense,
    AgreedIncrement,
    AgreedOrder,
    AgreedOvertime,
    AgreedPayers,
    AgreedRate,
    Agreement,
)
from psflow.contracts.terms import Terms
from psflow.contracts.values import Record
from psflow.errors import ConfigurationError

Place = tuple[int | str, ...]
TERMS: TypeAdapter[Terms] = TypeAdapter(Terms)
_LISTS: dict[str, type[Record]] = {
    "caps": AgreedCap,
    "purchase_orders": AgreedOrder,
    "payers": AgreedPayers,
    "rates": AgreedRate,
    "overtime": AgreedOvertime,
    "increments": AgreedIncrement,
    "expenses": AgreedExpense,
}
_SECTIONS = ("terms", *_LISTS)


class _Exact(RoundTripConstructor):
    """Reads 180.50 as it is written: money is never a float."""


_Exact.add_constructor("tag:yaml.org,2002:float", lambda _, node: node.value)


@dataclass(frozen=True, slots=True)
class Piece:
    """One agreement of a contract that is well-formed, and where it stands."""

    place: Place
    said: Record


@dataclass
class TermsFile:
    """A file of terms; `wrong` grows with each defect that is found."""

    path: Path
    tree: Any
    wrong: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> TermsFile:
        """Read a file. Raises ConfigurationError when it cannot be read or is not blocks under keys."""
        yaml = YAML(typ="rt")
        yaml.Constructor = _Exact
        try:
            tree = yaml.load(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: cannot be read: {error}; give a text file in UTF-8") from None
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
            raise ConfigurationError(f"{where}: not YAML: {getattr(error, 'problem', error)}") from None
        if not isinstance(tree, dict) or not tree:
            raise ConfigurationError(f"{path}:1:1: file: has no contracts; write `PROJECT:` and its terms below it")
        return cls(path, tree)

    def defect(self, place: Place, what: str, value: Any = None) -> None:
        """Note a defect as `file:line:col: key: what (got value)`."""
        line, col = position(self.tree, place)
        got = f" (got {value!r})" if isinstance(value, (str, int)) else ""
        self.wrong.append(f"{self.path}:{line}:{col}: {'.'.join(map(str, place))}: {what}{got}")

    def head(self, key: str) -> Agreement | None:
        """Return the head of a contract's block; None when it is wrong, which is noted."""
        block = self.tree[key]
        if not isinstance(block, dict):
            self.defect((key,), "has no agreements; write currency, agreed_on, reason and what is agreed below it")
            return None
        try:
            return Agreement.model_validate({k: v for k, v in block.items() if k not in _SECTIONS})
        except ValidationError as error:
            self._refuse((key,), error)
            return None

    def pieces(self, key: str) -> Iterator[Piece]:
        """Yield what is well-formed of a contract's block; what is not is noted."""
        block = self.tree[key]
        kinds: dict[str, TypeAdapter[Any]] = {"terms": TERMS} | {n: TypeAdapter(k) for n, k in _LISTS.items()}
        for name, kind in kinds.items():
            found: Any = block.get(name, {} if name == "terms" else [])
            if not isinstance(found, dict if name == "terms" else list):
                self.defect((key, name), f"must be {'terms under their ids' if name == 'terms' else 'a list'}", found)
                continue
            for at, raw in found.items() if isinstance(found, dict) else enumerate(found):
                try:
                    yield Piece((key, name, at), kind.validate_python(raw))
                except ValidationError as error:
                    self._refuse((key, name, at), error)

    def _refuse(self, place: Place, error: ValidationError) -> None:
        for one in error.errors():
            loc = one["loc"][1:] if len(place) > 1 and place[1] == "terms" else one["loc"]  # the first is the kind
            what = "there is no such key" if one["type"] == "extra_forbidden" else one["msg"]
            self.defect(
                (*place, *loc), f"{what.removeprefix('Value error, ')}; correct it and load again", one["input"]
            )

"""The house rules that a linter cannot hold: one way out, one commit, one maker of tickets, files where words are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = sorted(p for folder in ("include", "plugins", "dags") for p in (ROOT / folder).rglob("*.py"))
PRODUCT = [p for p in CODE if "sandbox" not in p.relative_to(ROOT).as_posix()]  # what talks to real vendors
HTTP = {"requests", "httpx", "aiohttp", "urllib.request", "http.client", "urllib3"}


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def where(paths: Iterator[Path]) -> list[str]:
    return sorted({p.relative_to(ROOT).as_posix() for p in paths})


def test_there_is_one_way_to_a_vendor() -> None:
    found = where(p for p in PRODUCT if any(m in HTTP or m.split(".")[0] in HTTP for m in imported(p)))
    # the hooks only prepare the session that Transport is given
    assert found == ["include/psflow/systems/transport.py", "plugins/psflow_airflow/hooks/base.py"]


def test_there_is_one_place_that_commits() -> None:
    found = where(p for p in PRODUCT for call in calls(p) if name_of(call) == "commit")
    assert found == ["include/psflow/store/connection.py"]


def test_only_a_claim_makes_an_open_effect() -> None:
    found = where(p for p in CODE for call in calls(p) if name_of(call) == "OpenEffect")
    assert found == ["include/psflow/store/effects.py", "include/psflow/testing/effects.py"]  # that is for tests


def test_every_write_of_an_adapter_takes_an_open_effect() -> None:
    for path in (ROOT / "include/psflow/systems").glob("*/*.py"):
        for call in calls(path):
            if name_of(call) == "write" and "sandbox" not in path.name:
                first = ast.unparse(call.args[0]) if call.args else ""
                assert first == "effect", f"{path.name}:{call.lineno} writes without an effect"


@pytest.mark.parametrize("path", CODE, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_text_is_built_into_sql_and_nothing_unsafe_is_called(path: Path) -> None:
    for call in calls(path):
        name = name_of(call)
        if (
            name in ("execute", "executemany", "rows", "row", "value", "run", "run_many")
            and "vendor_app" not in path.name
        ):
            for part in call.args[:1]:
                built = isinstance(part, ast.JoinedStr) or (
                    isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod)
                )
                assert not built or "sandbox" in path.as_posix(), f"{path.name}:{call.lineno} builds a statement"
        assert name not in ("eval", "exec", "unsafe_load"), f"{path.name}:{call.lineno} calls {name}"
        for keyword in call.keywords:
            follows = keyword.arg in ("allow_redirects", "follow_redirects") and ast.unparse(keyword.value) != "False"
            assert not follows, f"{path.name}:{call.lineno} follows redirects"
    assert not {"pickle", "marshal", "shelve"} & set(imported(path))


@pytest.mark.parametrize("path", sorted((ROOT / "include/psflow/warehouse").rglob("*.sql")), ids=lambda p: p.stem)
def test_a_sql_file_says_what_it_is_and_selects_what_it_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("-- ")
    if "migrations" not in path.parts:
        assert not re.search(r"\{\{|\bformat\b.*%[^s%(]", text)


def test_money_and_hours_never_become_floats() -> None:
    for path in PRODUCT:
        for call in calls(path):
            if name_of(call) == "float":
                said = ast.unparse(call)
                assert not re.search(r"amount|rate|price|money|hours", said), f"{path.name}:{call.lineno}: {said}"


def test_each_folder_says_which_question_it_answers() -> None:
    for folder in ("contracts", "rules", "systems", "store", "warehouse", "gates", "flows", "sandbox", "testing"):
        first = (ROOT / "include/psflow" / folder / "__init__.py").read_text(encoding="utf-8").split("\n")[0]
        assert "?" in first, folder


def test_a_process_has_one_word_in_every_ring() -> None:
    for word in ("activation", "time_expense", "billing", "reconciliation"):
        places = [f"dags/{word}.py", f"include/psflow/flows/{word}.py", f"include/psflow/warehouse/{word}",
                  f"tests/flows/test_{word}.py"]  # fmt: skip
        missing = [p for p in places if not (ROOT / p).exists()]
        assert missing in ([], ["tests/flows/test_reconciliation.py"]), missing


def test_the_lock_has_no_address_and_the_wheel_holds_three_packages() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"://|^-|--(?!hash=)", lock, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert [p.split("/")[-1] for p in packages] == ["psflow", "psflow_airflow", "psflow_expectations"]


def test_imports_point_inward() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "3 kept, 0 broken" in done.stdout

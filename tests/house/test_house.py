"""The house rules that a linter cannot hold: one way out, one commit, one maker of tickets, files where words are."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
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
    # the lines are the transport's own; the hooks only prepare the session that it is given
    ways = ["include/psflow/systems/lines.py", "include/psflow/systems/transport.py"]
    assert found == [*ways, "plugins/psflow_airflow/hooks/base.py"]


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


STATEMENTS = ("execute", "executemany", "rows", "row", "value", "run", "run_many", "copy", "SQL", "exec_driver_sql")


def is_built(node: ast.expr) -> bool:
    """Whether a text is put together when it runs. Constants side by side are one constant."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mod, ast.Add)):
        return not (isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant))
    if isinstance(node, ast.IfExp):
        return is_built(node.body) or is_built(node.orelse)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Call) and name_of(node) in ("format", "join"))


def built_statements(parsed: ast.AST) -> list[int]:
    """Return the lines where a statement is built from text instead of given parameters."""
    asked = [node for node in ast.walk(parsed) if isinstance(node, ast.Call) and name_of(node) in STATEMENTS]
    return [call.lineno for call in asked if call.args and is_built(call.args[0])]


def built_soql(parsed: ast.AST) -> list[int]:
    """Return the lines of a SOQL text into which a value goes as it is: behind WHERE, only `soql_…` writes one."""
    found = []
    for node in ast.walk(parsed):
        if isinstance(node, ast.BinOp) and "SELECT " in ast.unparse(node) and is_built(node):
            found.append(node.lineno)
        if not isinstance(node, ast.JoinedStr) or not re.search(r"\b(SELECT|WHERE)\b", ast.unparse(node)):
            continue
        said = ""
        for part in node.values:
            said += part.value if isinstance(part, ast.Constant) else ""
            if isinstance(part, ast.FormattedValue):
                value = part.value
                is_name = isinstance(value, ast.Name) or (isinstance(value, ast.Call) and name_of(value) == "join")
                is_literal = isinstance(value, ast.Call) and name_of(value).startswith("soql_")
                if not (is_literal or (is_name and "WHERE" not in said)):
                    found.append(node.lineno)
    return found


def unsafe_calls(parsed: ast.AST) -> list[str]:
    """Return what runs text as code, reads what may build objects, follows redirects, or trusts any certificate."""
    found = []
    for call in (node for node in ast.walk(parsed) if isinstance(node, ast.Call)):
        said = {k.arg: ast.unparse(k.value) for k in call.keywords}
        if name_of(call) in ("eval", "exec", "unsafe_load", "full_load", "__import__", "Markup"):
            found.append(f"{call.lineno}: {name_of(call)}")
        if name_of(call) == "YAML" and said.get("typ", "'rt'") not in ("'rt'", "'safe'"):
            found.append(f"{call.lineno}: YAML {said['typ']}")
        refused = {"allow_redirects": "True", "follow_redirects": "True", "shell": "True", "verify": "False"}
        # what is not said as a plain False may be true when it runs
        found += [
            f"{call.lineno}: {k}" for k in ("allow_redirects", "follow_redirects") if said.get(k, "False") != "False"
        ]
        found += [f"{call.lineno}: {k}" for k in ("shell", "verify") if said.get(k) == refused[k]]
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_no_text_is_built_into_sql_and_nothing_unsafe_is_called(path: Path) -> None:
    assert "sandbox" in path.as_posix() or "vendor_app" in path.name or built_statements(tree(path)) == []
    assert unsafe_calls(tree(path)) == []
    assert not {"pickle", "marshal", "shelve", "yaml", "dill"} & set(imported(path))


def test_no_value_is_written_into_soql_but_as_a_literal() -> None:
    for path in (ROOT / "include/psflow/systems/salesforce").glob("*.py"):
        assert built_soql(tree(path)) == [], path.name
    client = tree(ROOT / "include/psflow/systems/salesforce/client.py")
    for call in (n for n in ast.walk(client) if isinstance(n, ast.Call) and name_of(n) == "_statement"):
        assert not any(is_built(part) for part in call.args[:2]), f"client.py:{call.lineno}"


@pytest.mark.parametrize(
    ("check", "planted"),
    [
        (built_statements, "store.run(f\"select * from core.customer where name = '{name}'\")"),
        (built_statements, "store.rows('select * from ' + table)"),
        (built_statements, "store.value('select %s' % name)"),
        (built_statements, "cursor.execute('select {}'.format(name))"),
        (built_statements, "store.row(' and '.join(wanted))"),
        (built_statements, "store.run('select 1' if plain else f'select {x}')"),
        (built_soql, "f\"SELECT Id FROM Account WHERE Name = '{name}'\""),
        (built_soql, "f'SELECT Id FROM Account WHERE Id = {record.id}'"),
        (built_soql, "f'SELECT Id FROM {row[0]}'"),
        (built_soql, '"SELECT Id FROM Account WHERE Name = \'" + name'),
        (unsafe_calls, "session.get(url, allow_redirects=True)"),
        (unsafe_calls, "httpx.Client(follow_redirects=redirects)"),
        (unsafe_calls, "session.get(url, verify=False)"),
        (unsafe_calls, "subprocess.run(said, shell=True)"),
        (unsafe_calls, "YAML(typ='unsafe').load(text)"),
        (unsafe_calls, "yaml.unsafe_load(text)"),
        (unsafe_calls, "eval(text)"),
    ],
)
def test_a_planted_one_is_caught(check: Callable[[ast.AST], list[object]], planted: str) -> None:
    assert len(check(ast.parse(planted))) == 1


def test_a_vendors_address_comes_from_its_connection_alone() -> None:
    made = where(p for p in PRODUCT for call in calls(p) if name_of(call) == "Transport")
    assert made == ["plugins/psflow_airflow/hooks/base.py"]


def test_what_people_write_is_never_markup() -> None:
    for template in (ROOT / "plugins/psflow_airflow/pages/templates").glob("*.html"):
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*(safe|tojson)\b|autoescape\s+false", text), template.name
    script = (ROOT / "plugins/psflow_airflow/pages/static/psflow.js").read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function", script)


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

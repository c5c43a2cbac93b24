"""`make` on a machine as it is: the wrong Python, no pip, no room, no network; and the second time for nothing."""

from __future__ import annotations

import ast
import errno
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of what the bootstrap reads, in a path with a space."""
    copy = tmp_path / "a project"
    (copy / "scripts").mkdir(parents=True)
    for name in ("scripts/bootstrap.py", "requirements.lock", "pyproject.toml", "Makefile"):
        shutil.copy(PROJECT / name, copy / name)
    return copy


def bootstrap(project: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    """Run the project's bootstrap after replacing constants, with no package index to reach."""
    script = project / "scripts" / "bootstrap.py"
    text = script.read_text()
    for old, new in changed.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"{old} ") or line.startswith(f"{old}, ")]
        text = text.replace(line, f"{line.partition('=')[0]}= {new}")
    script.write_text(text)
    alone = {"PATH": "/usr/bin:/bin", "PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1"}
    return subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, env=alone, stdin=subprocess.DEVNULL
    )


def load(project: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", project / "scripts" / "bootstrap.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def says_one_sentence(done: subprocess.CompletedProcess[str], words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert words in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_the_wrong_python_is_told_which_one_is_needed(project: Path) -> None:
    says_one_sentence(bootstrap(project, OLDEST="(3, 98), (3, 99)"), "psflow needs Python 3.11 to 3.14")
    assert not (project / ".venv").exists()


def test_an_old_python_can_read_the_bootstrap() -> None:
    tree = ast.parse((PROJECT / "scripts" / "bootstrap.py").read_text(), feature_version=(3, 7))
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Starred, ast.Nonlocal, ast.AsyncFunctionDef)
    assert [node.lineno for node in ast.walk(tree) if isinstance(node, newer)] == []
    assert [a.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for a in node.kwonlyargs] == []


def test_a_second_make_finds_the_stamp_and_does_nothing(project: Path) -> None:
    module = load(project)
    stamp = project / ".venv" / "psflow-stamp"
    stamp.parent.mkdir()
    stamp.write_text(module.wanted_stamp(module.find_python()))
    done = bootstrap(project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (project / ".runtime").exists()


@pytest.mark.parametrize("changed", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed_and_no_network_is_said(project: Path, changed: str) -> None:
    module = load(project)
    stamp = project / ".venv" / "psflow-stamp"
    stamp.parent.mkdir()
    stamp.write_text(module.wanted_stamp(module.find_python()))
    with (project / changed).open("a") as file:
        file.write("# one more line\n")
    says_one_sentence(bootstrap(project), "could not get uv: the reason is above")


def test_a_full_disk_is_named_with_what_is_needed(project: Path) -> None:
    says_one_sentence(bootstrap(project, DISK_MB="10**12"), "make room and run make again")


def test_a_folder_that_cannot_be_made_is_named(project: Path) -> None:
    (project / ".runtime").write_text("a file stands where the folder belongs")
    says_one_sentence(bootstrap(project), "cannot set psflow up in")


def test_a_folder_of_somebody_else_is_named(project: Path) -> None:
    error = PermissionError(errno.EACCES, "Permission denied", "/srv/psflow/.runtime")
    assert (
        load(project).explain(error) == "/srv/psflow/.runtime may not be written; clone psflow into a folder of yours"
    )


def test_a_python_without_pip_is_told_how_to_get_it(project: Path) -> None:
    module = load(project)
    with pytest.raises(module.Lacking, match=r"has no pip; install it .*python3-pip"):
        module.get_uv("/bin/false")


def test_a_machine_without_python_is_told_so_by_make(project: Path) -> None:
    command = ["make", "test", "PYTHON=no-such-python"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "psflow needs Python 3.11 to 3.14 as 'no-such-python'" in done.stderr

"""House rules, as tests: where imports go, what the core may not do, what files may look like."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("engine", "fsm", "storage", "specs", "cli")
MAY_IMPORT = {
    "fsm": set(),
    "storage": {"fsm.errors"},
    "specs": {"fsm"},
    "engine": {"storage", "fsm", "specs"},
    "cli": {"engine", "storage", "fsm", "specs.filecoin"},
}
FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70

SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path):
    """Name a file by its place in the repository."""
    return str(path.relative_to(ROOT))


def imported(path):
    """Yield (line, dotted name within statetape) of every import in a source file."""
    package = ["statetape", *path.relative_to(ROOT).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            for name in names:
                yield node.lineno, ".".join([*base, name])
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name


def wrong_imports(path):
    """Return the imports of a file that its folder may not make."""
    folder = path.relative_to(ROOT).parts[0]
    wrong = []
    for line, name in imported(path):
        parts = name.split(".")
        if parts[0] != "statetape" or parts[1] == folder:
            continue
        target = ".".join(parts[1:])
        allowed = any(target == one or target.startswith(one + ".") for one in MAY_IMPORT[folder])
        if not allowed:
            wrong.append(f"{name_of(path)}:{line} imports {name}")
    return wrong


def test_imports_run_one_way():
    """cli → engine → {storage, fsm}, specs → fsm, and the exceptions of decision 2."""
    assert [problem for path in SOURCES for problem in wrong_imports(path)] == []


def test_a_wrong_import_would_be_noticed(tmp_path, monkeypatch):
    """The control: a core that imports storage is found."""
    monkeypatch.setattr("tests.test_house_rules.ROOT", tmp_path)
    (tmp_path / "fsm").mkdir()
    wrong = tmp_path / "fsm" / "wrong.py"
    wrong.write_text("from ..storage.tape import Tape\nfrom . import types\n")

    assert wrong_imports(wrong) == ["fsm/wrong.py:1 imports statetape.storage.tape"]


IMPURE_MODULES = {
    "random": "take randomness as a parameter",
    "secrets": "take randomness as a parameter",
    "uuid": "take ids as parameters",
    "time": "take the time as a parameter",
    "os": "take it as a parameter",
    "socket": "effects are the engine's",
    "subprocess": "effects are the engine's",
    "pathlib": "files are the engine's",
    "sqlite3": "SQL is storage's",
}
IMPURE_CALLS = {
    "open": "files are the engine's",
    "input": "take it as a parameter",
    "print": "say it in a result",
    "hash": "use hashlib: hash() differs between processes",
    "id": "identity differs between processes",
    "now": "take the time as a parameter",
    "today": "take the time as a parameter",
    "utcnow": "take the time as a parameter",
}


def impurities(path):
    """Return what a pure module may not do, with what to do instead."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom) and not getattr(node, "level", 0):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in [*names, getattr(node, "module", None)]:
                instead = IMPURE_MODULES.get((name or "").split(".")[0])
                if instead:
                    found.append(f"{name_of(path)}:{node.lineno} imports {name}: {instead}")
        if isinstance(node, ast.Call):
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            known = IMPURE_CALLS.get(name)
            if known and not (name == "id" and isinstance(called, ast.Attribute)):
                found.append(f"{name_of(path)}:{node.lineno} calls {name}(): {known}")
    return found


# `id(model)` is how `transitions` keys its graphs; nothing is computed from it.
ALLOWED = {"fsm/diagram.py"}


def test_the_core_and_the_specs_are_pure():
    """No clock, no I/O, no randomness, no hash order in fsm/ and specs/."""
    pure = [path for path in SOURCES if path.relative_to(ROOT).parts[0] in ("fsm", "specs")]

    assert [
        problem for path in pure if name_of(path) not in ALLOWED for problem in impurities(path)
    ] == []


def test_an_impurity_would_be_noticed(tmp_path, monkeypatch):
    """The control: a clock and a random number are found, with what to do instead."""
    monkeypatch.setattr("tests.test_house_rules.ROOT", tmp_path)
    wrong = tmp_path / "wrong.py"
    wrong.write_text("import random\nfrom datetime import datetime\nx = datetime.now()\n")

    assert len(impurities(wrong)) == 2


SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE|PRAGMA)\b")


def test_sql_is_storages():
    """No other folder speaks to the database."""
    others = [path for path in SOURCES if path.relative_to(ROOT).parts[0] != "storage"]
    code = {name_of(path): path.read_text() for path in others}

    assert [name for name, text in code.items() if SQL.search(text)] == []


def test_files_stay_small():
    """At 600 lines there is a seam to be found."""
    long = {name_of(p): len(p.read_text().splitlines()) for p in [*SOURCES, *TESTS]}

    assert {name: lines for name, lines in long.items() if lines > FILE_LINES_MAX} == {}


def test_functions_stay_small():
    """A function fits on a screen."""
    long = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno > FUNCTION_LINES_MAX
    ]

    assert long == []


def undocumented(path):
    """Return the public names of a module that have no docstring. Overriding methods inherit."""
    tree = ast.parse(path.read_text())
    missing = [] if ast.get_docstring(tree) else [name_of(path)]
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                missing.append(f"{name_of(path)}:{node.lineno} {node.name}")
            if isinstance(node, ast.ClassDef) and not node.bases:
                missing += [
                    f"{name_of(path)}:{method.lineno} {node.name}.{method.name}"
                    for method in node.body
                    if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef)
                    and not method.name.startswith("_")
                    and not ast.get_docstring(method)
                ]
    return missing


def test_everything_public_is_documented():
    """Modules, functions, classes, and the methods of classes that inherit nothing."""
    with_text = [path for path in SOURCES if path.read_text()]

    assert [name for path in with_text for name in undocumented(path)] == []


NAMES_OF_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc"}


def test_modules_have_names():
    """One idea per module, named by a noun."""
    assert [name_of(path) for path in SOURCES if path.stem in NAMES_OF_NOTHING] == []


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=name_of)
def test_no_file_has_control_characters_or_a_path_of_some_machine(path):
    """What is committed speaks of the project alone."""
    text = path.read_text()

    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)
    assert not re.search(r"/(?:home|root|Users)/\w", text)


def test_help_imports_nothing_that_costs_time():
    """`--help` is quick because commands import what they need; see cli/main.py."""
    script = (
        "import sys\n"
        "from statetape.cli.main import register\n"
        "register()\n"
        "print(*sorted(name for name in sys.modules if name.startswith('statetape.')))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    loaded = done.stdout.split()
    assert "statetape.cli.command_instance" in loaded
    light = ("statetape.cli", "statetape.fsm", "statetape.fsm.errors")
    assert [one for one in loaded if one not in light and not one.startswith(light[0])] == []

"""The documentation tells the truth: what it shows is run, what it lists is complete."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from statetape.engine import catalogue
from statetape.engine.commands import Create, Observe, Send
from statetape.fsm.check import check
from statetape.fsm.compiler import load
from statetape.fsm.entry import Entry
from statetape.fsm.errors import StatetapeError
from statetape.fsm.spec import (
    CheckSpec,
    CreateSpec,
    EffectSpec,
    EventSpec,
    FunctionsSpec,
    InvariantSpec,
    MachineSpec,
    RejectionSpec,
    Requirement,
    RowSpec,
    StateSpec,
    TimerSpec,
)

from .documents import (
    CLI_REFERENCE,
    README,
    ROOT,
    cli_reference,
    demo_transcript,
    helps,
    readme_with,
    run,
)

DOCS = ROOT / "docs"


def test_the_readmes_transcript_is_what_the_demo_prints():
    """Line by line; only times are made the same. `make docs` writes it."""
    assert readme_with(demo_transcript()) == README.read_text()


def test_the_reference_of_commands_is_their_help():
    """`make docs` writes it."""
    assert cli_reference() == CLI_REFERENCE.read_text()


def test_every_command_helps_in_a_sentence():
    """Each command says what it does before it says what it takes."""
    asked = helps()
    silent = [words for words, text in asked if not re.search(r"^ [A-Z].*", text, re.MULTILINE)]

    assert len(asked) > 30
    assert silent == []


def code_blocks(path, language):
    """Return the fenced blocks of a language in a document."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.MULTILINE | re.DOTALL)


def test_the_readmes_python_runs(tmp_path):
    """As a program of its own, with warnings as errors."""
    [program] = code_blocks(README, "python")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=tmp_path, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_the_readmes_machine_is_sound():
    """It loads, and nothing about it is unsound."""
    [text] = code_blocks(README, "yaml")

    assert check(load(text, "README.md")) == []


def test_the_readmes_commands_for_its_machine_work(tmp_path):
    """Checked, begun and paid, as the README types them."""
    (tmp_path / "order.yaml").write_text(code_blocks(README, "yaml")[0])
    block = next(b for b in code_blocks(README, "sh") if "order.yaml" in b)
    for line in block.splitlines():
        words = [part.strip('"') for part in re.findall(r'[^\s"]+="[^"]*"|\S+', line)]
        words = [word.replace('="', "=") for word in words]
        last = run(*words[1:], cwd=tmp_path)

    assert last.endswith("settled\n")


def error_codes():
    """Return the code of every error class in the program."""
    for name in ("fsm", "storage", "engine", "specs", "cli"):
        module = importlib.import_module(f"statetape.{name}")
        for found in pkgutil.walk_packages(module.__path__, f"statetape.{name}."):
            importlib.import_module(found.name)
    waiting, codes = [StatetapeError], {}
    while waiting:
        error = waiting.pop()
        if "code" in vars(error):
            codes.setdefault(error.code, []).append(error.__name__)
        waiting += error.__subclasses__()
    return codes


def test_every_error_code_is_documented_and_means_one_thing():
    """Each has a paragraph, no code has two classes, and nothing is documented that is gone."""
    codes = error_codes()
    documented = re.findall(
        r"^\* \*\*`([a-z-]+)`\*\*", (DOCS / "reference/errors.md").read_text(), re.MULTILINE
    )

    assert sorted(documented) == sorted(codes)
    assert {code: names for code, names in codes.items() if len(names) > 1} == {}


def members(model):
    """Return a part's members as its file writes them."""
    return {field.alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize(
    "part",
    [
        MachineSpec,
        StateSpec,
        TimerSpec,
        EventSpec,
        CreateSpec,
        Requirement,
        RejectionSpec,
        RowSpec,
        EffectSpec,
        InvariantSpec,
        FunctionsSpec,
        CheckSpec,
    ],
    ids=lambda part: part.__name__,
)
def test_every_member_of_the_language_is_documented(part):
    """Each word of the language stands in its reference."""
    text = (DOCS / "reference/machine-language.md").read_text()

    assert [name for name in members(part) if f"`{name}`" not in text] == []


def test_every_member_of_an_entry_is_documented():
    """In the table of members, by its name on the tape."""
    text = (DOCS / "reference/entry.md").read_text()
    names = {name.rstrip("_") for name in Entry.__struct_fields__}

    assert [name for name in sorted(names) if f"`{name}`" not in text] == []


def test_every_kind_of_refusal_is_documented():
    """Those that decisions give, and those of the engine."""
    text = (DOCS / "reference/machine-language.md").read_text()
    sources = [ROOT / "fsm/decide.py", ROOT / "engine/ledger.py", ROOT / "engine/recording.py"]
    kinds = set()
    for source in sources:
        kinds |= set(re.findall(r'"kind": "([a-z_]+)"', source.read_text()))
        kinds |= set(re.findall(r'_re(?:ason|fused)\([^")]*"([a-z_]+)"', source.read_text()))

    assert {"guard_failed", "unknown_instance", "deferral_full"} <= kinds
    assert [kind for kind in kinds - {"reorg"} if f"`{kind}`" not in text] == []


def test_every_promise_has_tests_that_exist():
    """The guarantees name files and folders of tests; they are there."""
    paths = re.findall(r"`(tests/[\w/.]+)`", (DOCS / "guarantees.md").read_text())

    assert len(paths) >= 10
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_bug_found_names_a_test_that_exists():
    """A row without a living test is a bug waiting to come back."""
    named = re.findall(r"`(test_\w+)`", (DOCS / "bugs-found.md").read_text())
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))

    assert named
    assert [name for name in named if f"def {name}(" not in tests] == []


def test_links_between_documents_lead_somewhere():
    """Relative links only name files that are there."""
    broken = []
    for document in [README, ROOT / "CHANGELOG.md", *DOCS.rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
            if not (document.parent / target).exists():
                broken.append(f"{document.name} → {target}")

    assert broken == []


def test_command_options_are_the_engines():
    """What the README says `options` are is what commands have."""
    options = {"key", "by", "cause", "at", "height"}

    assert options <= set(Send.__struct_fields__)
    assert options <= set(Create.__struct_fields__)
    assert {"by", "at"} <= set(Observe.__struct_fields__)


def test_bundled_machines_say_what_they_are():
    """Each has a title, and names its source."""
    for path in catalogue.paths().values():
        told = yaml.safe_load(path.read_text())

        assert told["title"]
        assert told["source"]


def test_constraints_hold_names_and_versions_only():
    """No hosts, no paths, no options; and they are what is installed here."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]

    assert [line for line in pins if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []


def test_no_document_names_a_place_of_some_machine():
    """What is committed speaks of the project alone."""
    documents = [README, *DOCS.rglob("*.md"), ROOT / "Makefile", ROOT / "pyproject.toml"]
    text = {path: path.read_text() for path in documents}

    assert [str(p) for p, t in text.items() if re.search(r"/(?:home|root|Users)/\w", t)] == []
    assert all(Path(path).is_file() for path in text)

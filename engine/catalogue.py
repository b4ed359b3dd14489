"""The systems that come with statetape: their machines, functions and adapters, found not listed.

A system is a folder under `specs/`. Every `*.yaml` in it with a `machine:` line is a machine; a
machine's `functions.module` names a Python module of a system, `filecoin.payment_channel`. A
module offers `FUNCTIONS` (what expressions may call), `TYPES` (scalar types) and, where a system
has them, `SCENARIOS` (an adapter that runs its scenario files). A machine's file can thus reach
the pure functions of the bundled systems, and no other code.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from .. import specs
from ..fsm.audit import Auditor
from ..fsm.errors import SpecError
from ..fsm.evidence import Checker
from ..fsm.importing import Importer
from ..fsm.load import load
from ..fsm.machine import Machine
from ..fsm.types import Type
from .commands import MachineUnknown

_MODULE = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*\Z")
_MACHINE = re.compile(r"^machine:\s*([a-z0-9_.]+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class ModuleLibrary:
    """The functions and types of one module of a system."""

    functions: Mapping[str, Callable[..., Any]]
    types: Mapping[str, Type]
    digest: str


@functools.cache
def folder() -> Path:
    """Return where the systems lie."""
    return Path(specs.__path__[0])


@functools.cache
def library(module: str) -> ModuleLibrary:
    """Return a system's functions module by name, or raise SpecError."""
    system, _, name = module.partition(".")
    path = folder() / system / f"{name}.py"
    if not _MODULE.match(module) or not path.is_file():
        raise SpecError(f"no functions module {module!r}", hint="a module is `system.name`")
    found = _import(module)
    functions = getattr(found, "FUNCTIONS", None)
    if functions is None:
        raise SpecError(f"module {module!r} offers no functions to machines")
    return ModuleLibrary(functions, getattr(found, "TYPES", {}), _digest(path))


def _import(module: str) -> ModuleType:
    return importlib.import_module(f"{specs.__name__}.{module}")


def _digest(path: Path) -> str:
    """SHA-256 (hex) over a module's source and that of the systems' modules that it imports."""
    sources: dict[str, bytes] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        own = file.parent == path.parent
        name = file.name if own else f"{file.parent.name}/{file.name}"
        if name in sources or not file.is_file():
            continue
        sources[name] = file.read_bytes()
        for node in ast.walk(ast.parse(sources[name])):
            if isinstance(node, ast.ImportFrom) and node.level in (1, 2):
                names = [node.module] if node.module else [alias.name for alias in node.names]
                system = file.parent if node.level == 1 else file.parent.parent
                waiting += [system / f"{one.replace('.', '/')}.py" for one in names]
    hashed = hashlib.sha256()
    for name, source in sorted(sources.items()):
        hashed.update(f"{name} {len(source)}\n".encode() + source)
    return hashed.hexdigest()


@functools.cache
def paths() -> Mapping[str, Path]:
    """Return the file of each bundled machine, by name."""
    found = {}
    for path in sorted(folder().glob("*/*.yaml")):
        match = _MACHINE.search(path.read_text())
        if match:
            found[match[1]] = path
    return found


@functools.cache
def machine(name: str) -> Machine:
    """Return a bundled machine by name, or raise MachineUnknown."""
    path = paths().get(name)
    if path is None:
        hint = f"bundled machines: {', '.join(paths())}; or name a machine's file"
        raise MachineUnknown(f"no machine {name!r}", hint=hint)
    shown = f"{path.parent.name}/{path.name}"
    return load(path.read_text(), shown, library)


def machine_file(path: Path) -> Machine:
    """Return the machine in a file of the user's. Raises SpecError, MachineUnknown."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise MachineUnknown(f"cannot read a machine's file: {error}", place=str(path)) from None
    return load(text, str(path), library)


def find(name_or_path: str) -> Machine:
    """Return a bundled machine by name, or the machine in a file."""
    if name_or_path in paths() or not name_or_path.endswith((".yaml", ".yml")):
        return machine(name_or_path)
    return machine_file(Path(name_or_path))


def adapters() -> Iterator[Any]:
    """Yield the scenario adapter of every system that has one."""
    for path in sorted(folder().glob("*/scenarios.py")):
        yield _import(f"{path.parent.name}.scenarios").ADAPTER


def auditors() -> Iterator[Auditor]:
    """Yield the auditor of every system that has one."""
    for path in sorted(folder().glob("*/audits.py")):
        yield _import(f"{path.parent.name}.audits").AUDITOR


def checkers() -> Iterator[Checker]:
    """Yield what checks the evidence of every system that has it."""
    for path in sorted(folder().glob("*/evidence.py")):
        yield _import(f"{path.parent.name}.evidence").CHECKER


def stories() -> dict[str, Any]:
    """Return the demonstrations of every system, by name."""
    found: dict[str, Any] = {}
    for path in sorted(folder().glob("*/demo.py")):
        found.update(_import(f"{path.parent.name}.demo").STORIES)
    return found


def importers() -> dict[str, Importer]:
    """Return the importers of every system, by the name of their format."""
    found: dict[str, Importer] = {}
    for path in sorted(folder().glob("*/imports.py")):
        found.update(_import(f"{path.parent.name}.imports").IMPORTERS)
    return found

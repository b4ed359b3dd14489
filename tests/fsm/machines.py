"""Purpose-made machines: a few lines of the language, loaded and driven without an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
from statetape.engine import catalogue
from statetape.fsm.check import Finding
from statetape.fsm.check import check as check_whole
from statetape.fsm.compiler import load, no_library
from statetape.fsm.decide import Decision, Moment, decide
from statetape.fsm.decide import create as create_instance
from statetape.fsm.errors import SpecError
from statetape.fsm.machine import Library, Machine
from statetape.fsm.types import Type

FILE = "test.yaml"
HEAD = "machine: test.machine\nversion: 1\ntitle: Test\n"
MARK = "§"
SESSION = Path(__file__).parents[1] / "bench" / "session.yaml"


@dataclass(frozen=True)
class Functions:
    """A library of functions and types that a test brings along."""

    functions: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    types: Mapping[str, Type] = field(default_factory=dict)
    digest: str = "0" * 64

    def __call__(self, _module: str) -> Functions:
        """Be found under any module name."""
        return self


def machine(body: str, library: Callable[[str], Library] = no_library) -> Machine:
    """Return the machine of `body`, which says everything but name, version and title."""
    return load(HEAD + dedent(body), FILE, library)


def event(members: str, top: str = "", library: Callable[[str], Library] = no_library) -> Machine:
    """Return a machine with one event `go`, of these members, from its one open state."""
    states = "states:\n  open: {initial: true}\n  closed: {final: true}\n"
    members = dedent(members)
    if "go:" not in members:
        members += "\ngo: [{from: open}]\n"
    body = dedent(top) + "\n" + states + "events:\n  go:\n" + indent(members, "    ")
    return load(HEAD + body, FILE, library)


def check(machine: Machine) -> list[Finding]:
    """Return what is unsound about a machine, apart from states without a deadline.

    The small machines of these tests have none; test_deadlines has them.
    """
    return [one for one in check_whole(machine) if "has no deadline" not in one.message]


def marked(text: str) -> tuple[str, str]:
    """Return `text` without its one mark, and the place where the mark stood."""
    before, mark, after = text.partition(MARK)
    assert mark
    assert MARK not in after
    return (
        before + after,
        f"{FILE}:{before.count(chr(10)) + 1}:{len(before.split(chr(10))[-1]) + 1}",
    )


def refused(body: str, library: Callable[[str], Library] = no_library) -> SpecError:
    """Return the error of loading `body`, and see that it stands where `body` has its mark."""
    text, place = marked(HEAD + dedent(body))
    with pytest.raises(SpecError) as caught:
        load(text, FILE, library)
    assert caught.value.place == place
    return caught.value


def moment(
    now: int = 0,
    height: int | None = None,
    *,
    state: str = "open",
    chain: str | None = "chain",
    follows: bool = False,
) -> Moment:
    """Return a moment; its key is `key`."""
    return Moment(now, height, "key", state, chain, follows=follows)


def defaults(of: Machine, **changed: Any) -> dict[str, Any]:
    """Return the typed data that an instance starts with, but for `changed`."""
    return {name: one.default for name, one in of.fields.items()} | changed


def send(
    of: Machine,
    name: str = "go",
    params: Mapping[str, Any] | None = None,
    *,
    state: str | None = None,
    data: dict[str, Any] | None = None,
    timers: Mapping[str, Any] | None = None,
    now: int = 0,
    height: int | None = None,
    follows: bool = False,
    firing: str | None = None,
) -> Decision:
    """Return what the machine decides; state and data are the initial ones if not given."""
    state = state or of.initial
    at = moment(now, height, state=state, chain=of.chain, follows=follows)
    data = defaults(of) if data is None else data
    return decide(of, name, state, data, timers or {}, params or {}, at, firing)


def create(
    of: Machine, params: Mapping[str, Any] | None = None, *, now: int = 0, height: int | None = None
) -> Decision:
    """Return what the machine decides about beginning an instance."""
    at = moment(now, height, state=of.initial, chain=of.chain)
    return create_instance(of, params or {}, at)


def kind(decision: Decision) -> str | None:
    """Return which step refused, or None where none did."""
    return (decision.reason or {}).get("kind")


def bundled() -> dict[str, Machine]:
    """Return every machine that comes with statetape, and the benchmarks' one."""
    found = {name: catalogue.machine(name) for name in catalogue.paths()}
    return {**found, "bench.session": catalogue.machine_file(SESSION)}

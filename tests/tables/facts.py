"""The facts of a family of machines, and what of them belongs to one version.

A facts file says once what all versions share. What belongs to some of them is marked: a mapping's
key or a list's line that ends with ` @TAG TAG…` is there only for machines of which one of the
tags is true; a machine's tags stand in its `is`. The marks may stand anywhere.

`numbers` are the enums of the original, in order: a name's number is its place. Names are written
without the family's `prefix`. `sets` are lists of states under a name; a row says `(name)`.

An event has what the machine language has, and besides:

  go      lines `FROM… -> TO`; TO is a state, `same` (its entry runs again) or `record`; or a
          mapping of `row` (such a line) and `effects`
  log     an expression: the line for the stage log
  says    an expression: the deal's message, and the line for the stage log too; it is called `said`
  note    a comment
  effects also `{client: EVENT}` and `{provider: EVENT}`: what the deal is told, see `tells`

A state has `entry` (its entry action; what the outside is told of the deal stands under `actions`),
`quiet` (the silence after which `Stalled` is raised), and what the machine language has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "facts"
ANY, SAME, RECORD = "any", "same", "record"
OF_STATE = {"title", "entry", "tells", "quiet", "expects", "no_deadline", "unreached", "no_exit"}
OF_EVENT = {
    "title",
    "params",
    "otherwise",
    "require",
    "set",
    "effects",
    "go",
    "log",
    "says",
    "note",
}


@dataclass(frozen=True)
class Row:
    """One row of an event: states by their full names; `to` is a state, `same` or `record`."""

    sources: tuple[str, ...]
    to: str
    effects: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Facts:
    """What is known of one machine."""

    name: str
    file: str
    about: dict[str, str]
    parts: dict[str, Any]
    states: tuple[str, ...]
    """All states of the original's enum, by number."""
    events: tuple[str, ...]
    """All events of the original's enum, by number."""
    rows: dict[str, tuple[Row, ...]]
    """The rows of each event, by its full name."""
    groups: dict[str, tuple[str, ...]]
    """The events by theme."""
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The rest of each event."""

    @property
    def initial(self) -> str:
        """The state in which an instance begins."""
        return self.parts["prefix"]["state"] + self.parts["initial"]

    @property
    def final(self) -> frozenset[str]:
        """The states that take nothing."""
        prefix = self.parts["prefix"]["state"]
        return frozenset(prefix + name for name in self.parts["final"])

    @property
    def used(self) -> frozenset[str]:
        """The states that a row names, and the initial one."""
        named = {self.initial}
        for rows in self.rows.values():
            for row in rows:
                named |= {*row.sources, row.to} - {ANY, SAME, RECORD}
        return frozenset(named)


def read() -> list[Facts]:
    """Return the facts of every machine, by name."""
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        whole = yaml.safe_load(path.read_text())
        for name, about in whole.pop("machines").items():
            found.append(_machine(name, path.name, about, whole))
    return sorted(found, key=lambda facts: facts.name)


def _machine(name: str, file: str, about: dict[str, str], whole: dict[str, Any]) -> Facts:
    parts = chosen(whole, frozenset(about["is"].split()))
    states, events = parts["prefix"]["state"], parts["prefix"]["event"]
    for state, of_state in parts["states"].items():
        _known(state, of_state, OF_STATE)
    rows: dict[str, tuple[Row, ...]] = {}
    groups: dict[str, tuple[str, ...]] = {}
    bodies: dict[str, dict[str, Any]] = {}
    for theme, of_theme in parts.pop("events").items():
        groups[theme] = tuple(events + event for event in of_theme)
        for event, body in of_theme.items():
            _known(event, body, OF_EVENT)
            lines = body.pop("go")
            rows[events + event] = tuple(
                _row(line, states, parts.get("sets", {})) for line in lines
            )
            bodies[events + event] = body
    numbers = parts.pop("numbers")
    return Facts(
        name,
        file,
        about,
        parts,
        tuple(states + one for one in " ".join(numbers["states"]).split()),
        tuple(events + one for one in " ".join(numbers["events"]).split()),
        rows,
        {theme: names for theme, names in groups.items() if names},
        bodies,
    )


def _known(name: str, part: dict[str, Any], members: set[str]) -> None:
    """Raise where a part has a member that nobody reads: a comma that no quotes protect, mostly."""
    strange = sorted(map(str, part.keys() - members))
    if strange:
        raise ValueError(f"{name}: {', '.join(strange)}")


def chosen(node: Any, tags: frozenset[str]) -> Any:
    """Return what of a part of the facts is there for a machine with these tags."""
    if isinstance(node, dict):
        kept: dict[Any, Any] = {}
        for key, value in node.items():
            name, there = _marked(key, tags)
            if there and name in kept:
                raise ValueError(f"{key!r} stands here twice for {sorted(tags)}")
            if there:
                kept[name] = chosen(value, tags)
        return kept
    if isinstance(node, list):
        return [
            _marked(item, tags)[0] if isinstance(item, str) else chosen(item, tags)
            for item in node
            if not isinstance(item, str) or _marked(item, tags)[1]
        ]
    return node


def _marked(text: Any, tags: frozenset[str]) -> tuple[Any, bool]:
    """Return a key or line without its mark, and whether it is there."""
    if not isinstance(text, str) or " @" not in text:
        return text, True
    name, _, wanted = text.partition(" @")
    return name, bool(tags & set(wanted.split()))


def _row(line: str | dict[str, Any], prefix: str, sets: dict[str, list[str]]) -> Row:
    effects: tuple[dict[str, Any], ...] = ()
    if isinstance(line, dict):
        effects, line = tuple(line["effects"]), line["row"]
    for name, states in sets.items():
        line = line.replace(f"({name})", " ".join(states))
    sources, _, to = line.partition(" -> ")
    return Row(
        tuple(one if one == ANY else prefix + one for one in sources.split()),
        to if to in (SAME, RECORD) else prefix + to,
        effects,
    )

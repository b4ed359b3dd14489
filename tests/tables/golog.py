"""Write what golog and boost take from the exact machines: `python -m tests.tables.golog`.

Two things: `specs/golog/tables.py`, the numbers and rows by which a log is read; and the machines
that a log's refusals and a database's events are recorded in: each exact table once more, without
the arguments and data that no log holds (docs/decisions/0020-importing-logs.md).
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path

from statetape.engine import catalogue
from statetape.fsm.machine import Machine
from statetape.specs.golog.reading import machine_named
from statetape.specs.golog.rules import JUNE
from statetape.specs.golog.table import ANY, FINAL, RECORD, SAME, UNUSED, Table, read

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "specs/golog/tables.py"
SOURCES = (
    "pop.retrieval_client",
    "pop.retrieval_client_at_seed_issues",
    "pop.retrieval_provider",
    "pop.retrieval_provider_before_b74d8aa",
    "filecoin.gfm_retrieval_client_pinned",
    "filecoin.gfm_retrieval_client",
    "filecoin.gfm_retrieval_provider_pinned",
    "filecoin.gfm_retrieval_provider",
    "filecoin.gfm_storage_client_pinned",
    "filecoin.gfm_storage_client",
    "filecoin.gfm_storage_provider_pinned",
    "filecoin.gfm_storage_provider",
    "filecoin.dt_channel_v1_7_0",
    "filecoin.dt_channel_v1_11_5",
    "filecoin.dt_channel",
)
JULY = "pop.retrieval_client_at_seed_issues"
DATABASE = (
    ("filecoin.gfm_retrieval_provider", "market_deal", "Retrieval deal, as Boost records it"),
    ("filecoin.dt_channel", "data_transfer", "Data transfer, as Boost records it"),
)
HEADER = '''"""The exact tables, as a log shows them. Written by `python -m tests.tables.golog`.

Each is read off the machine of that name, so no number is maintained twice (a test compares). How
to read one is said in `table.read`.
"""

from __future__ import annotations

from .table import read

TABLES = (
'''
WIDTH = 88

Told = Mapping[str, Mapping[str, str]]


def compact(machine: Machine) -> tuple[str, str, str]:
    """Return a machine's states, events and rows in the compact form of `table.read`."""
    spec = machine.spec
    states = {
        state.code: (name, FINAL if state.final else "") for name, state in machine.states.items()
    }
    states |= {code: (name, UNUSED) for code, name in spec.unused.states.items()}
    own = {name: event for name, event in machine.events.items() if event.code is not None}
    events = {event.code: (name, "") for name, event in own.items()}
    events |= {code: (name, UNUSED) for code, name in spec.unused.events.items()}
    number = {name: code for code, (name, _) in states.items()}
    first = number[machine.initial]
    order = [first, *sorted(code for code in states if code != first)]
    rows = []
    for event in own.values():
        for row in event.rows:
            sources = ANY if row.wildcard else ",".join(str(number[one]) for one in row.sources)
            to = SAME if row.same else RECORD if row.to is None else f">{number[row.to]}"
            rows.append(f"{event.code}:{sources}{to}")
    return (
        " ".join(f"{code}:{''.join(states[code])}" for code in order),
        " ".join(f"{code}:{''.join(events[code])}" for code in sorted(events)),
        " ".join(rows),
    )


def module(parts: dict[str, tuple[str, str, str]]) -> str:
    """Return the text of the module with all tables."""
    text = HEADER
    for name, texts in parts.items():
        text += f'    read(\n        "{name}",\n'
        for one in texts:
            lines = textwrap.wrap(one, WIDTH, break_long_words=False, break_on_hyphens=False)
            last = len(lines) - 1
            text += "".join(
                f'        "{line}{"" if index == last else " "}"{"," if index == last else ""}\n'
                for index, line in enumerate(lines)
            )
        text += "    ),\n"
    return text + ")\n"


def _wrapped(text: str, indent: str) -> str:
    return textwrap.fill(text, 96, initial_indent=indent, subsequent_indent=indent)


def log_machine(table: Table, told: Told) -> str:
    """Return the text of the machine that refusals read as `table` are recorded in."""
    about = (
        f"The table of {table.machine} as a log shows it: what a line says of an event is its name "
        "and the state. Its arguments are in no log, so events have none here, and there is no "
        "data. An instance is the machine of one deal as it was seen in one state."
    )
    head = [
        f"machine: {machine_named(table.machine)}",
        "version: 1",
        f"title: {table.machine}, as a log shows it",
        "about: >",
        _wrapped(about, "  "),
        f"source: the table of {table.machine}; written by tests/tables/golog.py, do not edit",
        "functions: {module: golog.keys, signatures: {story_of: (text) -> text}}",
        "",
    ]
    links = ["links:", "  story: story_of(key)"]
    return "\n".join([*head, *_states(table, told), *_events(table, []), *links, *_CHECK]) + "\n"


_CHECK = ["check:", "  depth: 1"]
_RECORDED = ["    params:", '      status: text = ""', '      message: text = ""']


def database_machine(table: Table, told: Told, name: str, title: str) -> str:
    """Return the text of the machine that a database's events of `table` are recorded in."""
    about = (
        f"The table of {table.machine} as Boost's retrieval log keeps it: events by name, with the "
        "status after them and a message, without arguments. What the table says of an event is "
        "compared with what Boost recorded; Found is not an event of the original: it says that "
        "they differ, why, and goes on from what was recorded."
    )
    head = [
        f"machine: {name}",
        "version: 1",
        f"title: {title}",
        "about: >",
        _wrapped(about, "  "),
        f"source: the table of {table.machine}; written by tests/tables/golog.py, do not edit",
        "",
        "data:",
        '  retrieval: text = ""',
        "",
    ]
    belongs = [
        "  BelongsTo:",
        "    title: the retrieval that this is a part of",
        "    params: {retrieval: text}",
        "    set: {retrieval: retrieval}",
        "    go:",
        "      - {from: any}",
    ]
    links = ["links:", "  retrieval: retrieval"]
    events = [*_events(table, _RECORDED), *_found(table), *belongs]
    body = [*_states(table, told), *events, *links, *_CHECK]
    return "\n".join([*head, *body]) + "\n"


def _states(table: Table, told: Told) -> Iterator[str]:
    yield "states:"
    for code, name in table.states.items():
        if name in table.unused:
            continue
        yield f"  {name}:"
        yield f"    code: {code}"
        if name == table.initial:
            yield "    initial: true"
        if name in table.final:
            yield "    final: true"
            continue
        for member, text in told.get(name, {}).items():
            yield f"    {member}: {json.dumps(text, ensure_ascii=False)}"
        yield "    no_deadline: what was recorded shows what happened, not what was waited for"
    unused = [name for name in table.states.values() if name in table.unused]
    undeclared = [name for name in table.events.values() if name in table.unused]
    if unused or undeclared:
        yield "unused:"
    for title, names, left in (
        ("states", table.states, unused),
        ("events", table.events, undeclared),
    ):
        if left:
            yield f"  {title}:"
            yield from (f"    {code}: {name}" for code, name in names.items() if name in left)


def _events(table: Table, params: list[str]) -> Iterator[str]:
    yield "events:"
    for code, name in table.events.items():
        if name in table.unused:
            continue
        yield f"  {name}:"
        yield f"    code: {code}"
        yield from params
        yield "    go:"
        for to, sources in _grouped(table, name):
            where = f"[{', '.join(sources)}]" if len(sources) > 1 else sources[0]
            where = "any" if where == ANY else where
            target = {RECORD: "", SAME: ", to: same"}.get(to, f", to: {to}")
            yield from _row(where, target)


def _found(table: Table) -> Iterator[str]:
    yield "  Found:"
    yield "    title: it was recorded in another state than the table leads to"
    yield '    params: {found: text, why: text = ""}'
    yield "    go:"
    for name in table.states.values():
        if name not in table.unused:
            yield f"      - {{from: any, to: {name}, when: 'found == \"{name}\"'}}"


def _row(where: str, target: str) -> Iterator[str]:
    line = f"      - {{from: {where}{target}}}"
    if len(line) <= 100:
        yield line
        return
    yield "      - from:"
    yield from (f"          - {name}" for name in where.strip("[]").split(", "))
    if target:
        yield f"        to: {target.removeprefix(', to: ')}"


def _grouped(table: Table, event: str) -> list[tuple[str, list[str]]]:
    """Return where an event leads, with the states it leads there from, in the table's order.

    ANY is a group of its own and stands last: it counts where no state is named.
    """
    named: dict[str, list[str]] = {}
    anywhere = []
    for (name, source), to in table.rows.items():
        if name != event or source in table.final:
            continue
        if source == ANY:
            anywhere.append((to, [ANY]))
        else:
            named.setdefault(to, []).append(source)
    return [*named.items(), *anywhere]


def tables() -> dict[str, tuple[str, str, str]]:
    """Return the compact form of every exact machine, by its name."""
    return {name: compact(catalogue.machine(name)) for name in SOURCES}


def files() -> dict[Path, str]:
    """Return every file that this module writes, with its text."""
    parts = tables()
    named = {name: read(name, *texts) for name, texts in parts.items()}
    written = {TABLES: module(parts)}
    for table in [*named.values(), JUNE]:
        name = machine_named(table.machine).partition(".")[2]
        source = table.machine if table.machine in named else JULY
        written[ROOT / f"specs/golog/{name}.yaml"] = log_machine(table, told_by(source))
    for source, name, title in DATABASE:
        expects = {
            state: {"expects": said["expects"]}
            for state, said in told_by(source).items()
            if "expects" in said
        }
        text = database_machine(named[source], expects, f"boost.{name}", title)
        written[ROOT / f"specs/boost/{name}.yaml"] = text
    return written


def told_by(name: str) -> Told:
    """Return what an exact machine says of its states in words, by state and member."""
    found = {}
    for state, part in catalogue.machine(name).spec.states.items():
        members = {"expects": part.expects, "unreached": part.unreached} if part else {}
        found[state] = {member: text for member, text in members.items() if text}
    return found


def write() -> list[Path]:
    """Write every file that is not as it should be, and return which."""
    changed = [
        (path, text)
        for path, text in files().items()
        if not path.exists() or path.read_text() != text
    ]
    for path, text in changed:
        path.write_text(text)
    return [path for path, _ in changed]


if __name__ == "__main__":
    for path in write():
        print(f"{path.parent.name}/{path.name}")

"""The text of a machine as Boost's retrieval log keeps it: the exact one by name, and `Found`.

Boost records an event's name, the status after it and a message, and none of its arguments.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..golog.logged import CHECK, events, heading, joined, states
from ..golog.table import Table

ABOUT = (
    "The table of {machine} as Boost's retrieval log keeps it: events by name, with the status "
    "after them and a message, without arguments. What the table says of an event is compared with "
    "what Boost recorded; Found is not an event of the original: it says that they differ, why, "
    "and goes on from what was recorded."
)
PARAMS = ('status: text = ""', 'message: text = ""')
BELONGS_TO = """\
  BelongsTo:
    title: the retrieval that this is a part of
    params: {retrieval: text}
    set: {retrieval: retrieval}
    go:
      - {from: any}
links:
  retrieval: retrieval"""


def recorded(table: Table, name: str, title: str) -> str:
    """Return the text of the machine `name` that a database's events of `table` are kept in."""
    return joined(
        heading(table, name, title, ABOUT.format(machine=table.machine)),
        ["data:", '  retrieval: text = ""'],
        states(table, said=("expects",)),
        events(table, PARAMS),
        _found(table),
        [BELONGS_TO],
        CHECK,
    )


def _found(table: Table) -> Iterator[str]:
    yield "  Found:"
    yield "    title: it was recorded in another state than the table leads to"
    yield '    params: {found: text, why: text = ""}'
    yield "    go:"
    for name in table.exact.states:
        yield f"      - {{from: any, to: {name}, when: 'found == \"{name}\"'}}"

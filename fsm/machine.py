"""A machine, compiled: everything a decision needs, in the order it needs it.

A `Machine` is made once from a file's text and shared by all instances; it never changes. The
parts below are plain data; `compiler` makes them, `decide` reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .expression import Expression
from .types import Type

if TYPE_CHECKING:
    from .document import Document
    from .spec import MachineSpec

QUIET = "quiet"
"""The kind of a timer that waits for silence."""
REQUIRED: Any = object()
"""The default of a parameter that has none."""


class Library(Protocol):
    """Pure functions and scalar types of a system, found by the engine, named by a machine."""

    @property
    def functions(self) -> Mapping[str, Callable[..., Any]]:
        """The functions that expressions may call, by name."""

    @property
    def types(self) -> Mapping[str, Type]:
        """The scalar types that the system adds, by name."""

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the source that these functions come from."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an instance's data."""

    name: str
    type: Type
    default: Any


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an event. `default` is REQUIRED where there is none."""

    name: str
    type: Type
    default: Any


@dataclass(frozen=True, slots=True)
class Rejection:
    """What a refusal says; the code may depend on the command."""

    reason: str
    code: int | Expression | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of `require`: `test` with its `rejection`, or a `name` for a value."""

    expression: Expression
    rejection: Rejection | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Assignment:
    """One change of data: a field, or one item of a map field."""

    field: Field
    key: Expression | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that the outside has to do, or (`raises`) an event for an instance.

    `name` is what to do, or the event. `to` gives the instance's name; None: the instance itself.
    """

    name: str
    raises: bool
    to: Expression | None
    when: Expression | None
    arguments: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an event. `to` is None (record only), a state, or the source itself (`same`)."""

    sources: tuple[str, ...]
    wildcard: bool
    to: str | None
    same: bool
    when: Expression | None
    assignments: tuple[Assignment, ...]
    effects: tuple[Effect, ...]
    index: int


@dataclass(frozen=True, slots=True)
class Event:
    """One event, or the creation of an instance."""

    name: str
    params: tuple[Parameter, ...]
    steps: tuple[Step, ...]
    assignments: tuple[Assignment, ...]
    effects: tuple[Effect, ...]
    rows: tuple[Row, ...]
    otherwise: str
    code: int | None = None

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of that name, or None."""
        return next((param for param in self.params if param.name == name), None)


@dataclass(frozen=True, slots=True)
class Timer:
    """A deadline of a state. `kind`: `after` or `quiet` (microseconds), `at` (time) or `height`.

    `clock` is what it is measured by, `at` or `height`, and `point` the type of its deadline. A
    `quiet` one moves with everything that is accepted. `arguments` are its event's parameters.
    `lasts`: its value is a duration, not a point.
    """

    name: str
    event: str
    kind: str
    clock: str
    point: Type
    value: Expression
    when: Expression | None
    arguments: tuple[tuple[str, Expression], ...] = ()
    lasts: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """One state. `quiet` are those of its timers that move with everything accepted.

    `timed` are the names of its timers.
    """

    name: str
    final: bool
    retain_us: int | None
    timers: tuple[Timer, ...]
    entry: tuple[Effect, ...]
    code: int | None = None
    expects: str | None = None
    no_deadline: str | None = None
    quiet: tuple[Timer, ...] = ()
    timed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something true after every accepted command."""

    name: str
    test: Expression


@dataclass(frozen=True, eq=False)
class Machine:
    """A compiled machine. `table[state][event]` gives the rows to try, in order.

    `adopt` is the creation of an instance that is in mid-life already: it takes the data as it is.
    """

    name: str
    version: int
    title: str
    chain: str | None
    text: str
    digest: str
    functions_digest: str
    initial: str
    fields: Mapping[str, Field]
    states: Mapping[str, State]
    create: Event
    adopt: Event
    events: Mapping[str, Event]
    table: Mapping[str, Mapping[str, tuple[Row, ...]]]
    invariants: tuple[Invariant, ...]
    rejections: Mapping[str, Rejection]
    codes: Mapping[int, str]
    links: tuple[tuple[str, Expression], ...]
    ends_with: Expression | None
    ledger: tuple[tuple[str, Expression], ...]
    defer_max: int
    defer_for_us: int | None
    spec: MachineSpec
    document: Document

    def accepts(self, state: str) -> list[str]:
        """Return the events that have a row in `state`, in the order of the file."""
        return list(self.table[state])

    def accepted_in(self, event: str) -> list[str]:
        """Return the states that have a row for `event`, in the order of the file."""
        return [state for state, events in self.table.items() if event in events]

    def state_numbered(self, code: int) -> str | None:
        """Return the name of the state that the original's logs print as `code`, or None."""
        named = {state.code: state.name for state in self.states.values()}
        return named.get(code) or self.spec.unused.states.get(code)

    def event_numbered(self, code: int) -> str | None:
        """Return the name of the event that the original's logs print as `code`, or None."""
        named = {event.code: event.name for event in self.events.values()}
        return named.get(code) or self.spec.unused.events.get(code)

    def thaw(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return typed data from its JSON form."""
        return {
            name: field.type.thaw(data[name]) if name in data else None
            for name, field in self.fields.items()
        }

    def freeze(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return the JSON form of typed data; what is none is absent."""
        return {
            name: field.type.to_json(data[name])
            for name, field in self.fields.items()
            if data[name] is not None
        }

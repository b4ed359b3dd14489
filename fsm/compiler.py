"""From a machine's file to a `Machine`: names, types and expressions checked and compiled.

What is wrong with the meaning of a file is found here, with file, line and column: undeclared
names, type errors, a row to a state that is not there. What is legal but unsound (a state without
a way out) is found by `check`.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable, Collection, Mapping
from types import MappingProxyType
from typing import Any

from . import dispatch
from .composite import BUILTIN, Map, Optional, Record, parse_type
from .decide import EVALUATION_ERRORS
from .document import Document, Path, read
from .errors import SpecError
from .expression import Binding, Expression, Function, Scope, compile_expression
from .inference import BOOL, LITERAL, assignable, oversized
from .machine import (
    QUIET,
    REQUIRED,
    Assignment,
    Effect,
    Event,
    Field,
    Invariant,
    Library,
    Machine,
    Parameter,
    Rejection,
    Row,
    State,
    Step,
    Timer,
)
from .moments import DURATION, parse_duration
from .numbering import check_numbers
from .signature import parse_signature
from .spec import (
    ANY,
    SAME,
    CreateSpec,
    EffectSpec,
    EventSpec,
    MachineSpec,
    RejectionSpec,
    Requirement,
    RowSpec,
    StateSpec,
    TimerSpec,
    model,
)
from .types import TEXT, Type

RESERVED = frozenset({"now", "height", "key", "state", "old", "true", "false", "none", "null"})
ADOPTED = "adopted"
TYPE_WORDS = frozenset({"list", "map"})
TABLE_MAX = 10_000
_TARGET = re.compile(r"([A-Za-z][A-Za-z0-9_]*)(?:\[(.+)\])?\Z", re.DOTALL)


class _NoFunctions:
    """The library of a machine that names none."""

    functions: Mapping[str, Callable[..., Any]] = MappingProxyType({})
    types: Mapping[str, Type] = MappingProxyType({})
    digest = ""


def no_library(module: str) -> Library:
    """Refuse every module: the library finder of a reader that knows no systems."""
    raise SpecError(f"no functions module {module!r} is known here")


def load(text: str, file: str, library: Callable[[str], Library] = no_library) -> Machine:
    """Return the machine that `text` describes.

    `file` is the name in error places; `library` finds the functions module that the file names
    and raises SpecError for one that it does not know. Raises SpecError with file:line:column.
    """
    document = read(text, file)
    return _Compiler(text, document, model(document), library).compile()


class _Compiler:
    """The compilation of one file."""

    def __init__(
        self,
        text: str,
        document: Document,
        spec: MachineSpec,
        library: Callable[[str], Library],
    ) -> None:
        self.text = text
        self.document = document
        self.spec = spec
        self.library: Library = _NoFunctions()
        if spec.functions:
            try:
                self.library = library(spec.functions.module)
            except SpecError as error:
                place = document.place(("functions", "module"))
                raise SpecError(error.message, hint=error.hint, place=place) from None
        self.types: dict[str, Type] = {**BUILTIN, **self.library.types}
        self.fields: dict[str, Field] = {}

    def place(self, *path: str | int, offset: int = 0) -> str:
        """Return where a part of the file stands."""
        return self.document.place(path, offset)

    def compile(self) -> Machine:
        spec = self.spec
        self.going = tuple(name for name in spec.states if not self._final(name))
        self._declare_types()
        self.constants = Scope(self._constants(), self._functions())
        for name, text in spec.data.items():
            self.fields[name] = self._field(name, text)
        self.scope = self.constants.plus(self._context()).plus(
            {name: Binding(field.type, "d") for name, field in self.fields.items()}
        )
        initial = self._initial()
        states = {
            name: self._state(name, part or StateSpec()) for name, part in spec.states.items()
        }
        create = self._create(spec.create)
        adopt = self._adopt()
        events = {
            name: self._event(name, part or EventSpec()) for name, part in spec.events.items()
        }
        check_numbers(spec, self.place)
        self._samples(events)
        if sum(len(row.sources) for event in events.values() for row in event.rows) > TABLE_MAX:
            why = f"more than {TABLE_MAX} rows, each counted in every state where it stands"
            raise SpecError(why, place=self.place("events"))
        built = dispatch.build(states, initial, events.values())
        return Machine(
            name=spec.machine,
            version=spec.version,
            title=spec.title,
            chain=spec.chain,
            text=self.text,
            digest=_digest(self.text, self.library.digest),
            functions_digest=self.library.digest,
            initial=initial,
            fields=self.fields,
            states=states,
            create=create,
            adopt=adopt,
            events=events,
            table=dispatch.table(built, states),
            invariants=self._invariants(),
            rejections={
                kind: self._meaning(part, ("rejections", kind))
                for kind, part in spec.rejections.items()
            },
            codes=spec.codes,
            links=self._figures("links", spec.links),
            ends_with=self._owner(),
            ledger=self._figures("ledger", spec.ledger),
            defer_max=spec.defer_max,
            defer_for_us=parse_duration(spec.defer_for) if spec.defer_for else None,
            spec=spec,
            document=self.document,
        )

    # names

    def _declare_types(self) -> None:
        for name, fields in self.spec.types.items():
            self._fresh(name, ("types", name), {*self.types, *TYPE_WORDS})
            of: Type
            if isinstance(fields, str):
                of = parse_type(fields, self.types, self.place("types", name))
            else:
                members = {
                    member: parse_type(text, self.types, self.place("types", name, member))
                    for member, text in fields.items()
                }
                of = Record(name, members)
            self.types[name] = self._sized(of, ("types", name))

    def _sized(self, of: Type, path: Path) -> Type:
        """Return `of` unless it is too large to be walked at every use."""
        if oversized(of):
            raise SpecError("a type of too many parts, or too deep", place=self.place(*path))
        return of

    def _fresh(self, name: str, path: Path, taken: Collection[str]) -> None:
        if name in RESERVED or name in taken:
            why = "is a word of the language" if name in RESERVED else "is taken"
            raise SpecError(f"{name!r} {why}: choose another name", place=self.place(*path))

    def _constants(self) -> dict[str, Binding]:
        bindings: dict[str, Binding] = {}
        for name, value in self.spec.constants.items():
            self._fresh(name, ("constants", name), ())
            of: Type = BOOL if isinstance(value, bool) else TEXT
            of = LITERAL if type(value) is int else of
            bindings[name] = Binding(of, "constant", value)
        return bindings

    def _functions(self) -> dict[str, Function]:
        if not self.spec.functions:
            return {}
        return {
            name: self._function(name, signature)
            for name, signature in self.spec.functions.signatures.items()
        }

    def _function(self, name: str, signature: str) -> Function:
        place = self.place("functions", "signatures", name)
        call = self.library.functions.get(name)
        if call is None:
            known = ", ".join(sorted(self.library.functions)) or "none"
            raise SpecError(f"no function {name!r} (there are {known})", place=place)
        takes, gives = parse_signature(signature, self.types, place)
        if len(inspect.signature(call).parameters) != len(takes):
            count = len(inspect.signature(call).parameters)
            raise SpecError(f"{name} takes {count} values, not {len(takes)}", place=place)
        return Function(name, takes, gives, call)

    def _context(self) -> dict[str, Binding]:
        context = {
            "now": Binding(self.types["time"], "m"),
            "key": Binding(TEXT, "m"),
            "state": Binding(TEXT, "m"),
        }
        if self.spec.chain:
            context["height"] = Binding(self.types["epoch"], "m")
        return context

    def _field(self, name: str, text: str) -> Field:
        self._fresh(name, ("data", name), self.spec.constants)
        of, default = self._typed(text, ("data", name))
        if default is REQUIRED:
            default = of.zero()
        if default is None and not isinstance(of, Optional):
            why = f"{of.name} needs a default (or write {of.name}?)"
            raise SpecError(why, place=self.place("data", name))
        return Field(name, of, default)

    def _typed(self, text: str, path: Path) -> tuple[Type, Any]:
        """Return type and default of `TYPE = DEFAULT`; an optional type has the default none."""
        written, equals, default = text.partition("=")
        of = parse_type(written, self.types, self.place(*path))
        if not equals:
            return of, None if isinstance(of, Optional) else REQUIRED
        offset = text.index("=") + 1
        compiled = self._expression(default, path, self.constants, offset=offset)
        try:
            return of, of.coerce(compiled.call({}, {}, None), str(path[-1]))
        except EVALUATION_ERRORS as error:
            raise SpecError(f"not a default: {error}", place=self.place(*path)) from None

    # expressions

    def _expression(
        self,
        source: str | int | bool,
        path: Path,
        scope: Scope,
        wanted: Type | None = None,
        offset: int = 0,
    ) -> Expression:
        lead = len(source) - len(source.lstrip()) if isinstance(source, str) else 0

        def at(column: int) -> str:
            return self.place(*path, offset=column + offset + lead)

        compiled = compile_expression(source, scope, at)
        if wanted is not None and not assignable(wanted, compiled.type):
            why = f"{compiled.type.name} where {wanted.name} is meant in `{compiled.text}`"
            raise SpecError(why, place=at(0))
        return compiled

    def _optional(self, source: Any, path: Path, scope: Scope, wanted: Type) -> Expression | None:
        return None if source is None else self._expression(source, path, scope, wanted)

    # events

    def _create(self, part: CreateSpec | None) -> Event:
        if part is not None:
            if part.event == ADOPTED:
                why = f"{ADOPTED!r} is taken: choose another name"
                raise SpecError(why, place=self.place("create", "event"))
            return self._body(part, part.event, ("create",))[0]
        spec = self.spec.data
        params = (Parameter(name, *self._typed(spec[name], ("data", name))) for name in self.fields)
        return self._taking("create", tuple(params))

    def _adopt(self) -> Event:
        """Return the creation in mid-life: every field as it is given, or its default."""
        fields = self.fields.values()
        params = tuple(Parameter(field.name, field.type, field.default) for field in fields)
        return self._taking(ADOPTED, params)

    def _taking(self, name: str, params: tuple[Parameter, ...]) -> Event:
        """Return the creation that takes the data fields as its parameters."""
        scope = self.scope.plus({param.name: Binding(param.type, "p") for param in params})
        assignments = tuple(
            Assignment(field, None, self._expression(field.name, ("data", field.name), scope))
            for field in self.fields.values()
        )
        return Event(name, params, (), assignments, (), (), "reject")

    def _figures(
        self, part: str, written: Mapping[str, str | int | bool]
    ) -> tuple[tuple[str, Expression], ...]:
        """Compile `links` or `ledger`: named expressions over the data."""
        found = []
        for name, source in written.items():
            figure = self._expression(source, (part, name), self.scope)
            names = TEXT.name, f"list[{TEXT.name}]"
            if part == "links" and figure.type.name not in names:
                why = f"a link is text or list[text], not {figure.type.name}"
                raise SpecError(why, place=self.place(part, name))
            found.append((name, figure))
        return tuple(found)

    def _owner(self) -> Expression | None:
        """Return the link that `ends_with` names."""
        name = self.spec.ends_with
        if name is None:
            return None
        figure = dict(self._figures("links", self.spec.links)).get(name)
        if figure is None or figure.type.name != TEXT.name:
            why = f"`ends_with` names a link to one instance, and {name!r} is none"
            raise SpecError(why, place=self.place("ends_with"))
        return figure

    def _event(self, name: str, written: EventSpec | None) -> Event:
        part = written or EventSpec()
        path: Path = ("events", name)
        if name == (self.spec.create.event if self.spec.create else "create"):
            raise SpecError(f"{name!r} is how an instance begins", place=self.place(*path))
        if not part.go and part.otherwise == "reject":
            raise SpecError(f"{name!r} has no row under `go`", place=self.place(*path))
        body, scope = self._body(part, name, path)
        rows = tuple(
            self._row(row, index, (*path, "go", index), scope) for index, row in enumerate(part.go)
        )
        return Event(
            name,
            body.params,
            body.steps,
            body.assignments,
            body.effects,
            rows,
            part.otherwise,
            part.code,
        )

    def _body(self, part: EventSpec | CreateSpec, name: str, path: Path) -> tuple[Event, Scope]:
        """Compile what an event and a creation share; the scope is that of the event's rows."""
        params = []
        for param, text in part.params.items():
            self._fresh(param, (*path, "params", param), self.spec.constants)
            params.append(Parameter(param, *self._typed(text, (*path, "params", param))))
        scope = self.scope.plus({param.name: Binding(param.type, "p") for param in params})
        steps: list[Step] = []
        for index, requirement in enumerate(part.require):
            scope = self._require(requirement, (*path, "require", index), scope, steps)
        assignments = self._assignments(part.set, (*path, "set"), scope)
        effects = self._effects(part.effects, (*path, "effects"), scope)
        return Event(name, tuple(params), tuple(steps), assignments, effects, (), "reject"), scope

    def _require(
        self, requirement: Requirement, path: Path, scope: Scope, steps: list[Step]
    ) -> Scope:
        """Compile one step; returns the scope of what follows it."""
        if requirement.that is not None and requirement.otherwise is not None:
            test = self._expression(requirement.that, (*path, "that"), scope, BOOL)
            rejection = self._rejection(requirement.otherwise, (*path, "else"), scope)
            steps.append(Step(test, rejection, None))
            return _narrowed(scope, test)
        for name, source in (requirement.let or {}).items():
            at = (*path, "let", name)
            self._fresh(name, at, self.spec.constants)
            value = self._expression(source, at, scope)
            steps.append(Step(value, None, name))
            scope = scope.plus({name: Binding(self._sized(value.type, at), "p")})
        return scope

    def _rejection(self, part: RejectionSpec, path: Path, scope: Scope) -> Rejection:
        code = part.code
        if isinstance(code, str):
            wanted = self.types["int"]
            return Rejection(
                part.reason, self._expression(code, (*path, "code"), scope, wanted), part.name
            )
        name = None if code is None else self.spec.codes.get(code)
        return Rejection(part.reason, code, part.name or name)

    def _meaning(self, part: RejectionSpec, path: Path) -> Rejection:
        """Compile what a kind of refusal means: there is no command that a code could depend on."""
        if isinstance(part.code, str):
            raise SpecError("a number is meant here", place=self.place(*path, "code"))
        return self._rejection(part, path, self.constants)

    def _assignments(
        self, parts: Mapping[str, str | int | bool], path: Path, scope: Scope
    ) -> tuple[Assignment, ...]:
        return tuple(
            self._assignment(target, source, path, scope) for target, source in parts.items()
        )

    def _assignment(
        self, target: str, source: str | int | bool, path: Path, scope: Scope
    ) -> Assignment:
        place = self.place(*path, target)
        match = _TARGET.match(target)
        field = self.fields.get(match[1]) if match else None
        if match is None or field is None:
            known = ", ".join(self.fields)
            raise SpecError(f"no data field {target!r} (there are {known})", place=place)
        if match[2] is None:
            value = self._expression(source, (*path, target), scope, field.type)
            return Assignment(field, None, value)
        if not isinstance(field.type, Map):
            raise SpecError(f"{field.type.name} has no items", place=place)
        key = compile_expression(match[2], scope, lambda _: place)
        if not assignable(field.type.key, key.type):
            raise SpecError(f"{key.type.name} is no key of {field.type.name}", place=place)
        return Assignment(
            field, key, self._expression(source, (*path, target), scope, field.type.of)
        )

    def _effects(self, parts: list[EffectSpec], path: Path, scope: Scope) -> tuple[Effect, ...]:
        return tuple(self._effect(part, (*path, index), scope) for index, part in enumerate(parts))

    def _effect(self, part: EffectSpec, path: Path, scope: Scope) -> Effect:
        when = self._optional(part.when, (*path, "when"), scope, BOOL)
        inner = _narrowed(scope, when)
        if part.do is not None and "do" in part.arguments:
            why = "an argument cannot be named `do`: the effect's own name stands there"
            raise SpecError(why, place=self.place(*path, "with", "do"))
        to = self._optional(part.to, (*path, "to"), inner, TEXT)
        if part.event is not None and to is None:
            self._gives(part.event, part.arguments, (*path, "raise"))
        arguments = self._arguments(part.arguments, path, inner)
        return Effect(part.do or part.event or "", part.do is None, to, when, arguments)

    def _arguments(
        self, parts: Mapping[str, str | int | bool], path: Path, scope: Scope
    ) -> tuple[tuple[str, Expression], ...]:
        return tuple(
            (name, self._expression(source, (*path, "with", name), scope))
            for name, source in parts.items()
        )

    def _gives(self, name: str, given: Collection[str], path: Path) -> None:
        """Raise SpecError unless this machine has the event, and what is given is what it takes."""
        if name not in self.spec.events:
            raise SpecError(f"no event {name!r}", place=self.place(*path))
        params = (self.spec.events[name] or EventSpec()).params
        for param, text in params.items():
            _, default = self._typed(text, ("events", name, "params", param))
            if param not in given and default is REQUIRED:
                raise SpecError(
                    f"{name!r} needs {param!r}: give it under `with`", place=self.place(*path)
                )
        unknown = next((param for param in given if param not in params), None)
        if unknown is not None:
            raise SpecError(f"{name!r} takes no {unknown!r}", place=self.place(*path))

    def _row(self, part: RowSpec, index: int, path: Path, scope: Scope) -> Row:
        written = part.source if isinstance(part.source, list) else [part.source]
        wildcard = ANY in written
        for name in written:
            if name != ANY:
                self._known_state(name, (*path, "from"))
                if self._final(name):
                    why = f"{name!r} is final and takes nothing"
                    raise SpecError(why, place=self.place(*path, "from"))
        if part.to is not None and part.to != SAME:
            self._known_state(part.to, (*path, "to"))
        return Row(
            sources=self.going if wildcard else tuple(written),
            wildcard=wildcard,
            to=None if part.to == SAME else part.to,
            same=part.to == SAME,
            when=self._optional(part.when, (*path, "when"), scope, BOOL),
            assignments=self._assignments(part.set, (*path, "set"), scope),
            effects=self._effects(part.effects, (*path, "effects"), scope),
            index=index,
        )

    # states

    def _known_state(self, name: str, path: Path) -> None:
        if name not in self.spec.states:
            known = ", ".join(self.spec.states)
            raise SpecError(f"no state {name!r} (there are {known})", place=self.place(*path))

    def _final(self, name: str) -> bool:
        part = self.spec.states[name]
        return part is not None and part.final

    def _initial(self) -> str:
        initial = [name for name, part in self.spec.states.items() if part and part.initial]
        for name in (ANY, SAME):
            if name in self.spec.states:
                raise SpecError(f"{name!r} cannot name a state", place=self.place("states", name))
        if len(initial) != 1:
            why = "exactly one state is `initial: true`"
            raise SpecError(why, place=self.place("states"))
        return initial[0]

    def _state(self, name: str, written: StateSpec | None) -> State:
        part = written or StateSpec()
        path: Path = ("states", name)
        timers = tuple(
            self._timer(timer, spec, (*path, "timers", timer))
            for timer, spec in sorted(part.timers.items())
        )
        return State(
            name=name,
            final=part.final,
            retain_us=parse_duration(part.retain) if part.retain else None,
            timers=timers,
            entry=self._effects(part.entry, (*path, "entry"), self.scope),
            code=part.code,
            expects=part.expects or None,
            no_deadline=part.no_deadline or None,
            quiet=tuple(timer for timer in timers if timer.kind == QUIET),
            timed=frozenset(timer.name for timer in timers),
        )

    def _timer(self, name: str, part: TimerSpec, path: Path) -> Timer:
        when = self._optional(part.when, (*path, "when"), self.scope, BOOL)
        deadlines = {"after": part.after, "at": part.at, "at_height": part.at_height}
        deadlines[QUIET] = part.quiet
        kind, source = next((k, text) for k, text in deadlines.items() if text is not None)
        if kind == "at_height" and not self.spec.chain:
            why = "a timer at a height needs the machine's `chain`"
            raise SpecError(why, place=self.place(*path, kind))
        lasting = kind in ("after", QUIET)
        if lasting and isinstance(source, str) and DURATION.match(source):
            source = parse_duration(source)
        point = self.types["epoch" if kind == "at_height" else "time"]
        wanted = self.types["int"] if lasting else point
        value = self._expression(source, (*path, kind), self.scope, wanted)
        clock = "height" if kind == "at_height" else "at"
        self._gives(part.event, part.arguments, (*path, "event"))
        refused = Binding(Optional(TEXT), "m")
        arguments = self._arguments(part.arguments, path, self.scope.plus({"refused": refused}))
        kind = kind.removeprefix("at_")
        return Timer(name, part.event, kind, clock, point, value, when, arguments, lasting)

    def _samples(self, events: Mapping[str, Event]) -> None:
        for name in self.spec.check.samples:
            if name not in events:
                place = self.place("check", "samples", name)
                raise SpecError(f"no event {name!r}", place=place)

    def _invariants(self) -> tuple[Invariant, ...]:
        before = Record("old", {name: field.type for name, field in self.fields.items()})
        scope = self.scope.plus({"old": Binding(before, "old")})
        names: set[str] = set()
        for index, part in enumerate(self.spec.invariants):
            self._fresh(part.name, ("invariants", index, "name"), names)
            names.add(part.name)
        return tuple(
            Invariant(
                part.name, self._expression(part.that, ("invariants", index, "that"), scope, BOOL)
            )
            for index, part in enumerate(self.spec.invariants)
        )


def _narrowed(scope: Scope, test: Expression | None) -> Scope:
    """Return the scope after a test: a name that `is not None` has a value from here on."""
    binding = scope.names.get(test.narrows) if test and test.narrows else None
    if test is None or binding is None or not isinstance(binding.type, Optional):
        return scope
    return scope.plus({str(test.narrows): Binding(binding.type.of, binding.where)})


def _digest(text: str, functions: str) -> str:
    """SHA-256 (hex) over the file's bytes and the digest of the functions that it names."""
    hashed = hashlib.sha256(b"statetape machine\n")
    hashed.update(text.encode())
    hashed.update(b"\n" + functions.encode())
    return hashed.hexdigest()

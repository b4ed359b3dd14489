"""The model of a machine's file: its parts, as written, checked for shape.

Meaning (names, types, reachability) is checked where the parts are compiled, in `machine`. The
field names here are the language; `docs/reference/machine-language.md` documents each (a test
compares).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic import model_validator as _model_validator

from .document import Document, Path
from .errors import SpecError
from .moments import DURATION

Name = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z](?:[A-Za-z0-9_]*[A-Za-z0-9])?$", max_length=64)
]
MachineName = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$", max_length=100)
]
Reason = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$", max_length=64)]
Expression = Annotated[str | int | bool, Field(union_mode="left_to_right")]
Code = Annotated[int, Field(ge=0, le=2**31)]
DurationText = Annotated[str, StringConstraints(pattern=DURATION.pattern.replace(r"\Z", "$"))]

ANY = "any"
SAME = "same"

RejectionKind = Literal[
    "no_transition",
    "terminated",
    "undeclared_event",
    "bad_arguments",
    "guard_failed",
    "evaluation_failed",
    "invariant_broken",
    "deferral_full",
    "deferral_expired",
    "unknown_instance",
    "collected_instance",
    "links_too_deep",
]


class Part(BaseModel):
    """A part of the file. Unknown members are errors, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class RejectionSpec(Part):
    """What a refusal says. `code` may be an expression; `name` is looked up in `codes`."""

    reason: Reason
    code: str | int | None = None
    name: str | None = None


class Requirement(Part):
    """One step of `require`: a check with its rejection, or names for what follows."""

    that: Expression | None = None
    otherwise: RejectionSpec | None = Field(default=None, alias="else")
    let: dict[Name, Expression] | None = None

    @_model_validator(mode="after")
    def _one_kind(self) -> Requirement:
        check = self.that is not None and self.otherwise is not None and self.let is None
        naming = self.let is not None and self.that is None and self.otherwise is None
        if not check and not naming:
            raise ValueError("write either `that` with `else`, or `let`")
        return self


class EffectSpec(Part):
    """Something that the outside has to do (`do`), or an event for an instance (`raise`)."""

    do: Name | None = None
    event: Name | None = Field(default=None, alias="raise")
    to: Expression | None = None
    when: Expression | None = None
    arguments: dict[Name, Expression] = Field(default={}, alias="with")

    @_model_validator(mode="after")
    def _one_kind(self) -> EffectSpec:
        if (self.do is None) == (self.event is None):
            raise ValueError("write either `do` or `raise`")
        if self.to is not None and self.event is None:
            raise ValueError("`to` says which instance an event is raised to: write `raise`")
        return self


class RowSpec(Part):
    """One row of an event: from where, to where, if, and what changes."""

    source: Name | list[Name] = Field(alias="from")
    to: Name | None = None
    when: Expression | None = None
    set: dict[str, Expression] = {}
    effects: list[EffectSpec] = []


class EventSpec(Part):
    """One event: its parameters, what it requires, what it does, and its rows."""

    title: str = ""
    code: Code | None = None
    params: dict[Name, str] = {}
    require: list[Requirement] = []
    set: dict[str, Expression] = {}
    effects: list[EffectSpec] = []
    go: list[RowSpec] = []
    otherwise: Literal["reject", "defer", "ignore"] = "reject"


class CreateSpec(Part):
    """How an instance begins. Without it, creation takes the data fields as parameters."""

    event: Name = "create"
    title: str = ""
    params: dict[Name, str] = {}
    require: list[Requirement] = []
    set: dict[str, Expression] = {}
    effects: list[EffectSpec] = []


class TimerSpec(Part):
    """A deadline of a state: after a duration, at a time or a height, or after a silence."""

    event: Name
    after: Expression | None = None
    at: Expression | None = None
    at_height: Expression | None = None
    quiet: Expression | None = None
    when: Expression | None = None
    arguments: dict[Name, Expression] = Field(default={}, alias="with")

    @_model_validator(mode="after")
    def _one_deadline(self) -> TimerSpec:
        kinds = (self.after, self.at, self.at_height, self.quiet)
        if sum(x is not None for x in kinds) != 1:
            raise ValueError("write exactly one of `after`, `at`, `at_height`, `quiet`")
        return self


class StateSpec(Part):
    """One state: what it waits for and until when, and the effects of entering it."""

    title: str = ""
    code: Code | None = None
    expects: str = ""
    no_deadline: str = ""
    unreached: str = ""
    no_exit: str = ""
    initial: bool = False
    final: bool = False
    retain: DurationText | None = None
    timers: dict[Name, TimerSpec] = {}
    entry: list[EffectSpec] = []

    @_model_validator(mode="after")
    def _final_is_quiet(self) -> StateSpec:
        if self.final and self.timers:
            raise ValueError("a final state takes nothing, so it has no timers")
        if self.final and (self.expects or self.no_deadline):
            raise ValueError("a final state waits for nothing")
        if self.retain and not self.final:
            raise ValueError("only a final state is retained for a time")
        return self


class InvariantSpec(Part):
    """Something true after every accepted command; `old` is the data before it."""

    that: Expression
    name: Name


class FunctionsSpec(Part):
    """Pure functions that expressions may call: whose they are, and what they take and give."""

    module: MachineName
    signatures: dict[Name, str]


class UnusedSpec(Part):
    """Numbers that the original's logs may show and that this machine does not use."""

    states: dict[Code, Name] = {}
    events: dict[Code, Name] = {}


class CheckSpec(Part):
    """Samples for `spec check`'s search for broken invariants."""

    depth: int = Field(default=4, ge=0, le=12)
    heights: list[int] = []
    create: list[dict[Name, Any]] = []
    samples: dict[Name, list[dict[Name, Any]]] = {}


class MachineSpec(Part):
    """A whole machine's file."""

    machine: MachineName
    version: int = Field(ge=1)
    title: str
    about: str = ""
    source: str = ""
    chain: Name | None = None
    functions: FunctionsSpec | None = None
    constants: dict[Name, int | bool | str] = {}
    codes: dict[int, Name] = {}
    types: dict[Name, dict[Name, str] | str] = {}
    data: dict[Name, str] = {}
    create: CreateSpec | None = None
    states: dict[Name, StateSpec | None] = Field(min_length=1)
    events: dict[Name, EventSpec | None] = {}
    unused: UnusedSpec = UnusedSpec()
    invariants: list[InvariantSpec] = []
    links: dict[Name, Expression] = {}
    ends_with: Name | None = None
    ledger: dict[Name, Expression] = {}
    rejections: dict[RejectionKind, RejectionSpec] = {}
    defer_max: int = Field(default=16, ge=1, le=1000)
    defer_for: DurationText | None = None
    check: CheckSpec = CheckSpec()


def model(document: Document) -> MachineSpec:
    """Return the model of a document, or raise SpecError at the first part of a wrong shape."""
    if not isinstance(document.data, dict):
        raise SpecError("a machine's file is a mapping", place=document.place(()))
    try:
        return MachineSpec.model_validate(document.data)
    except ValidationError as error:
        problems = [_problem(document, problem) for problem in error.errors()]
        problems.sort(key=lambda problem: document.position(problem[0]))
        path, message = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise SpecError(message + more, place=document.place(path)) from None


def _problem(document: Document, problem: Any) -> tuple[Path, str]:
    """Return path and message of one pydantic error; union branches are not part of the path."""
    path: list[str | int] = []
    node: Any = document.data
    for step in problem["loc"]:
        inside_dict = isinstance(node, dict) and step in node
        inside_list = isinstance(node, list) and isinstance(step, int) and step < len(node)
        if inside_dict or inside_list:
            node = node[step]
            path.append(step)
        elif problem["type"] == "missing" and step == problem["loc"][-1]:
            where = ".".join(map(str, path)) or "the machine"
            return tuple(path), f"{where} has no `{step}`"
    if problem["type"] == "extra_forbidden":
        return tuple(path), f"`{path[-1]}` is not part of the language here"
    message = problem["msg"].removeprefix("Value error, ")
    return tuple(path), f"{'.'.join(map(str, path))}: {message}"

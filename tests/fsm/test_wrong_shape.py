"""Files of a wrong shape: unknown and missing parts, wrong kinds of values, each at its place."""

from __future__ import annotations

import pytest
from statetape.fsm.compiler import load
from statetape.fsm.errors import SpecError

from .machines import FILE, machine, marked, refused

STATES = "states: {open: {initial: true}, closed: {final: true}}\n"
GO = "go: [{from: open}]"

WRONG: dict[str, list[str]] = {
    "unknown part": [
        "stats: §{a: 1}",
        "`stats` is not part of the language here",
    ],
    "unknown part of a state": [
        "states: {open: {initial: true, colour: §red}}",
        "`colour` is not part",
    ],
    "unknown part of an event": [
        "<states>",
        "events: {e: {when: §true, <go>}}",
        "`when` is not part",
    ],
    "unknown part of a row": [
        "<states>",
        "events: {e: {go: [{from: open, too: §closed}]}}",
        "`too` is not part",
    ],
    "unknown part of a timer": [
        "states: {open: {initial: true, timers: {t: {event: e, after: 1s, repeat: §true}}}}",
        "`repeat` is not part",
    ],
    "unknown part of a rejection": [
        "<states>",
        "events: {e: {require: [{that: true, else: {reason: X, hint: §y}}], <go>}}",
        "`hint` is not part",
    ],
    "unknown part of an effect": [
        "<states>",
        "events: {e: {effects: [{do: x, args: §{}}], <go>}}",
        "`args` is not part",
    ],
    "unknown part of functions": [
        "functions: {module: a.b, signatures: {}, path: §x}",
        "`path` is not part",
    ],
    "unknown part of check": [
        "<states>",
        "check: {deep: §3}",
        "`deep` is not part",
    ],
    "unknown kind of refusal": [
        "<states>",
        "rejections: {oops: §{reason: X}}",
        "rejections",
    ],
    "states are a list": [
        "states: §[open]",
        "dictionary",
    ],
    "no state at all": [
        "states: §{}",
        "at least 1",
    ],
    "a state is a word": [
        "states: {open: §initial}",
        "states.open",
    ],
    "initial is a word": [
        "states: {open: {initial: §yes}}",
        "valid boolean",
    ],
    "initial is a number": [
        "states: {open: {initial: §1}}",
        "valid boolean",
    ],
    "an event is a list": [
        "<states>",
        "events: {e: §[]}",
        "events.e",
    ],
    "events are a list": [
        "<states>",
        "events: §[e]",
        "dictionary",
    ],
    "a row is a word": [
        "<states>",
        "events: {e: {go: [§open]}}",
        "events.e.go.0",
    ],
    "rows are a mapping": [
        "<states>",
        "events: {e: {go: §{from: open}}}",
        "valid list",
    ],
    "row without from": [
        "<states>",
        "events: {e: {go: [§{to: closed}]}}",
        "has no `from`",
    ],
    "effect without do": [
        "<states>",
        "events: {e: {effects: [§{with: {}}], <go>}}",
        "write either `do` or `raise`",
    ],
    "rejection without reason": [
        "<states>",
        "events: {e: {require: [{that: true, else: §{code: 1}}], <go>}}",
        "has no `reason`",
    ],
    "check without rejection": [
        "<states>",
        "events: {e: {require: [§{that: true}], <go>}}",
        "either `that` with `else`, or `let`",
    ],
    "check and let": [
        "<states>",
        "events: {e: {require: [§{that: true, else: {reason: X}, let: {a: 1}}], <go>}}",
        "either `that` with `else`, or `let`",
    ],
    "let with rejection": [
        "<states>",
        "events: {e: {require: [§{let: {a: 1}, else: {reason: X}}], <go>}}",
        "either `that` with `else`, or `let`",
    ],
    "reason in small letters": [
        "<states>",
        "events: {e: {require: [{that: true, else: {reason: §oops}}], <go>}}",
        "reason",
    ],
    "timer without deadline": [
        "states: {open: {initial: true, timers: {t: §{event: e}}}}",
        "exactly one of `after`, `at`, `at_height`",
    ],
    "timer with two deadlines": [
        "states: {open: {initial: true, timers: {t: §{event: e, after: 1s, at: now}}}}",
        "exactly one of `after`, `at`, `at_height`",
    ],
    "timer without event": [
        "states: {open: {initial: true, timers: {t: §{after: 1s}}}}",
        "has no `event`",
    ],
    "final state with timers": [
        "states:",
        "  open: {initial: true}",
        "  closed: §{final: true, timers: {t: {event: e, after: 1s}}}",
        "a final state takes nothing, so it has no timers",
    ],
    "retained although not final": [
        "states: {open: §{initial: true, retain: 1d}}",
        "only a final state is retained",
    ],
    "retained for a number": [
        "states: {open: {final: true, retain: §30}}",
        "valid string",
    ],
    "retained for no duration": [
        "states: {open: {final: true, retain: §1w}}",
        "retain",
    ],
    "otherwise anything": [
        "<states>",
        "events: {e: {otherwise: §drop, <go>}}",
        "otherwise",
    ],
    "field type is a number": [
        "<states>",
        "data: {a: §1}",
        "valid string",
    ],
    "field type is missing": [
        "<states>",
        "data: {§a: }",
        "valid string",
    ],
    "parameters are a list": [
        "<states>",
        "events: {e: {params: §[a], <go>}}",
        "dictionary",
    ],
    "code is not a number": [
        "<states>",
        "codes: {one: §X}",
        "valid integer",
    ],
    "constant is a list": [
        "<states>",
        "constants: {A: §[1]}",
        "constants.A",
    ],
    "defer_max is nought": [
        "<states>",
        "defer_max: §0",
        "greater than or equal to 1",
    ],
    "defer_max is too much": [
        "<states>",
        "defer_max: §1001",
        "less than or equal to 1000",
    ],
    "search is too deep": [
        "<states>",
        "check: {depth: §13}",
        "less than or equal to 12",
    ],
    "invariant without name": [
        "<states>",
        "invariants: [§{that: true}]",
        "has no `name`",
    ],
    "invariant without that": [
        "<states>",
        "invariants: [§{name: a}]",
        "has no `that`",
    ],
    "module outside the systems": [
        "functions: {module: §../x, signatures: {}}",
        "module",
    ],
    "module with a slash": [
        "functions: {module: §a/b.c, signatures: {}}",
        "module",
    ],
    "module in capitals": [
        "functions: {module: §Os.Path, signatures: {}}",
        "module",
    ],
    "module of one word": [
        "functions: {module: §os, signatures: {}}",
        "module",
    ],
    "module with a dunder": [
        "functions: {module: §a.__init__, signatures: {}}",
        "module",
    ],
    "module with a line end": [
        'functions: {module: "§a.b\\n", signatures: {}}',
        "module",
    ],
    "functions without signatures": [
        "functions: §{module: a.b}",
        "has no `signatures`",
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_shape_is_refused_at_its_place(name: str) -> None:
    """An unknown, missing or wrong part: file, line and column, and what is wrong with it."""
    *lines, says = WRONG[name]
    body = "\n".join(lines).replace("<states>", STATES.strip()).replace("<go>", GO)
    if "states" not in body:
        body = f"{body}\n{STATES}"

    assert says in refused(body).message


@pytest.mark.parametrize(
    "name",
    [
        "1st",
        "_a",
        "a_",
        "a__",
        "a-b",
        "a b",
        "a.b",
        "é",
        "a" * 65,
        "'a\n'",
        "''",
        "ａ",
        "__class__",
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        "states: {open: {initial: true}, NAME: }",
        f"data: {{NAME: int}}\n{STATES}",
        f"{STATES}events: {{NAME: {{go: [{{from: open}}]}}}}",
        f"{STATES}events: {{e: {{params: {{NAME: int}}, go: [{{from: open}}]}}}}",
        f"{STATES}events: {{e: {{require: [{{let: {{NAME: 1}}}}], go: [{{from: open}}]}}}}",
        f"{STATES}events: {{e: {{effects: [{{do: NAME}}], go: [{{from: open}}]}}}}",
        f"{STATES}types: {{NAME: int}}",
        f"{STATES}types: {{a: {{NAME: int}}}}",
        f"{STATES}constants: {{NAME: 1}}",
        f"{STATES}invariants: [{{name: NAME, that: true}}]",
        "states: {open: {initial: true, timers: {NAME: {event: e, after: 1s}}}}",
        f"{STATES}create: {{event: NAME}}",
        f"{STATES}chain: NAME",
    ],
    ids=lambda body: body[-45:].strip(),
)
def test_name_that_is_no_name_is_refused(name: str, body: str) -> None:
    """Letters, digits and inner underscores: nothing that could reach into Python."""
    with pytest.raises(SpecError) as caught:
        machine(body.replace("NAME", name))

    assert caught.value.place.startswith("test.yaml:")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("§- a\n- b", "a machine's file is a mapping"),
        ("§word", "a machine's file is a mapping"),
        ("§12", "a machine's file is a mapping"),
        ("machine: §Test\nversion: 1\ntitle: T\nstates: {a: }", "machine"),
        ("machine: §test\nversion: 1\ntitle: T\nstates: {a: }", "machine"),
        ("machine: §a..b\nversion: 1\ntitle: T\nstates: {a: }", "machine"),
        ("machine: §a.b/../c\nversion: 1\ntitle: T\nstates: {a: }", "machine"),
        ("machine: a.b\nversion: §0\ntitle: T\nstates: {a: }", "version"),
        ("machine: a.b\nversion: §one\ntitle: T\nstates: {a: }", "version"),
        ("machine: a.b\nversion: §1.0\ntitle: T\nstates: {a: }", "version"),
        ("machine: a.b\nversion: §true\ntitle: T\nstates: {a: }", "version"),
        ("§version: 1\ntitle: T\nstates: {a: }", "the machine has no `machine`"),
        ("§machine: a.b\ntitle: T\nstates: {a: }", "the machine has no `version`"),
        ("§machine: a.b\nversion: 1\nstates: {a: }", "the machine has no `title`"),
        ("§machine: a.b\nversion: 1\ntitle: T", "the machine has no `states`"),
        ("machine: a.b\nversion: 1\ntitle: §5\nstates: {a: }", "title"),
        ("machine: a.b\nversion: 1\ntitle: T\nstates: {a: }\n1: §x", "1: Keys should be strings"),
    ],
)
def test_wrong_head_of_a_file_is_refused_at_its_place(text: str, says: str) -> None:
    """Name, version, title and states are what every machine has."""
    text, place = marked(text)

    with pytest.raises(SpecError) as caught:
        load(text, FILE)

    assert says in caught.value.message
    assert caught.value.place == place


def test_first_problem_in_the_file_is_told_and_the_others_are_counted() -> None:
    """By place, not by the order in which the checker happens to look."""
    error = refused(
        """
        states: {open: {initial: true}}
        title2: x
        events: {e: {go: []}, f: 1}
        """.replace("title2: x", "title2: §x")
    )

    assert error.message == "`title2` is not part of the language here (and 1 more)"


def test_right_file_is_loaded() -> None:
    """Negative control: what the wrong files are made from is a machine."""
    found = machine(f"{STATES}events: {{e: {{{GO}}}}}")

    assert (found.initial, list(found.states), found.table["closed"]) == (
        "open",
        ["open", "closed"],
        {},
    )

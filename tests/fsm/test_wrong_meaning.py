"""Files of the right shape that mean nothing: undeclared, doubled and reserved names, and more."""

from __future__ import annotations

import pytest

from .machines import refused

STATES = "states: {open: {initial: true}, closed: {final: true}}\n"
GO = "go: [{from: open}]"


def written(lines: list[str]) -> str:
    """Return lines as a file's body, with what <states> and <go> stand for."""
    return "\n".join(lines).replace("<states>", STATES.strip()).replace("<go>", GO)


WRONG: dict[str, list[str]] = {
    "no initial state": [
        "states: §{open: , closed: {final: true}}",
        "exactly one state is `initial",
    ],
    "two initial states": [
        "states: §{a: {initial: true}, b: {initial: true}}",
        "exactly one state is `initial",
    ],
    "state named any": [
        "states: {open: {initial: true}, any: §{final: true}}",
        "cannot name a state",
    ],
    "state named same": [
        "states: {open: {initial: true}, same: §{final: true}}",
        "cannot name a state",
    ],
    "row to no state": [
        "<states>",
        "events: {e: {go: [{from: open, to: §nope}]}}",
        "no state 'nope' (there are open, closed)",
    ],
    "row to any": [
        "<states>",
        "events: {e: {go: [{from: open, to: §any}]}}",
        "no state 'any'",
    ],
    "row from no state": [
        "<states>",
        "events: {e: {go: [{from: §nope}]}}",
        "no state 'nope'",
    ],
    "row from same": [
        "<states>",
        "events: {e: {go: [{from: §same}]}}",
        "no state 'same'",
    ],
    "row from a final state": [
        "<states>",
        "events: {e: {go: [{from: §closed}]}}",
        "'closed' is final and takes nothing",
    ],
    "row from a final state among others": [
        "<states>",
        "events: {e: {go: [{from: §[open, closed]}]}}",
        "'closed' is final and takes nothing",
    ],
    "event without rows": [
        "<states>",
        "events: {e: §{}}",
        "'e' has no row under `go`",
    ],
    "event of nothing": [
        "<states>",
        "events: {§e: }",
        "'e' has no row under `go`",
    ],
    "event named like creation": [
        "<states>",
        "events: {create: §{<go>}}",
        "'create' is how an instance begins",
    ],
    "event named like this creation": [
        "<states>",
        "create: {event: born}",
        "events: {born: §{<go>}}",
        "'born' is how an instance begins",
    ],
    "timer of no event": [
        "states: {open: {initial: true, timers: {t: {event: §e, after: 1s}}}}",
        "no event 'e'",
    ],
    "timer of an event with parameters": [
        "states: {open: {initial: true, timers: {t: {event: §e, after: 1s}}}}",
        "events: {e: {params: {a: int = 1, b: int}, <go>}}",
        "'e' needs 'b': give it under `with`",
    ],
    "timer at a height without a chain": [
        "states: {open: {initial: true, timers: {t: {event: e, at_height: §5}}}}",
        "events: {e: {<go>}}",
        "a timer at a height needs the machine's `chain`",
    ],
    "height without a chain": [
        "<states>",
        "events: {e: {require: [{that: §height > 1, else: {reason: X}}], <go>}}",
        "no name 'height'",
    ],
    "timer after a time": [
        "data: {t: time}",
        "states: {open: {initial: true, timers: {x: {event: e, after: §t}}}}",
        "events: {e: {<go>}}",
        "time where int is meant",
    ],
    "timer at a number": [
        "data: {n: int}",
        "states: {open: {initial: true, timers: {x: {event: e, at: §n}}}}",
        "events: {e: {<go>}}",
        "int where time is meant",
    ],
    "timer at a height that is a time": [
        "chain: c",
        "states: {open: {initial: true, timers: {x: {event: e, at_height: §now}}}}",
        "events: {e: {<go>}}",
        "time where epoch is meant",
    ],
    "unknown type of a field": [
        "data: {a: §money}",
        "<states>",
        "no type 'money'",
    ],
    "unknown type of a parameter": [
        "<states>",
        "events: {e: {params: {a: §money}, <go>}}",
        "no type 'money'",
    ],
    "unknown type inside": [
        "data: {a: '§list[money]'}",
        "<states>",
        "no type 'money'",
    ],
    "type used before it is declared": [
        "types: {a: {b: §c}, c: {d: int}}",
        "<states>",
        "no type 'c'",
    ],
    "type of itself": [
        "types: {a: {b: '§a?'}}",
        "<states>",
        "no type 'a'",
    ],
    "type named like a builtin": [
        "types: {int: §{a: text}}",
        "<states>",
        "'int' is taken",
    ],
    "type named list": [
        "types: {list: §{a: text}}",
        "<states>",
        "'list'",
    ],
    "type named map": [
        "types: {map: §{a: text}}",
        "<states>",
        "'map'",
    ],
    "record without a default": [
        "types: {r: {a: int}}",
        "data: {f: §r}",
        "<states>",
        "r needs a default (or write r?)",
    ],
    "json without a default": [
        "data: {f: §json}",
        "<states>",
        "json needs a default",
    ],
    "default of another type": [
        "data: {a: §int = true}",
        "<states>",
        "not a default",
    ],
    "default out of range": [
        "data: {a: §uint = -1}",
        "<states>",
        "not a default",
    ],
    "default that divides by nought": [
        "data: {a: §int = 1 // 0}",
        "<states>",
        "not a default",
    ],
    "default of an empty minimum": [
        'data: {a: "§int = min([x for x in [1] if x > 1])"}',
        "<states>",
        "not a default",
    ],
    "default none": [
        "data: {a: §int = None}",
        "<states>",
        "not a default",
    ],
    "default that reads the clock": [
        "data: {a: time = §now}",
        "<states>",
        "no name 'now'",
    ],
    "default that reads a field": [
        "data: {a: int, b: int = §a}",
        "<states>",
        "no name 'a'",
    ],
    "empty default": [
        "data: {a: int =§}",
        "<states>",
        "not an expression",
    ],
    "parameter default of another type": [
        "<states>",
        "events: {e: {params: {a: '§bool = 1'}, <go>}}",
        "not a default",
    ],
    "set of no field": [
        "<states>",
        "events: {e: {set: {nope: §1}, <go>}}",
        "no data field 'nope'",
    ],
    "set of a parameter": [
        "<states>",
        "events: {e: {params: {p: int}, set: {p: §1}, <go>}}",
        "no data field 'p'",
    ],
    "set of an item of no map": [
        "data: {a: int}",
        "<states>",
        'events: {e: {set: {"a[1]": §1}, <go>}}',
        "int has no items",
    ],
    "set of an item of a list": [
        'data: {a: "list[int]"}',
        "<states>",
        'events: {e: {set: {"a[0]": §1}, <go>}}',
        "list[int] has no items",
    ],
    "set of an item by a wrong key": [
        'data: {a: "map[int, int]"}',
        "<states>",
        'events: {e: {set: {"a[key]": §1}, <go>}}',
        "text is no key of map[int, int]",
    ],
    "set of an item by an unknown key": [
        'data: {a: "map[int, int]"}',
        "<states>",
        'events: {e: {set: {"a[nope]": §1}, <go>}}',
        "no name 'nope'",
    ],
    "set of an item to another type": [
        'data: {a: "map[int, int]"}',
        "<states>",
        'events: {e: {set: {"a[1]": §key}, <go>}}',
        "text where int is meant",
    ],
    "set of a field of an item": [
        "types: {r: {x: int}}",
        'data: {a: "map[int, r]"}',
        "<states>",
        'events: {e: {set: {"a[1].x": §1}, <go>}}',
        "no data field 'a[1].x'",
    ],
    "set to another type": [
        "data: {a: int}",
        "<states>",
        "events: {e: {set: {a: §key}, <go>}}",
        "text where int is meant in `key`",
    ],
    "set of a row to another type": [
        "data: {a: bool}",
        "<states>",
        "events: {e: {go: [{from: open, set: {a: §now}}]}}",
        "time where bool is meant",
    ],
    "condition that is no truth": [
        "<states>",
        "events: {e: {go: [{from: open, when: §now}]}}",
        "time where bool is meant",
    ],
    "invariant that is no truth": [
        "data: {a: int}",
        "<states>",
        "invariants: [{name: i, that: §a}]",
        "int where bool is meant",
    ],
    "invariant over a parameter": [
        "<states>",
        "events: {e: {params: {p: int}, <go>}}",
        "invariants: [{name: i, that: §p > 0}]",
        "no name 'p'",
    ],
    "invariant over old of nothing": [
        "data: {a: int}",
        "<states>",
        "invariants: [{name: i, that: §old.b > 0}]",
        "old has no field 'b'",
    ],
    "invariant over all of old": [
        'data: {a: "map[int, int]"}',
        "<states>",
        'invariants: [{name: i, that: "§old == a"}]',
        "old",
    ],
    "two invariants of one name": [
        "<states>",
        "invariants: [{name: i, that: true}, {name: §i, that: true}]",
        "'i'",
    ],
    "old outside an invariant": [
        "data: {a: int}",
        "<states>",
        "events: {e: {set: {a: §old.a}, <go>}}",
        "no name 'old'",
    ],
    "code that is no number": [
        "<states>",
        "events: {e: {require: [{that: true, else: {reason: X, code: §key}}], <go>}}",
        "text where int is meant",
    ],
    "code that is a truth": [
        "<states>",
        "events: {e: {require: [{that: true, else: {reason: X, code: §true}}], <go>}}",
        "",
    ],
    "meaning of a refusal by an expression": [
        "constants: {A: 5}",
        "<states>",
        "rejections: {terminated: {reason: X, code: §A}}",
        "a number is meant here",
    ],
    "let used before it is named": [
        "<states>",
        "events: {e: {require: [{that: §x > 0, else: {reason: X}}, {let: {x: 1}}], <go>}}",
        "no name 'x'",
    ],
    "let of another event": [
        "<states>",
        "events: {e: {require: [{let: {x: 1}}], <go>}, f: {go: [{from: open, when: §x > 0}]}}",
        "no name 'x'",
    ],
    "effect at entry over a parameter": [
        "states: {open: {initial: true, entry: [{do: x, with: {a: §p}}]}}",
        "events: {e: {params: {p: int}, <go>}}",
        "no name 'p'",
    ],
    "effect with an argument named do": [
        "<states>",
        "events: {e: {effects: [{do: x, with: {do: §1}}], <go>}}",
        "do",
    ],
    "empty height of a timer": [
        "chain: c",
        'states: {open: {initial: true, timers: {t: {event: e, at_height: "§"}}}}',
        "events: {e: {<go>}}",
        "not an expression",
    ],
    "samples of no event": [
        "<states>",
        "check: {samples: {nope: §[{}]}}",
        "no event 'nope'",
    ],
    "functions of no module": [
        "functions: {module: §a.b, signatures: {f: int -> int}}",
        "<states>",
        "no functions module 'a.b' is known here",
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_meaning_is_refused_at_its_place(name: str) -> None:
    """Each wrong file gets an error that names the part, with file, line and column."""
    *lines, says = WRONG[name]

    assert says in refused(written(lines)).message

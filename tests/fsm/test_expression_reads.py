"""What a failed check saw: the values that its expression looks at, by the names in the file."""

from __future__ import annotations

import pytest
from statetape.fsm.compiler import load

from .expressions import compiled
from .machines import FILE, HEAD, event, kind, send
from .strategies import BIG


@pytest.mark.parametrize(
    ("source", "names", "labels"),
    [
        ("n > 1", {"n": "int"}, ["n"]),
        ("n > n", {"n": "int"}, ["n"]),
        ("1 > 2", {}, []),
        ("from == to", {"from": "text", "to": "text"}, ["from", "to"]),
        ("l.nonce > l.redeemed // l.redeemed", {"l": "lane"}, ["l.nonce", "l.redeemed"]),
        ("m[k].nonce > 1", {"m": "map[int, lane]", "k": "int"}, ["k", "m[k].nonce"]),
        ("m[from].nonce > 1", {"m": "map[text, lane]", "from": "text"}, ["from", "m[from].nonce"]),
        ("class.nonce > 1", {"class": "lane"}, ["class.nonce"]),
        ("o is not None", {"o": "int?"}, ["o"]),
        ("len(m) > n", {"m": "map[int, int]", "n": "int"}, ["n"]),
        ("any(x > n for x in ns)", {"ns": "list[int]", "n": "int"}, []),
        ("any(x > 1 for x in ns) or n > 1", {"ns": "list[int]", "n": "int"}, ["n"]),
        ("now > 5", {}, ["now"]),
        ("b == c", {"b": "bytes", "c": "bytes"}, ["b", "c"]),
        (" + ".join("abcdefghij") + " > 0", dict.fromkeys("abcdefghij", "int"), list("abcdefgh")),
    ],
)  # fmt: skip
def test_expression_knows_the_scalars_that_it_reads(
    source: str, names: dict[str, str], labels: list[str]
) -> None:
    """Each once, in order, as the author wrote it; at most eight; none from inside a loop."""
    assert [label for label, _, _ in compiled(source, names).reads] == labels


def test_refusal_shows_what_the_check_saw() -> None:
    """Parameters, data, let-names and the moment, in JSON form."""
    found = event(
        """
        params: {pay: attofil, from: text, when: "time?"}
        require:
          - let: {twice: "pay * 2"}
          - that: twice < total and from == key and when is not None and now > 5
            else: {reason: NO}
        """,
        "data: {total: attofil = 3}",
    )

    decision = send(found, params={"pay": BIG, "from": "é"}, now=7)

    assert decision.reason == {
        "kind": "guard_failed",
        "reason": "NO",
        "that": "twice < total and from == key and when is not None and now > 5",
        "saw": {"twice": str(2 * BIG), "total": "3", "from": "é", "key": "key", "now": 7},
    }


def test_what_cannot_be_read_is_left_out() -> None:
    """The part of a check that was never reached does not spoil the refusal."""
    found = event(
        """
        params: {k: int}
        require: [{that: "k in lanes and lanes[k].nonce > 1", else: {reason: NO}}]
        """,
        'types: {lane: {nonce: int}}\ndata: {lanes: "map[int, lane]"}',
    )

    assert send(found, params={"k": 3}).reason["saw"] == {"k": 3}


def test_long_text_is_cut_in_what_was_seen() -> None:
    """A refusal stays small whatever was sent."""
    found = event("params: {t: text}\nrequire: [{that: t == key, else: {reason: NO}}]")

    assert send(found, params={"t": "x" * 50_000}).reason["saw"] == {"t": "x" * 200, "key": "key"}


def test_height_that_nobody_knows_is_not_shown() -> None:
    """A check that did not need the height is refused without it."""
    found = event(
        "params: {n: int}\nrequire: [{that: n > 1 and height > 5, else: {reason: NO}}]", "chain: c"
    )

    assert send(found, params={"n": 1}).reason["saw"] == {"n": 1}
    assert send(found, params={"n": 1}, height=9).reason["saw"] == {"n": 1, "height": 9}


def test_huge_intermediate_value_is_refused_without_breaking_the_refusal() -> None:
    """A number too long for Python to print (4300 digits) was seen: still a plain refusal."""
    found = event(
        """
        params: {n: int}
        require:
          - let: {power: n * n * n * n * n * n}
          - {that: power < 5, else: {reason: TOO_MUCH}}
        """
    )

    assert kind(send(found, params={"n": 2**4000})) in ("guard_failed", "evaluation_failed")


@pytest.mark.parametrize(
    ("code", "params", "expected"),
    [
        ("7", {"n": 1}, 7),
        ("n", {"n": 18}, 18),
        ("n", {"n": BIG}, str(BIG)),
        (str(BIG), {"n": 1}, str(BIG)),
        ("10 // n", {"n": 3}, 3),
    ],
)
def test_code_of_a_refusal_is_exact_json(
    code: str, params: dict[str, int], expected: object
) -> None:
    """A code may depend on the command; beyond 53 bits it is a string, like every integer."""
    found = event(
        f"params: {{n: int}}\nrequire: [{{that: n < 0, else: {{reason: NO, code: {code}}}}}]"
    )

    assert send(found, params=params).reason["code"] == expected


def test_code_that_cannot_be_computed_is_a_refusal_all_the_same() -> None:
    """A division by zero in `code` does not let Python's error out."""
    found = event("params: {n: int}\nrequire: [{that: n > 5, else: {reason: NO, code: 10 // n}}]")

    assert kind(send(found, params={"n": 0})) in ("guard_failed", "evaluation_failed")


def test_name_of_a_code_is_looked_up() -> None:
    """Fixed codes and computed ones; a name given in the file wins; no code, no name."""
    top = "codes: {0: OK, 18: FORBIDDEN, 20: STATE}"
    body = "params: {n: int}\nrequire: [{that: n < 0, else: {reason: NO, MORE}}]"

    def said(more: str, n: int) -> tuple[object, object]:
        reason = send(event(body.replace("MORE", more), top), params={"n": n}).reason
        return reason.get("code"), reason.get("name")

    assert said("code: 18", 1) == (18, "FORBIDDEN")
    assert said("code: n", 20) == (20, "STATE")
    assert said("code: n", 21) == (21, None)
    assert said("code: n, name: MINE", 20) == (20, "MINE")
    assert said("code: 0", 1) == (0, "OK")
    assert said("name: MINE", 1) == (None, "MINE")


def test_refusal_without_a_code_has_no_name() -> None:
    """`codes` may name 0 (OK): that is not the name of a refusal that has no code."""
    found = event("require: [{that: key == state, else: {reason: NO}}]", "codes: {0: OK, 1: SYS}")

    assert "name" not in send(found).reason


def test_machine_says_what_each_kind_of_refusal_means() -> None:
    """`rejections` adds reason, code and name to a kind, and the kind stays."""
    text = (
        HEAD
        + """
states: {open: {initial: true}, closed: {final: true}}
events: {go: {go: [{from: open, to: closed}]}}
codes: {5: GONE}
rejections: {terminated: {reason: DELETED, code: 5}, bad_arguments: {reason: ARGS}}
"""
    )
    found = load(text, FILE)

    assert send(found, state="closed").reason == {
        "kind": "terminated",
        "reason": "DELETED",
        "code": 5,
        "name": "GONE",
    }
    assert send(found, params={"x": 1}).reason["reason"] == "ARGS"


def test_check_that_is_never_true_may_be_written_false() -> None:
    """`that: false` is an expression like any other."""
    found = event("require: [{that: false, else: {reason: CLOSED}}]")

    assert send(found).reason == {"kind": "guard_failed", "reason": "CLOSED", "that": "False"}

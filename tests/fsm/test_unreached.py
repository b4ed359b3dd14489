"""States that nothing leads to, or out of: unsound, unless the file says why it is so."""

from __future__ import annotations

from statetape.fsm.check import check

from .machines import machine

LOST = """
states:
  open: {initial: true, no_deadline: a person decides}
  lost: {no_deadline: a person decides%s}
  closed: {final: true}
events: {end: {go: [{from: any, to: closed}]}, stray: {go: [{from: open, to: %s}]}}
"""


def found(reason: str, to: str = "closed") -> list[str]:
    """Return what `check` says of a machine with a state `lost`."""
    return [one.message for one in check(machine(LOST % (reason, to)))]


def test_an_unreached_state_needs_a_reason():
    """Tables of the originals have rows from states that nothing leads to any more."""
    assert found("") == ["state 'lost' cannot be reached"]
    assert found(", unreached: nothing leads here since version 2") == []


def test_a_reason_that_is_not_true_is_found():
    """A row that leads there makes the reason wrong."""
    wrong = found(", unreached: nothing leads here", "lost")

    assert wrong == ["state 'lost' can be reached, and `unreached` says it cannot"]


DEAD = """
states:
  open: {initial: true, no_deadline: a person decides}
  dead: {no_deadline: nothing will come%s}
  closed: {final: true}
events: {end: {go: [{from: open, to: closed}]}, die: {go: [{from: open, to: dead}%s]}}
"""


def test_a_state_without_an_exit_needs_a_reason():
    """Tables of the originals have states where everything ends and that do not say so."""
    silent = check(machine(DEAD % ("", "")))

    assert [one.message for one in silent] == [
        "state 'dead' is not final, and nothing and no timer can leave it"
    ]
    assert check(machine(DEAD % (", no_exit: the original has none", ""))) == []


def test_a_reason_for_no_exit_that_is_not_true_is_found():
    """A row that leads out makes the reason wrong."""
    [wrong] = check(machine(DEAD % (", no_exit: there is none", ", {from: dead, to: closed}")))

    assert (
        wrong.message
        == "state 'dead' can be left or is final, and `no_exit` says it cannot be left"
    )

"""States that nothing leads to: unsound, unless the file says why they are there all the same."""

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

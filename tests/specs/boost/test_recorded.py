"""The machines of Boost's retrieval log: the exact ones by name, and `Found`."""

from __future__ import annotations

import pytest
from statetape.engine import catalogue
from statetape.fsm.check import check
from statetape.fsm.compiler import load
from statetape.specs.boost.recorded import recorded
from statetape.specs.golog.table import Table

EXACT = ["filecoin.gfm_retrieval_provider", "filecoin.dt_channel"]


def compiled(exact):
    """Return the machine that is derived from an exact one."""
    text = recorded(Table(catalogue.machine(exact)), "boost.derived", "As Boost records it")
    return load(text, exact, catalogue.library)


@pytest.mark.parametrize("exact", EXACT)
def test_a_derived_machine_is_sound(exact):
    """`spec check` would be quiet about it."""
    assert [str(finding) for finding in check(compiled(exact))] == []


@pytest.mark.parametrize("exact", EXACT)
def test_it_moves_as_the_exact_one_and_goes_on_from_what_was_found(exact):
    """Each event of the original by name leads where it leads; `Found` leads anywhere."""
    machine, original = compiled(exact), catalogue.machine(exact)
    going = [name for name, state in original.states.items() if not state.final]

    for state in going:
        named = {
            event for event in original.table[state] if original.events[event].code is not None
        }
        assert {*machine.table[state]} == named | {"Found", "BelongsTo"}
        for event in named:
            assert machine.table[state][event][0].to == original.table[state][event][0].to
        assert [row.to for row in machine.table[state]["Found"]] == list(original.states)

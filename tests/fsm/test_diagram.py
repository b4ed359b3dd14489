"""Diagrams: every state, every event and every condition, in both formats."""

from __future__ import annotations

import pytest
from statetape.fsm.diagram import FORMATS, diagram
from statetape.fsm.machine import Machine

from .machines import bundled, machine

BUNDLED = bundled()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", BUNDLED)
def test_diagram_shows_every_state_and_event(name: str, form: str) -> None:
    """Whoever reads the picture sees the whole machine."""
    of = BUNDLED[name]

    drawn = diagram(of, form)

    assert [state for state in of.states if state not in drawn] == []
    assert [event for event in of.events if event not in drawn] == []
    assert of.title in drawn


@pytest.fixture(scope="module")
def gate() -> Machine:
    """A machine with a condition, a record-only row, a loop and a timer."""
    return machine(
        """
        data: {n: int}
        states:
          open: {initial: true, timers: {closing_time: {after: 1h, event: shut}}}
          closed: {final: true}
        events:
          enter: {set: {n: n + 1}, go: [{from: open, when: n < 100}]}
          ring: {go: [{from: open, to: same}]}
          shut: {go: [{from: open, to: closed}]}
        """
    )


@pytest.mark.parametrize("form", FORMATS)
def test_condition_stands_behind_its_event(gate: Machine, form: str) -> None:
    """In the words of the file."""
    assert "enter [n < 100]" in diagram(gate, form)


@pytest.mark.parametrize("form", FORMATS)
def test_row_that_only_records_is_marked(gate: Machine, form: str) -> None:
    """`[internal]` tells it from one that enters its state again."""
    drawn = diagram(gate, form)

    assert "enter [n < 100] [internal]" in drawn
    assert "ring [internal]" not in drawn


@pytest.mark.parametrize("form", FORMATS)
def test_event_of_a_timer_has_its_timers_name(gate: Machine, form: str) -> None:
    """What fires by itself is told from what somebody sends."""
    assert "closing_time" in diagram(gate, form)


@pytest.mark.parametrize("form", FORMATS)
def test_diagram_is_the_same_every_time(gate: Machine, form: str) -> None:
    """Documentation holds it, and a test compares."""
    assert diagram(gate, form) == diagram(gate, form)


def test_diagram_has_the_arrows_of_the_machine(gate: Machine) -> None:
    """From where to where, in Mermaid and in DOT."""
    mermaid = diagram(gate, "mermaid")
    dot = diagram(gate, "graphviz")

    assert "open --> closed: shut" in mermaid
    assert "[*] --> open" in mermaid
    assert "stateDiagram-v2" in mermaid
    assert "open -> closed" in dot
    assert dot.startswith("digraph")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "name",
    [
        "trigger",
        "get_graph",
        "show_graph",
        "is_open",
        "may_go",
        "state",
        "model",
        "add_model",
        "to_open",
    ],
)
def test_event_of_any_name_can_be_drawn(name: str, form: str) -> None:
    """Names that the drawing library uses for itself are good names all the same."""
    drawn = diagram(
        machine(
            f"""
            states: {{open: {{initial: true}}, closed: {{final: true}}}}
            events: {{{name}: {{go: [{{from: open, to: closed}}]}}}}
            """
        ),
        form,
    )

    assert name in drawn


@pytest.mark.parametrize("form", FORMATS)
def test_condition_with_quotes_can_be_drawn(form: str) -> None:
    """The text of a condition does not break the text of the diagram."""
    drawn = diagram(
        machine(
            """
            data: {t: text}
            states: {open: {initial: true}, closed: {final: true}}
            events: {go: {go: [{from: open, to: closed, when: 't == "a" or t < ";"'}]}}
            """
        ),
        form,
    )

    assert "closed" in drawn

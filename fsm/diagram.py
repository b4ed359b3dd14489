"""Diagrams of a machine, drawn by `transitions`: Mermaid for documents, Graphviz for the rest."""

from __future__ import annotations

from typing import Any

from transitions.extensions.diagrams import GraphMachine

from .dispatch import MODEL_ATTRIBUTE
from .machine import Machine, Row

FORMATS: dict[str, Any] = {"mermaid": "mermaid", "graphviz": "graphviz"}


class _Model:
    """What `transitions` needs to draw a machine for."""


def diagram(machine: Machine, form: str = "mermaid") -> str:
    """Return the machine's diagram as Mermaid or Graphviz (DOT) text.

    Record-only rows are marked `[internal]`; behind an event stand the state's timer that fires
    it, and the row's condition.
    """
    drawn: Any = GraphMachine(
        model=None,
        states=[{"name": state.name, "final": state.final} for state in machine.states.values()],
        initial=machine.initial,
        auto_transitions=False,
        send_event=True,
        model_attribute=MODEL_ATTRIBUTE,
        graph_engine=FORMATS[form],
        title=machine.title,
        show_conditions=True,
    )
    for event in machine.events.values():
        trigger = f"on {event.name}"  # a model's attribute, like `get_graph`: so never its name
        for row in event.rows:
            for source in row.sources:
                label = _label(machine, source, event.name, row)
                drawn.add_transition(trigger, source, "=" if row.same else row.to, label=label)
    model: Any = _Model()
    drawn.add_model(model)
    drawn.model_graphs[id(model)].reset_styling()
    return str(model.get_graph().source)


def _label(machine: Machine, source: str, event: str, row: Row) -> str:
    timers = [timer.name for timer in machine.states[source].timers if timer.event == event]
    timed = f" ({', '.join(timers)})" if timers else ""
    condition = f" [{row.when.text}]" if row.when else ""
    return event + timed + condition

"""Diagrams of a machine, drawn by `transitions`: Mermaid for documents, Graphviz for the rest."""

from __future__ import annotations

from typing import Any

from transitions.extensions.diagrams import GraphMachine

from .dispatch import MODEL_ATTRIBUTE
from .machine import Machine

FORMATS: dict[str, Any] = {"mermaid": "mermaid", "graphviz": "graphviz"}


class _Model:
    """What `transitions` needs to draw a machine for."""


def diagram(machine: Machine, form: str = "mermaid") -> str:
    """Return the machine's diagram as Mermaid or Graphviz (DOT) text.

    Record-only rows are marked `[internal]`, a timer's event with its timer's name, and a row's
    condition stands behind its event.
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
        for row in event.rows:
            label = event.name if row.when is None else f"{event.name} [{row.when.text}]"
            drawn.add_transition(
                event.name, list(row.sources), "=" if row.same else row.to, label=label
            )
    model: Any = _Model()
    drawn.add_model(model)
    drawn.model_graphs[id(model)].reset_styling()
    return str(model.get_graph().source)

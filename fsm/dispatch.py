"""States, triggers, wildcards and look-up: the `transitions` library's, and a table made from it.

`transitions` builds and owns each machine: it validates states and rows, expands wildcards,
orders the rows of a state, answers what is accepted where, and draws the diagrams. Its dispatch
costs a few microseconds per trigger, which is most of what a whole decision may cost, so the hot
path reads a table compiled from the built machine (docs/decisions/0005-dispatch-table.md); a test
drives both for every (state, event) of every bundled machine and compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import transitions

from .machine import Event, Row, State

MODEL_ATTRIBUTE = "state_"
"""Where a model keeps its state: no declared name ends with an underscore."""


class RowTransition(transitions.Transition):
    """A transition that remembers the row of the file that it came from."""

    def __init__(self, *args: Any, row: Row | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.row = row


class RowMachine(transitions.Machine):
    """A `transitions.Machine` over the rows of a file."""

    transition_cls = RowTransition


def build(
    states: Mapping[str, State], initial: str, events: Iterable[Event], **options: Any
) -> RowMachine:
    """Return the `transitions.Machine` of these states and events.

    An exact row is added before a wildcard row, so it is tried first; a final state takes
    nothing, so a wildcard leaves it out. A row's `when` becomes a condition that reads the
    command from the keyword `row_holds` (a function of the row).
    """
    machine = RowMachine(
        model=None,
        states=[{"name": state.name, "final": state.final} for state in states.values()],
        initial=initial,
        auto_transitions=False,
        send_event=True,
        model_attribute=MODEL_ATTRIBUTE,
        **options,
    )
    for event in events:
        for row in sorted(event.rows, key=lambda row: row.wildcard):
            machine.add_transition(
                event.name,
                list(row.sources),
                "=" if row.same else row.to,
                conditions=[_condition(row)] if row.when else None,
                row=row,
            )
    return machine


def _condition(row: Row) -> Any:
    def holds(event_data: Any) -> bool:
        return bool(event_data.kwargs["row_holds"](row))

    return holds


def table(machine: RowMachine, states: Iterable[str]) -> dict[str, dict[str, tuple[Row, ...]]]:
    """Return state → event → rows to try in order, as the built machine orders them."""
    return {
        state: {
            name: tuple(cast(Any, one).row for one in event.transitions[state])
            for name, event in machine.events.items()
            if state in event.transitions
        }
        for state in states
    }

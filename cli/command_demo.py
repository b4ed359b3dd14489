"""`demo`: play a story on new tapes, with the very commands that a user would type."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..fsm.errors import CallerError
from .options import TapeOption

DEMO_TAPE = Path("statetape-demo.db")


class StoryUnknown(CallerError):
    """There is no story of that name, or it is not told with that fault."""

    code = "story-unknown"


def add(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command(rich_help_panel="Begin here")(demo)


def demo(
    story: Annotated[
        str, typer.Argument(help="payment, retrieval, or dispute; a wrong name lists them.")
    ] = "payment",
    fault: Annotated[
        str | None,
        typer.Option(
            help="What goes wrong in a story that can: e.g. lost-event; a wrong one lists them."
        ),
    ] = None,
    tape: TapeOption = DEMO_TAPE,
    scene: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> int:
    """Play a payment channel's life, a retrieval that fails, or a dispute, on new tapes.

    `demo payment`: real vouchers, a refusal, a crash, a recovery. `demo retrieval`: a paid
    retrieval between two nodes, each with a tape of its own, with a fault of your choice; then it
    is explained, replayed, and replayed with what was missing. `demo dispute`: a settlement after
    which 1000 are missing, on both sides' tapes; then it is audited.

    Leaves the tapes behind, and says what to try on them.
    """
    from ..engine import catalogue
    from ..fsm.story import Drama

    told = catalogue.stories().get(story)
    if told is None:
        hint = f"stories: {', '.join(catalogue.stories())}"
        raise StoryUnknown(f"no story {story!r}", hint=hint)
    if isinstance(told, Drama):
        from .two_tapes import die, play

        faults = ", ".join(told.tales)
        fault = next(iter(told.tales)) if fault is None else fault
        if fault not in told.tales:
            raise StoryUnknown(f"{story} is not told with {fault!r}", hint=f"faults: {faults}")
        return play(told, fault, tape) if scene is None else die(told, fault, tape, scene)
    if fault is not None:
        raise StoryUnknown(f"{story} is told without faults", hint="leave --fault out")
    from . import one_tape

    return one_tape.play(told, tape) if scene is None else one_tape.die(told, scene, tape)

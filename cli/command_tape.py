"""`verify`, `recover`: commands about the tape as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING
from .entries import entry_lines
from .options import DEFAULT_TAPE, AnchorOption, JsonOption, KeyFileOption, TapeOption
from .output import progress, say, say_json

if TYPE_CHECKING:
    from ..engine.recover import Recovery


def add(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command(rich_help_panel="Decide and prove")(verify)
    app.command(rich_help_panel="Keep")(recover)


def verify(
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Check every stored byte: entries, tree, checkpoints, anchor, projections.

    Names the position, page or table of any damage, and exits with 1.
    """
    from ..engine.verify import verify as verify_tape
    from ..storage.files import Files
    from ..storage.reader import Reader
    from ..storage.verify import notes as notes_of

    with Reader.open(Files.of(tape, anchor)) as reader:
        size = reader.stored_size()
        with progress("verifying", size) as report:
            findings = verify_tape(reader, report)
        root = reader.edge_at(size).root().hex() if not findings else None
        checkpoint = reader.anchored() if not findings else None
        notes = notes_of(reader) if not findings else []
    if json:
        places = [{"place": one.place, "message": one.message} for one in findings]
        upto = checkpoint.size if checkpoint else None
        said = {"entries": size, "root": root, "anchored": upto, "findings": places}
        say_json(said | ({"notes": notes} if notes else {}))
    elif findings:
        for one in findings:
            say(f"{one.place}: {one.message}")
        say(f"{size} entries, {len(findings)} findings")
    else:
        anchored = f"anchored at {checkpoint.size}" if checkpoint else "not anchored"
        say(f"{size} entries, sound; {anchored}")
        say(f"root {root}")
        for note in notes:
            say(f"note: {note}")
    return EXIT_FINDING if findings else EXIT_DONE


def recover(
    new_anchor: Annotated[
        bool, typer.Option("--new-anchor", help="Go on where the anchor or the key was lost.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Throw the projections away and fold them again.")
    ] = False,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> int:
    """Bring a tape back after a crash, and say what was in flight and what was done about it.

    Checks the anchor and every entry, catches up the projections, fires overdue timers.
    """
    from ..engine.inspect import entry_json
    from ..engine.recover import recover as recover_tape

    with progress("checking", None) as report:
        found = recover_tape(
            tape,
            anchor=anchor,
            key=key_file,
            new_anchor=new_anchor,
            rebuild=rebuild,
            progress=report,
        )
    if json:
        said = {
            "entries": found.entries,
            "anchored": found.anchored,
            "projected": found.projected,
            "unanchored": [entry_json(one) for one in found.unanchored],
            "unanchored_count": found.unanchored_count,
            "fired": [entry_json(one) for one in found.fired],
            "fired_count": found.fired_count,
            "effects_behind": found.effects_behind,
            "open_instances": found.open_instances,
            "instances_with_timers": found.open_timers,
            "unloadable": found.unloadable,
            "rebuilt": found.rebuilt,
        }
        say_json(said)
    else:
        for line in recovery_lines(found):
            say(line)
    return EXIT_DONE


def recovery_lines(found: Recovery) -> list[str]:
    """Return what a recovery found and did, in words."""
    anchored = f"the anchor signs {found.anchored} of them" if found.anchored else "no anchor yet"
    lines = [f"{found.entries} entries, all sound; {anchored}"]
    if found.unanchored_count:
        many = found.unanchored_count
        lines.append(f"in flight: {many} after the anchor; durable, so they count,")
        lines.append("but their senders may not have been told (send again with the same key):")
        for entry in found.unanchored:
            lines += [f"  {line}" for line in entry_lines(entry)[:1]]
        if many > len(found.unanchored):
            lines.append(f"  … and {many - len(found.unanchored)} more")
    else:
        lines.append("in flight: nothing; the last session ended in good order")
    if found.rebuilt:
        lines.append("projections: folded again from the first entry")
    elif found.projected < found.entries:
        lines.append(f"projections: caught up from {found.projected} to {found.entries}")
    else:
        lines.append("projections: up to date")
    lines.append(f"timers: {found.fired_count} overdue, fired now; {found.open_timers} waiting")
    for entry in found.fired:
        lines += [f"  {line}" for line in entry_lines(entry)[:1]]
    for name, count in found.effects_behind.items():
        lines.append(f"consumer {name}: {count} entries behind")
    for spec, why in found.unloadable.items():
        lines.append(f"the machine at position {spec} cannot be loaded here: {why}")
    lines.append(f"open instances: {found.open_instances}")
    return lines

"""`import` and `export`: histories and other programs' records, out of files and into them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING, CallerError
from .looking import reading
from .options import DEFAULT_TAPE, AnchorOption, JsonOption, KeyFileOption, TapeOption
from .output import OutputFailed, progress, say, say_json, warn
from .streams import binary_output
from .whole_file import refuse_own, whole_file

if TYPE_CHECKING:
    from ..engine.importing import Imported

PANEL = "Keep"
HISTORY = "events"
NOTES_SHOWN = 20


class FormatUnknown(CallerError):
    """There is no importer or exporter of that name."""

    code = "format-unknown"


def add(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command("import", rich_help_panel=PANEL)(import_file)
    app.command("export", rich_help_panel=PANEL)(export_history)


def import_file(
    form: Annotated[
        str,
        typer.Argument(
            metavar="FORMAT", help="What the file holds: events, or a format of one of the systems."
        ),
    ],
    file: Annotated[Path, typer.Argument(help="The file to read.", exists=True, dir_okay=False)],
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> int:
    """Bring a history, or another program's records, onto a tape. Importing twice adds nothing.

    events: entries as `export` writes them, one per line. The file is checked whole before its
    first line is stored; `statetape replay` then proves that its outcomes follow.

    Any other format is a system's own (`lassie`: batches of its event recorder); an unknown one
    is answered with all that there are. What the file says is decided by the system's machines and
    recorded. Exits with 1 if anything in the file was refused or left out, and says where.
    """
    if form == HISTORY:
        return _import_history(file, tape, anchor, key_file, json=json)
    from ..engine import catalogue
    from ..engine.engine import Engine
    from ..engine.importing import import_source, opened
    from ..storage.files import Files

    importers = catalogue.importers()
    if form not in importers:
        known = [f"{HISTORY} (entries as `export` writes them)"]
        known += [f"{name} ({importers[name].title})" for name in sorted(importers)]
        raise FormatUnknown(f"no format {form!r}", hint=f"formats: {'; '.join(known)}")
    importer = importers[form]
    with (
        opened(importer, file, Files.of(tape, anchor, key_file)) as source,
        Engine.open(tape, anchor=anchor, key=key_file) as engine,
        progress("importing", None) as report,
    ):
        done = import_source(engine, importer, source, report)
    if json:
        say_json(_as_json(done))
    else:
        for line in _lines(done, file):
            say(line)
    return EXIT_DONE if done.whole else EXIT_FINDING


def _import_history(
    file: Path, tape: Path, anchor: Path | None, key_file: Path | None, *, json: bool
) -> int:
    from ..engine.transfer import import_events
    from ..storage.files import Files

    with progress("importing", None) as report:
        count, added = import_events(file, Files.of(tape, anchor, key_file), progress=report)
    if json:
        say_json({"entries": count, "added": added})
    else:
        say(f"{count} entries read, {added} added")
    return EXIT_DONE


def _as_json(done: Imported) -> dict[str, object]:
    notes = [
        {"place": note.place, "message": note.message} | ({"warning": True} if note.warning else {})
        for note in done.notes
    ]
    return {
        "read": done.read,
        "added": done.added,
        "duplicates": done.duplicates,
        "collected": done.collected,
        "refused": done.refused,
        "left_out": done.left_out,
        "warnings": done.warnings,
        "notes": notes,
        "aside": [{"place": note.place, "message": note.message} for note in done.passed],
    }


def _lines(done: Imported, file: Path) -> list[str]:
    """Return what an import came to, in words."""
    lines = []
    for note in done.notes[:NOTES_SHOWN]:
        what = "warning: " if note.warning else ""
        lines.append(f"{file}: {note.place}: {what}{note.message}")
    more = done.refused + done.left_out + done.warnings - len(lines)
    if more > 0:
        lines.append(f"… and {more} more; --json tells them")
    counts = [f"{done.read} read", f"{done.added} added"]
    if done.duplicates:
        counts.append(f"{done.duplicates} there already")
    if done.collected:
        counts.append(f"{done.collected} of instances that were collected")
    counts += [f"{done.refused} refused", f"{done.left_out} left out"]
    if done.aside:
        counts.append(f"{done.aside} aside")
    return [*lines, ", ".join(counts)]


def export_history(
    file: Annotated[
        Path | None, typer.Argument(help="Where to write (default: standard output).")
    ] = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    key_file: KeyFileOption = None,
) -> int:
    """Write every entry's exact bytes, one per line: JSON for any tool, and for `import`.

    A FILE that is there is replaced once the last entry is written and synced, not before.
    """
    from ..engine.transfer import export_events
    from ..storage.files import Files

    if file is not None:
        refuse_own(file, Files.of(tape, anchor, key_file))
    with reading(tape, anchor) as reader:
        size = reader.stored_size()
        try:
            target = binary_output() if file is None else whole_file(file)
            with target as out, progress("exporting", size) as report:
                count = export_events(reader, out, report)
        except BrokenPipeError:  # whoever read it has read enough
            return EXIT_DONE
        except OSError as error:
            place = "standard output" if file is None else str(file)
            raise OutputFailed(f"cannot be written: {error.strerror}", place=place) from None
    if file is not None:
        warn(f"{count} entries written to {file}")
    return EXIT_DONE

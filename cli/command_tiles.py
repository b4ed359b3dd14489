"""`tiles`: the tape as static files that anyone can serve, and anyone can check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING
from .evidence import LogKeyOption, log_keys
from .looking import reading
from .options import DEFAULT_TAPE, AnchorOption, JsonOption, TapeOption
from .output import progress, say, say_json

if TYPE_CHECKING:
    from ..storage.tile_check import Checked
    from ..storage.tiles import Exported

SHOWN_MAX = 20

tiles = typer.Typer(
    no_args_is_help=True,
    help="The tape as a folder of static files (C2SP tlog-tiles): write it, check it.",
)


def add(app: typer.Typer) -> None:
    """Add this group to the app."""
    app.add_typer(tiles, name="tiles", rich_help_panel="Decide and prove")


@tiles.command()
def export(
    folder: Annotated[Path, typer.Argument(help="The folder; made if it is not there.")],
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Write the tape to a folder in C2SP's tlog-tiles layout, for any static file server.

    As far as the newest checkpoint signs it (`statetape checkpoint` signs what is new). Exporting
    again adds what is new; what is there is compared and never changed, save `checkpoint`, which is
    replaced last. Entries that were collected are left out, unless the folder has them already:
    collecting takes nothing away there.
    """
    from ..storage.tiles import export as export_tiles

    with reading(tape, anchor) as reader, progress("exporting", reader.stored_size()) as report:
        done = export_tiles(reader, folder, report)
        minimum_index = reader.minimum_index
    if json:
        left_out = [{"path": path, "why": why} for path, why in done.left_out]
        about = {"size": done.checkpoint.size, "root": done.checkpoint.root.hex()}
        counts = {"written": done.written, "kept": done.kept, "minimum_index": minimum_index}
        say_json({**about, **counts, "left_out": left_out})
        return EXIT_DONE
    for line in _exported(done, minimum_index):
        say(line)
    return EXIT_DONE


def _exported(done: Exported, minimum_index: int) -> list[str]:
    lines = [f"left out: {path}: {why}" for path, why in done.left_out[:SHOWN_MAX]]
    if len(done.left_out) > SHOWN_MAX:
        lines.append(f"… and {len(done.left_out) - SHOWN_MAX} more; --json tells them")
    if any("/0/" in path for path, _ in done.left_out):
        lines.append(f"check it with --minimum-index {minimum_index}")
    counts = f"{done.written} files written, {done.kept} there already"
    return [*lines, f"{done.checkpoint.size} entries: {counts}"]


@tiles.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The folder with `checkpoint` and `tile/`.")],
    log_key: LogKeyOption,
    minimum_index: Annotated[
        int,
        typer.Option(
            "--minimum-index",
            help="Tiles of the leaf hashes of that many first entries may be missing: the log has "
            "shrunk them.",
        ),
    ] = 0,
    json: JsonOption = False,
) -> int:
    """Check a folder of tiles offline: every hash and every entry leads to the root that is signed.

    Names each file that is damaged or missing, and exits with 1. Bundles of entries may be absent;
    they are counted.
    """
    from ..storage.tile_check import check_tiles

    keys = log_keys(log_key)
    with progress("checking", None) as report:
        checked = check_tiles(folder, keys, minimum_index=minimum_index, progress=report)
    if json:
        say_json(_as_json(checked))
    else:
        for line in _checked(checked):
            say(line)
    return EXIT_FINDING if checked.findings else EXIT_DONE


def _as_json(checked: Checked) -> dict[str, object]:
    under = checked.checkpoint
    about = {} if under is None else {"origin": under.origin, "root": under.root.hex()}
    findings = [{"path": one.place, "message": one.message} for one in checked.findings]
    size = None if under is None else under.size
    told = {"size": size, "files": checked.files, "absent": checked.absent, "findings": findings}
    return {**about, **told}


def _checked(checked: Checked) -> list[str]:
    lines = [f"{one.place}: {one.message}" for one in checked.findings]
    if checked.findings:
        return [*lines, f"{checked.files} files, {len(checked.findings)} findings"]
    under = checked.checkpoint
    if under is not None:
        lines.append(f"{under.size} entries of {under.origin}, {checked.files} files: all sound")
        lines.append(f"root {under.root.hex()}")
    if checked.absent:
        lines.append(f"{len(checked.absent)} bundles of entries are not there")
    return lines

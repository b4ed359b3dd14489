"""`checkpoint`: what the tape signed of itself, and the key to check it with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from ..fsm.errors import EXIT_DONE
from .evidence import say_bytes
from .looking import reading
from .options import DEFAULT_TAPE, AnchorOption, JsonOption, KeyFileOption, TapeOption
from .output import say, say_json, table

if TYPE_CHECKING:
    from ..storage.checkpoints import Signed
    from ..storage.verifier import Signature


class _ShowsByDefault(TyperGroup):
    """`checkpoint` is `checkpoint show`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["show", *args]
        return super().parse_args(ctx, args)


checkpoint = typer.Typer(
    cls=_ShowsByDefault,
    help="What the tape signed of itself: size and root, with the signatures of witnesses.\n\n"
    "Without a subcommand: show.",
)


def add(app: typer.Typer) -> None:
    """Add this group to the app."""
    app.add_typer(checkpoint, name="checkpoint", rich_help_panel="Decide and prove")


@checkpoint.command()
def show(
    size: Annotated[
        int | None,
        typer.Argument(help="The checkpoint over that many entries (default: the newest)."),
    ] = None,
    sign: Annotated[
        bool,
        typer.Option("--sign/--no-sign", help="Sign what is stored and not signed yet, first."),
    ] = True,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> int:
    """Print a checkpoint: a signed note, with the lines of the witnesses that cosigned it.

    Give it to a peer: whoever holds it notices if this tape loses or changes an entry. With a SIZE
    nothing is signed.
    """
    from ..storage.checkpoints import signed

    if sign and size is None:
        _sign(tape, anchor, key_file)
    with reading(tape, anchor) as reader:
        found = signed(reader, size)
        entries = reader.stored_size()
    if json:
        say_json(_as_json(found) | {"entries": entries, "note": found.note.decode()})
        return EXIT_DONE
    say_bytes(found.note)
    return EXIT_DONE


def _sign(tape: Path, anchor: Path | None, key_file: Path | None) -> None:
    """Sign what is stored, and refresh the anchor. Raises what opening a tape to write raises."""
    from ..storage.files import Files
    from ..storage.tape import Tape

    writer = Tape.open_to_write(Files.of(tape, anchor, key_file))
    try:
        writer.anchor()
    finally:
        writer.close()


@checkpoint.command("list")
def list_(
    last: Annotated[
        int, typer.Option("--last", min=0, help="How many, from the newest on; 0 for all.")
    ] = 20,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """List the signed checkpoints, newest first: entries, root, who cosigned it and when."""
    from ..storage.checkpoints import signed
    from ..storage.cosignatures import signed_sizes

    with reading(tape, anchor) as reader, reader.snapshot():
        sizes = list(signed_sizes(reader))
        found = [signed(reader, size) for size in (sizes[:last] if last else sizes)]
    if json:
        say_json([_as_json(one) for one in found])
        return EXIT_DONE
    rows = [
        (
            str(one.checkpoint.size),
            one.checkpoint.root.hex(),
            ", ".join(f"{line.name} {_when(line)}" for line in one.cosignatures) or "nobody",
        )
        for one in found
    ]
    table(("ENTRIES", "ROOT", "COSIGNED BY"), rows)
    if len(sizes) > len(found):
        say(f"… and {len(sizes) - len(found)} earlier; --last 0 lists all")
    return EXIT_DONE


@checkpoint.command()
def key(
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Print the log's verifier key, which every check of its evidence needs (--log-key).

    Hand it over once, by a way that you trust. A tape that had several keys prints each on a line.
    """
    with reading(tape, anchor) as reader:
        keys = reader.signers()
    if json:
        say_json([{"vkey": one.text, "name": one.name, "id": one.id.hex()} for one in keys])
    else:
        for one in keys:
            say(one.text)
    return EXIT_DONE


def _as_json(found: Signed) -> dict[str, object]:
    checkpoint = found.checkpoint
    lines = [{"name": line.name, "time": line.time_s} for line in found.cosignatures]
    told = {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}
    return {**told, "cosignatures": lines}


def _when(line: Signature) -> str:
    from ..fsm.moments import show_time

    return show_time((line.time_s or 0) * 1_000_000)

"""`proof`: that an entry is on the tape, that a tape only grew; and checking the former offline."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING, CallerError
from .evidence import (
    LogKeyOption,
    ThresholdOption,
    WitnessKeyOption,
    log_keys,
    read_file,
    say_bytes,
    witness_keys,
)
from .looking import reading
from .options import DEFAULT_TAPE, AnchorOption, JsonOption, TapeOption
from .output import OutputFailed, UsageInvalid, say, say_json, warn
from .whole_file import refuse_own, whole_file

if TYPE_CHECKING:
    from ..storage.examination import Shown

PROOF_BYTES_MAX = 2_000_000
ENTRY_BYTES_MAX = 65_536

proof = typer.Typer(
    no_args_is_help=True,
    help="Prove that an entry is on the tape, or that the tape only grew; check a proof offline.",
)


class EntryNeeded(CallerError):
    """A proof says where an entry stands, not what it says: the entry itself has to be given."""

    code = "entry-needed"


def add(app: typer.Typer) -> None:
    """Add this group to the app."""
    app.add_typer(proof, name="proof", rich_help_panel="Decide and prove")


@proof.command()
def entry(
    position: Annotated[int, typer.Argument(help="The entry's position on the tape.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Where to write it (default: standard output)."),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", help="Under the checkpoint of that many entries (default: newest)."),
    ] = None,
    with_entry: Annotated[
        bool,
        typer.Option(
            "--with-entry/--without-entry",
            help="Put the entry itself into the proof, as its extra data; without it, whoever "
            "checks the proof needs the entry's exact bytes.",
        ),
    ] = True,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Prove that an entry is on the tape: a c2sp.org/tlog-proof@v1 under a signed checkpoint.

    The file, and the log's verifier key, are all that anyone needs to check it (`proof verify`). A
    collected entry is proved too, without its bytes, as long as its block's hashes are kept.
    """
    from ..storage.checkpoints import prove_entry
    from ..storage.errors import EntryCollected
    from ..storage.files import Files
    from ..storage.verifier import open_checkpoint

    if output is not None:
        refuse_own(output, Files.of(tape, anchor))
    with reading(tape, anchor) as reader:
        try:
            made = prove_entry(reader, position, size, with_entry=with_entry)
        except EntryCollected:
            warn(f"note: entry {position} was collected; the proof is without its bytes")
            made = prove_entry(reader, position, size)
        under = open_checkpoint(made.checkpoint, reader.signers())
    if output is not None:
        _write(output, made.content)
        covered = f"entry {position} of {under.origin}, under its checkpoint of {under.size}"
        warn(f"{output}: {covered} entries")
    if json:
        about: dict[str, Any] = {"position": position, "index": made.index, "size": under.size}
        hashes = [one.hex() for one in made.hashes]
        about |= {"origin": under.origin, "root": under.root.hex(), "hashes": hashes}
        say_json({**about, "proof": made.content.decode()})
    elif output is None:
        say_bytes(made.content)
    return EXIT_DONE


def _write(path: Path, content: bytes) -> None:
    try:
        with whole_file(path) as out:
            out.write(content)
    except OSError as error:
        why = f"cannot be written: {error.strerror}"
        raise OutputFailed(why, place=str(path)) from None


@proof.command()
def consistency(
    old: Annotated[int, typer.Argument(help="The size that the tape had.")],
    new: Annotated[
        int | None,
        typer.Argument(help="The size that it has got (default: the newest checkpoint's)."),
    ] = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Prove that the tape of NEW entries begins with the OLD ones: RFC 6962 hashes, one per line.

    With the two roots (`statetape checkpoint list`) they show that nothing was changed or taken
    away in between. A witness asks for them.
    """
    from ..storage import proofs
    from ..storage.checkpoints import signed

    with reading(tape, anchor) as reader, reader.snapshot():
        size = signed(reader).checkpoint.size if new is None else new
        hashes = proofs.consistency(reader, old, size)
        roots = [proofs.root_at(reader, one).hex() for one in (old, size)]
    if json:
        about = {"old": old, "new": size, "old_root": roots[0], "new_root": roots[1]}
        say_json({**about, "hashes": [one.hex() for one in hashes]})
    else:
        for one in hashes:
            say(b64encode(one).decode())
    return EXIT_DONE


@proof.command()
def verify(
    file: Annotated[Path, typer.Argument(help="The proof, or - for standard input.")],
    log_key: LogKeyOption,
    witness_key: WitnessKeyOption = None,
    threshold: ThresholdOption = None,
    entry: Annotated[
        Path | None,
        typer.Option(
            "--entry",
            help="The entry's exact bytes, or - for standard input; one newline at the end is not "
            "counted (default: the entry in the proof).",
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Check a proof offline, with public keys alone; exits with 1 if it does not hold.

    No tape is needed, and no key in the file is trusted. Says what is proved and what is not.
    """
    from ..storage.examination import entry_in, examine
    from ..storage.verifier import EvidenceInvalid

    keys = log_keys(log_key)
    witnesses = witness_keys(witness_key, threshold)
    if entry is not None and str(entry) == str(file) == "-":
        raise UsageInvalid("only one of them can be read from standard input (-)")
    content = read_file(file, PROOF_BYTES_MAX)
    body = read_file(entry, ENTRY_BYTES_MAX).removesuffix(b"\n") if entry is not None else None
    try:
        body = entry_in(content) if body is None else body
        if body is None:
            hint = "give its exact bytes with --entry"
            raise EntryNeeded("the proof does not hold its entry", place=str(file), hint=hint)
        shown = examine(content, body, keys, witnesses, threshold)
    except EvidenceInvalid as error:
        if json:
            say_json({"holds": False, "why": str(error)})
        else:
            say(f"does not hold: {error}")
        return EXIT_FINDING
    proved, open_ = _proved(shown, len(body)), _not_proved(shown)
    if json:
        say_json(_as_json(shown) | {"proved": proved, "not_proved": open_})
        return EXIT_DONE
    say(f"holds: entry {shown.index + 1} of {shown.checkpoint.origin}")
    for title, lines in (("proved", proved), ("not proved", open_)):
        say(f"{title}:")
        for line in lines:
            say(f"  - {line}")
    return EXIT_DONE


def _as_json(shown: Shown) -> dict[str, Any]:
    checkpoint = shown.checkpoint
    return {
        "holds": True,
        "origin": checkpoint.origin,
        "index": shown.index,
        "position": shown.index + 1,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
        "leaf": shown.leaf.hex(),
        "signed_by": [key.text for key in shown.signers],
        "witnesses": [{"name": one.key.name, "time": one.time_s} for one in shown.witnesses],
    }


def _proved(shown: Shown, size_bytes: int) -> list[str]:
    """Return what a proof that holds shows, in words."""
    from ..fsm.moments import show_time

    checkpoint = shown.checkpoint
    signers = ", ".join(f"{key.name}+{key.id.hex()}" for key in shown.signers)
    where = f"entry {shown.index + 1} (index {shown.index}) of {checkpoint.origin}"
    root = checkpoint.root.hex()
    lines = [
        f"these {size_bytes} bytes are {where}",
        f"{signers} signed the checkpoint of {checkpoint.size} entries, with root {root}",
    ]
    for one in shown.witnesses:
        when = show_time(one.time_s * 1_000_000)
        lines.append(f"the entry was there by {when}: {one.key.name} cosigned the checkpoint then")
    return lines


def _not_proved(shown: Shown) -> list[str]:
    """Return what no proof of this kind shows, and what this one lacks."""
    lines = [
        "that what the entry says is true: a log proves what was recorded, not what happened",
        "that nothing was left out before it was recorded",
        f"anything about entries after the first {shown.checkpoint.size}",
    ]
    if not shown.witnesses:
        lines.append(
            "when it was there, and that others are shown the same history: no witness was asked"
        )
    return lines

"""`bundle`: evidence in one file, for whoever has neither the tape nor a network."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING
from .evidence import (
    KEYS_PANEL,
    LogKeyOption,
    ThresholdOption,
    WitnessKeyOption,
    log_keys,
    read_file,
    witness_keys,
)
from .looking import looking
from .options import (
    DEFAULT_TAPE,
    AnchorOption,
    InstanceArgument,
    JsonOption,
    KeyFileOption,
    TapeOption,
)
from .output import say, say_json, warn
from .whole_file import refuse_own, whole_file

if TYPE_CHECKING:
    from ..engine.bundle import Exported, Verified
    from ..fsm.errors import StatetapeError

bundle = typer.Typer(
    no_args_is_help=True,
    help="Evidence about an instance in one file: write it, and check one with public keys alone.",
)


def add(app: typer.Typer) -> None:
    """Add this group to the app."""
    app.add_typer(bundle, name="bundle", rich_help_panel="Decide and prove")


@bundle.command()
def export(
    instance: InstanceArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to (default: KEY.bundle)."),
    ] = None,
    others: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="INSTANCE", help="Another instance; may be repeated."),
    ] = None,
    alone: Annotated[
        bool, typer.Option("--alone", help="Without what the instance is linked with.")
    ] = False,
    upto: Annotated[
        str | None,
        typer.Option("--upto", metavar="POINT", help="Only up to POSITION, time:… or height:N."),
    ] = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> int:
    """Write what proves an instance's history into one file, for somebody without the tape.

    It holds the instance's entries and those of what it is linked with (of a payment channel also
    its books), the machines, proofs, checkpoints with their cosignatures, and the vouchers. The
    tape is signed first. The same tape gives the same bytes.
    """
    from ..engine.bundle import export as export_bundle
    from ..engine.inspect import parse_point
    from ..storage.bundle import sign
    from ..storage.files import Files

    point = parse_point(upto) if upto is not None else None
    files = Files.of(tape, anchor, key_file)
    if output is not None:
        refuse_own(output, files)
    unsigned = sign(files)
    now = time.time_ns() // 1000
    with looking(tape, anchor) as inspector:
        made = export_bundle(inspector, instance, others or (), alone=alone, upto=point, now=now)
    path = output or Path(f"{made.main.rpartition('/')[2]}.bundle")
    refuse_own(path, files)
    with whole_file(path) as out:
        out.write(made.content)
    _told(made, path, unsigned, as_json=json)
    return EXIT_DONE


def _told(made: Exported, path: Path, unsigned: StatetapeError | None, *, as_json: bool) -> None:
    """Say what was written, and what its maker should know."""
    notes = list(made.notes)
    if unsigned is not None:
        notes.append(f"the tape was not signed now: {unsigned.message} [{unsigned.code}]")
    if as_json:
        say_json(
            {
                "file": str(path),
                "bytes": len(made.content),
                "origin": made.origin,
                "as_of": made.size,
                "entries": made.entries,
                "instances": made.instances,
                "objects": made.objects,
                "log_keys": made.vkeys,
                "notes": notes,
            }
        )
        return
    for note in notes:
        warn(f"note: {note}")
    say(f"{path}: {len(made.content)} bytes")
    say(f"{made.entries} entries of {len(made.instances)} instances, {made.objects} signed objects")
    for name in made.instances:
        say(f"  {name}")
    say(f"under the checkpoint of {made.size} entries of {made.origin}")
    say("whoever checks it needs this key, and has to have it from you by another way:")
    for key in made.vkeys:
        say(f"  {key}")


@bundle.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The bundle; - for stdin.")],
    log_key: LogKeyOption,
    witness_key: WitnessKeyOption = None,
    threshold: ThresholdOption = None,
    peer_key: Annotated[
        list[str] | None,
        typer.Option(
            "--peer-key",
            metavar="ADDR",
            help="Public key (of Filecoin: a key address) of a party whose signatures count; "
            "may be given for several.",
            rich_help_panel=KEYS_PANEL,
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Check a bundle offline, trusting the keys given here and nothing in the file.

    Lists every problem with its step and code (docs/reference/bundle.md), else what is proved and
    what is not. Exits with 1 if there is a problem.
    """
    from ..engine.bundle import peer_keys
    from ..engine.bundle import verify as verify_bundle
    from ..storage.verifier.dispute import BUNDLE_BYTES_MAX

    logs = log_keys(log_key)
    witnesses = witness_keys(witness_key, threshold)
    peers = peer_keys(peer_key or ())
    needed = len({one.public for one in witnesses}) if threshold is None else threshold
    data = read_file(file, BUNDLE_BYTES_MAX)
    found = verify_bundle(data, logs, witnesses, needed, peers)
    if json:
        say_json(_as_json(found))
    else:
        for line in found.lines:
            say(line)
    return EXIT_FINDING if found.problems else EXIT_DONE


def _as_json(found: Verified) -> dict[str, Any]:
    """Return everything that was found, for programs."""
    from ..storage.verifier.dispute import NOT_PROVED

    parts = found.bundle
    witnessed = parts.witnessed
    return {
        "valid": not found.problems,
        "problems": [one._asdict() for one in found.problems],
        "origin": parts.newest.origin,
        "as_of": parts.newest.size,
        "root": parts.newest.root.hex(),
        "entries": len(parts.entries),
        "instances": [
            {name: row[name] for name in ("name", "pos", "seq", "last", "state")}
            for row in parts.rows.values()
        ],
        "checkpoints": [one.size for one in parts.checkpoints],
        "seen": [
            {"size": one.size, "time": one.time_s, "witness": one.witness} for one in parts.seen
        ],
        "existed_before": witnessed.time_s if witnessed else None,
        "decided_again": found.decided,
        "final": found.final,
        "held": found.held,
        "not_checked": found.open,
        "not_proved": list(NOT_PROVED),
    }

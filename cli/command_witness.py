"""`witness`: remember what others' tapes were, and sign it; by HTTP, or by files."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING
from .evidence import log_keys, read_file
from .options import JsonOption
from .output import say, say_json, table, warn

if TYPE_CHECKING:
    from ..storage.witness import Witness

PANEL = "Decide and prove"
DEFAULT_STATE = Path("witness.db")
DEFAULT_KEY = Path("witness.key")

witness = typer.Typer(
    no_args_is_help=True,
    help="Be a witness: sign checkpoints of others' tapes, and refuse those that contradict what "
    "was seen before.",
)

StateOption = Annotated[
    Path,
    typer.Option(
        "--state",
        envvar="STATETAPE_WITNESS_STATE",
        help="What the witness remembers. Never restore it from a backup: make a new witness.",
    ),
]
WitnessKeyFileOption = Annotated[
    Path,
    typer.Option(
        "--key-file",
        envvar="STATETAPE_WITNESS_KEY",
        help="The witness's signing key: private, mode 0600.",
    ),
]
LogOption = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        "--log-key",
        metavar="VKEY",
        help="The key of a tape to sign for, as `checkpoint key` prints it; from now on, so it "
        "need not be given again. May be given several times.",
    ),
]
DropLogOption = Annotated[
    list[str] | None,
    typer.Option(
        "--drop-log", metavar="VKEY", help="Sign no more for this key. What was seen stays known."
    ),
]


def add(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.add_typer(witness, name="witness", rich_help_panel=PANEL)


def now_s() -> int:
    """Return the computer's clock in POSIX seconds."""
    return int(time.time())


@witness.command()
def new(
    name: Annotated[
        str, typer.Option("--name", help="Its name on signature lines, e.g. example.com/witness.")
    ],
    state: StateOption = DEFAULT_STATE,
    key_file: WitnessKeyFileOption = DEFAULT_KEY,
    json: JsonOption = False,
) -> int:
    """Make a witness that has seen nothing, and print its public key.

    Who wants its signatures verified needs that key: give it to them by a way that they trust.
    """
    import secrets

    from ..storage.witness import Witness

    made = Witness.create(state, key_file, name, secrets.token_bytes(32))
    public = made.signer.verifier.text
    if json:
        say_json({"key": public, "state": str(state), "key_file": str(key_file)})
    else:
        say(public)
    return EXIT_DONE


def _opened(
    state: Path, key_file: Path, log: list[str] | None, drop_log: list[str] | None = None
) -> Witness:
    """Return the witness, trusting what the options say."""
    from ..storage.witness import Witness

    logs, dropped = log_keys(log or []), log_keys(drop_log or [])
    opened = Witness.open(state, key_file)
    opened.distrust(dropped)
    opened.trust(logs)
    return opened


@witness.command()
def serve(
    state: StateOption = DEFAULT_STATE,
    key_file: WitnessKeyFileOption = DEFAULT_KEY,
    log: LogOption = None,
    drop_log: DropLogOption = None,
    host: Annotated[
        str,
        typer.Option(help="Where to listen. Beyond this computer: behind a proxy that has TLS."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port; 0 takes a free one.", min=0, max=65535)] = 0,
    json: JsonOption = False,
) -> int:
    """Sign over HTTP (C2SP tlog-witness) until SIGTERM or SIGINT.

    Prints its address once it listens; each request is a line on standard error. Stopping finishes
    the answers under way. Several processes may serve one state.
    """
    from ..engine.witness_server import WitnessServer

    opened = _opened(state, key_file, log, drop_log)
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        server = WitnessServer(opened, host, port, clock=now_s, log=warn)
        try:
            server.start()
            if json:
                say_json({"url": server.url, "key": opened.signer.verifier.text})
            else:
                say(server.url)
            sys.stdout.flush()
            stopped.wait()
        finally:
            server.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return EXIT_DONE


@witness.command()
def sign(
    file: Annotated[
        Path, typer.Argument(help="What `cosign --request` wrote; - for standard input.")
    ],
    state: StateOption = DEFAULT_STATE,
    key_file: WitnessKeyFileOption = DEFAULT_KEY,
    log: LogOption = None,
    json: JsonOption = False,
) -> int:
    """Sign a request that came as a file, and print the cosignature's line.

    Where the request begins at another size than the witness holds, prints that size and exits
    with 1: `cosign --request --old SIZE` makes the one that fits. Also exits with 1 where the
    witness refuses, and says why.
    """
    from ..engine.witness import BODY_BYTES_MAX, SIGNED, STALE, answer

    opened = _opened(state, key_file, log)
    found = answer(opened, read_file(file, BODY_BYTES_MAX), now_s())
    if json:
        said: dict[str, object] = {"status": found.status}
        if found.status == SIGNED:
            said["cosignature"] = found.text.rstrip("\n")
        elif found.status == STALE:
            said["size"] = int(found.text)
        else:
            said["why"] = found.text.strip()
        say_json(said)
    elif found.status in (SIGNED, STALE):
        say(found.text.rstrip("\n"))
        if found.status == STALE:
            warn(f"the witness holds {found.text.strip()} entries: send a proof from there")
    else:
        warn(f"refused ({found.status}): {found.text.strip()}")
    return EXIT_DONE if found.status == SIGNED else EXIT_FINDING


@witness.command()
def show(
    state: StateOption = DEFAULT_STATE,
    key_file: WitnessKeyFileOption = DEFAULT_KEY,
    json: JsonOption = False,
) -> int:
    """Show the logs that the witness trusts, what it saw of them, and who contradicted himself.

    Exits with 1 if a log signed two different trees of one size. Both notes are in the JSON: with
    the log's key they convince anybody.
    """
    from ..fsm.moments import show_time

    opened = _opened(state, key_file, None)
    keys, seen, twice = opened.trusted(), opened.seen(), opened.contradictions()
    if json:
        logs = [
            {"origin": one.origin, "size": one.size, "root": one.root.hex(), "time_s": one.time_s}
            | {"note": one.note}
            for one in seen
        ]
        pairs = [
            {"origin": one.origin, "size": one.size, "held": one.held, "given": one.given}
            for one in twice
        ]
        public = opened.signer.verifier.text
        trusted = [key.text for key in keys]
        say_json({"key": public, "logs": trusted, "seen": logs, "contradictions": pairs})
    else:
        say(f"key {opened.signer.verifier.text}")
        for key in keys:
            say(f"log {key.text}")
        rows = [
            (one.origin, str(one.size), show_time(one.time_s * 1_000_000), one.root.hex())
            for one in seen
        ]
        if rows:
            table(("origin", "entries", "last cosigned", "root"), rows)
        for one in twice:
            say(f"{one.origin} signed two different trees of {one.size} entries")
    return EXIT_FINDING if twice else EXIT_DONE

"""The tape of the how-to about replaying: a retrieval that got stuck, and one that went well."""

from __future__ import annotations

import io
import re
import shlex
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import typer
from statetape.cli.main import register
from statetape.fsm.moments import parse_time

from ..engine.machines import Clock, open_tape

HOW_TO = Path(__file__).resolve().parents[2] / "docs/how-to/replay-a-failure.md"
MACHINE = "pop.retrieval_client_at_seed_issues"
STUCK, GOOD = "1626170400000", "1626170400001"
OPENED = (
    ("ClientEventOpen", {}),
    ("ClientEventDealProposed", {"channelID": "12D3-1"}),
    ("ClientEventDealAccepted", {}),
)
RECEIVED = (
    ("ClientEventPaymentChannelSkip", {}),
    ("ClientEventBlocksReceived", {"totalReceived": 1268}),
    ("ClientEventAllBlocksReceived", {}),
)
ENDED = (("ClientEventComplete", {}), ("ClientEventCompleteVerified", {}))
PLAYS = {STUCK: (*OPENED, ENDED[0], *RECEIVED), GOOD: (*OPENED, *RECEIVED, *ENDED)}
COMMAND = re.compile(r"^\$ statetape (.*)\n(?:.*\n)*?(?=\n?\$ |```$)", re.MULTILINE)


def failed(path: Path) -> Path:
    """Play both retrievals on a tape, a second for each event."""
    clock = Clock(parse_time("2021-07-13T10:00:00Z"))
    with open_tape(path, clock) as engine:
        for key, play in PLAYS.items():
            engine.create(MACHINE, key, {"DealID": int(key)})
            for event, params in play:
                clock.forward(1)
                engine.send(f"{MACHINE}/{key}", event, params)
    return path


def how_to(folder: Path) -> str:
    """Return the how-to with each of its commands followed by what it prints."""
    tape = failed(folder / "tape.db")
    command = typer.main.get_command(register())

    def played(block: re.Match[str]) -> str:
        words = [*shlex.split(block[1]), "--tape", str(tape)]
        with (
            redirect_stdout(io.StringIO()) as printed,
            command.make_context("statetape", words) as context,
        ):
            context.command.invoke(context)
        return f"$ statetape {block[1]}\n{printed.getvalue()}"

    return COMMAND.sub(played, HOW_TO.read_text())


def main() -> None:
    """Write the how-to again."""
    with tempfile.TemporaryDirectory() as folder:
        HOW_TO.write_text(how_to(Path(folder)))


if __name__ == "__main__":
    main()

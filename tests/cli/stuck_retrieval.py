"""The how-to's retrieval: its Complete overtook everything else, and was refused (June 2021)."""

from __future__ import annotations

import re
from pathlib import Path

from statetape.fsm.moments import parse_time

from ..engine.machines import Clock, open_tape
from .inside import Inside

HOW_TO = Path(__file__).resolve().parents[2] / "docs/how-to/explain-a-stuck-retrieval.md"
CLIENT = "pop.retrieval_client_at_seed_issues/1626170400000"
TRANSFER = "filecoin.dt_channel_v1_7_0/12D3-1626170400000"
BEGAN = "2021-07-13T10:00:00Z"
NOW = "2021-07-13T10:20:00Z"
STORY = (
    (CLIENT, "ClientEventOpen", {}),
    (CLIENT, "ClientEventDealProposed", {"channelID": "12D3-1626170400000"}),
    (CLIENT, "ClientEventDealAccepted", {}),
    (TRANSFER, "Accept", {}),
    (CLIENT, "ClientEventComplete", {}),
    (CLIENT, "ClientEventPaymentChannelSkip", {}),
    (TRANSFER, "DataReceivedProgress", {"delta": 1268}),
    (TRANSFER, "ResponderCompletes", {}),
    (TRANSFER, "FinishTransfer", {}),
    (TRANSFER, "CleanupComplete", {}),
)
COMMAND = re.compile(r"^\$ statetape (\w+) .*\n(?:.*\n)*?(?=```$)", re.MULTILINE)


def stuck(path: Path) -> Inside:
    """Play the story on a tape, a second for each event."""
    clock = Clock(parse_time(BEGAN))
    transfer = {"deal": CLIENT, "side": "recipient"}
    deal = {"DealID": 1626170400000, "transfer": TRANSFER}
    with open_tape(path, clock) as engine:
        engine.create("filecoin.dt_channel_v1_7_0", TRANSFER.partition("/")[2], transfer)
        engine.create("pop.retrieval_client_at_seed_issues", CLIENT.partition("/")[2], deal)
        for instance, event, params in STORY:
            clock.forward(1)
            engine.send(instance, event, params)
    return Inside(path)


def how_to(folder: Path) -> str:
    """Return the how-to with each of its commands followed by what it prints."""
    run = stuck(folder / "tape.db")

    def played(block: re.Match[str]) -> str:
        line, _, _ = block.group().partition("\n")
        return f"{line}\n{run(*line.split()[2:])}"

    return COMMAND.sub(played, HOW_TO.read_text())

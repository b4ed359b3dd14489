"""The histories that a release leaves behind, and how it made them.

A history, once released, is never written again: it is what some user's tape looks like. Every
later version must replay it byte for byte. A release adds its own with

    python -m tests.golden.histories

which writes those whose name begins with the present version, and no other.
"""

from __future__ import annotations

import json
import tempfile
from importlib.metadata import version
from pathlib import Path

from statetape.cli.values import read
from statetape.engine import catalogue
from statetape.engine.commands import Create, Hold, Send
from statetape.engine.inspect import Inspector
from statetape.engine.transfer import export_events
from statetape.fsm.story import Begin, Event, Height

from ..engine.machines import COUNTER, Clock, open_tape
from ..engine.test_quiet import WATCHED
from ..engine.test_raised import DEAL, TRANSFER
from ..engine.test_replay import busy_tape
from ..specs.filecoin.bookkeeping import (
    ACCOUNT,
    ACTOR,
    CHANNEL,
    PAYEE,
    PAYER,
    PLAN,
    Side,
    record,
    voucher,
)
from ..specs.pop.retrieving import Retrieval, world

FOLDER = Path(__file__).parent
VERSION = version("statetape")


def payment_tape(path: Path) -> Path:
    """Play the payment channel's story, one second per step, without dying."""
    clock = Clock()
    story = catalogue.stories()["payment"]
    with open_tape(path, clock) as engine:
        for scene in story.scenes:
            clock.forward(1)
            if isinstance(scene, Height):
                engine.observe(scene.chain, scene.height, by="golden")
            elif isinstance(scene, Begin):
                machine = catalogue.machine(scene.machine)
                params = read(machine.create, words(scene.params))
                engine.create(machine, scene.key, params, by="golden")
            elif isinstance(scene, Event):
                machine = engine.world.instance(scene.instance).machine
                params = read(machine.events[scene.event], words(scene.params))
                engine.send(scene.instance, scene.event, params, key=scene.key, by="golden")
    return path


def linked_tape(path: Path) -> Path:
    """Leave what links, silence, deferral and mid-life leave on a tape, refusals among it."""
    clock = Clock()
    with open_tape(path, clock) as engine:
        engine.create(DEAL, "d")
        engine.create(TRANSFER, "t", {"deal": "test.deal/d"})
        engine.execute(Create(WATCHED, "test.watched/a", {"total": 7}, state="running"))
        engine.create(COUNTER, "c")
        engine.send("test.counter/c", "add", {"by": -1})
        for event in ("early", "finish"):
            engine.send("test.watched/a", event)
        clock.forward(10)
        engine.send("test.transfer/t", "progress", {"delta": 5})
        clock.forward(60)
        engine.execute_many([Send("test.transfer/t", "finish"), Send("test.deal/d", "cancel")])
        engine.send("test.watched/a", "early", key="again")
        engine.send("test.watched/a", "slow")
    return path


def client_tape(path: Path) -> Path:
    """Drive a paid retrieval to its end, and some silence; return the client's tape."""
    return retrieved(path.parent / "client") / "client.db"


def provider_tape(path: Path) -> Path:
    """Do the same, and return the provider's tape."""
    return retrieved(path.parent / "provider") / "provider.db"


def retrieved(folder: Path) -> Path:
    """Play a paid retrieval on two tapes in a folder: links, deferral, vouchers, a silence."""
    folder.mkdir()
    with Retrieval(folder, world(apart=True)) as played:
        played.ask()
        for engine in played.nodes.values():
            played.clock.forward(3600)
            engine.tick()
    return folder


def books_tape(path: Path) -> Path:
    """Keep a payee's books of a channel to its end: redeemed, refused, late, held, collected."""
    folder = path.parent / "books"
    folder.mkdir()
    side = Side(folder)
    try:
        chain = {"addresses": {PAYER: "f0100", PAYEE: "f0101"}, "from": PAYER, "to": PAYEE}
        side.new(f"payment_channel/{CHANNEL}", id=ACTOR, value=100, message="m-1", exit=0, **chain)
        side.new(PLAN)
        side.new(ACCOUNT, direction=1, control=PAYEE, target=PAYER, plan=f"filecoin.{PLAN}")
        side.ok(ACCOUNT, "chain_seen", balance="100", id=ACTOR)
        first, second, late = voucher(0, 20, 1), voucher(1, 30, 1), voucher(2, 40, 1)
        for one in (first, second, voucher(1, 25, 2), voucher(3, 90, 1), first):
            side.receive(one)
        side.head(110)
        side.ok(f"payment_channel/{CHANNEL}", "settle", caller="f0100", message="m-2")
        side.ok(ACCOUNT, "settle_seen", to=ACTOR, settling_at=1550, message="m-2")
        for one in (first, second):
            side.ok(record(one), "submitted", message=f"m-{one.id_hex[:4]}")
            redeemed = {"caller": "f0101", "sv": one.text(), "message": f"m-{one.id_hex[:4]}"}
            side.ok(f"payment_channel/{CHANNEL}", "update_channel_state", **redeemed)
            side.ok(record(one), "applied", message=f"m-{one.id_hex[:4]}")
        side.engine.execute(Hold(f"filecoin.payment_channel/{CHANNEL}", why="a dispute"))
        side.head(1540)
        side.receive(late)
        side.head(1550)
        side.ok(f"payment_channel/{CHANNEL}", "collect", caller="f0101")
        side.ok(ACCOUNT, "collect_confirmed")
    finally:
        side.close()
    return side.path


MAKERS = {
    "books": books_tape,
    "busy": busy_tape,
    "client": client_tape,
    "linked": linked_tape,
    "payment": payment_tape,
    "provider": provider_tape,
}


def words(params):
    """Return parameters as the command line takes them."""
    return [f"{name}={value}" for name, value in params.items()]


def ends(tape: Path) -> dict[str, object]:
    """Return every instance's state and data at the end of a tape."""
    with Inspector.open(tape) as inspector:
        seen = [inspector.seen(folded) for folded in inspector.instances()]
        return {one.name: {"state": one.folded.state, "data": one.shown()} for one in seen}


def main() -> None:
    """Write this release's histories."""
    for name, make in MAKERS.items():
        with tempfile.TemporaryDirectory() as folder:
            tape = make(Path(folder) / "golden.db")
            stem = f"{VERSION}-{name}"
            with Inspector.open(tape) as told, (FOLDER / f"{stem}.jsonl").open("wb") as out:
                export_events(told.reader, out)
            text = json.dumps(ends(tape), indent=1, sort_keys=True, ensure_ascii=False)
            (FOLDER / f"{stem}.ends.json").write_text(f"{text}\n")


if __name__ == "__main__":
    main()

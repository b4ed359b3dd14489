"""Small dispute bundles made to order, and their forgeries: members taken apart, put together."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from statetape.engine.bundle import Exported, export
from statetape.engine.inspect import Inspector, Point
from statetape.storage import bundle, cosignatures
from statetape.storage.files import Files
from statetape.storage.note import SignerKey, cosign
from statetape.storage.tape import Tape
from statetape.storage.verifier import COSIGNER, Checkpoint, VerifierKey, dispute

from ..engine.machines import COUNTER, LEASE, START, Clock, open_tape

NAME = "test.counter/one"
WITNESS = SignerKey("tests/witness", bytes(range(50, 82)), COSIGNER)
OTHER_WITNESS = SignerKey("tests/other", bytes(range(90, 122)), COSIGNER)
START_S = START // 1_000_000
Members = dict[str, bytes]


def small_tape(path: Path) -> Path:
    """A tape with a counter of four entries, one of them refused, and with others between."""
    clock = Clock()
    with open_tape(path, clock) as engine:
        engine.create(COUNTER, "one", {"limit": 5})
        engine.send(NAME, "add", {"by": 2}, key="k1")
        engine.create(LEASE, "other")
        clock.forward(1)
        engine.send(NAME, "add", {"by": -2})
        engine.send("test.lease/other", "take")
        engine.send(NAME, "add", {"by": 3})
    return path


@contextmanager
def writing(path: Path) -> Iterator[Tape]:
    """The tape, open to write."""
    tape = Tape.open_to_write(Files.of(path))
    try:
        yield tape
    finally:
        tape.close()


def cosigned(path: Path, size: int, time_s: int, witness: SignerKey = WITNESS) -> None:
    """Put a witness's cosignature of a checkpoint on the tape."""
    with writing(path) as tape:
        note = cosignatures.note_of(tape, size) or ""
        line = cosign(note.partition("\n\n")[0] + "\n", witness, time_s)
        cosignatures.add(tape, size, line.rstrip("\n"))


def exported(path: Path, name: str = NAME, *others: str, **options: object) -> Exported:
    """Export as the command does."""
    assert bundle.sign(Files.of(path)) is None
    options.setdefault("now", START)
    with Inspector.open(path) as inspector:
        return export(inspector, name, others, **options)


def upto(pos: int) -> Point:
    """The point after the entry at `pos`."""
    return Point("pos", pos)


def log_key(path: Path) -> VerifierKey:
    """The key that signs a tape's checkpoints."""
    with Inspector.open(path) as inspector:
        return inspector.reader.signers()[-1]


def members_of(data: bytes) -> Members:
    """Take a bundle apart, trusting it."""
    found: Members = {}
    at = 0
    while any(data[at : at + 512]):
        size = int(data[at + 124 : at + 135], 8)
        name = data[at : at + 100].rstrip(b"\0").decode()
        found[name] = data[at + 512 : at + 512 + size]
        at += 512 + -(-size // 512) * 512
    return found


def together(members: Mapping[str, bytes]) -> bytes:
    """Put members together as a forger would who knows the format: states and manifest follow.

    What no checkpoint's signature covers is made to fit: only signed bytes can give it away.
    """
    told = {name: content for name, content in members.items() if name != "replay.json"}
    told |= {"replay.json": members.get("replay.json", b"")}
    checked = dispute.Bundle(dispute.archive(told), [])
    states = checked.expected.get("replay.json")
    if states is not None:
        told["replay.json"] = states
    return sealed(told)


def sealed(members: Mapping[str, bytes]) -> bytes:
    """Put members together with a manifest that fits them, and nothing else changed."""
    told = {name: c for name, c in members.items() if not name.startswith("manifest.")}
    before = json.loads(members["manifest.json"])
    checked = dispute.Bundle(dispute.archive(told), [])
    newest = checked.newest or Checkpoint("", 0, b"")
    return dispute.archive(told | dispute.manifest(told, checked.rows, newest, before["tool"]))


def changed(data: bytes, change: Callable[[Members], object], *, follow: bool = True) -> bytes:
    """Return the bundle with its members changed, and everything unsigned made to fit."""
    members = members_of(data)
    change(members)
    return together(members) if follow else sealed(members)


def codes(found: dispute.Bundle) -> list[tuple[int, str]]:
    """Return step and code of each problem."""
    return [(problem.step, problem.code) for problem in found.problems]

"""Garbage collection by replay: which blocks are alive is a fold of the index entries.

Theory of operation. The tape says of every index entry (`pop.ref`) which blocks its DAG has, in the
entries that list them, and when it left. So whether a block may go needs no counters that a crash
could leave wrong: it is read off the history, and read off again by whoever doubts it.

G1  A block is alive while an index entry that lists it is in the index or still being listed.
G2  A plan takes only blocks of entries that left (Tagged, Evicted), and of these only what is not
    alive; for what stays it names a root that holds it.
G3  A plan holds for the moment of the tape that it has seen. What comes later can only make it
    wrong by listing blocks again, and the index refuses a plan after such a move.
G4  What was collected is on the tape with the run that took it, so `wrongly_collected` finds every
    block that went although it was alive.

Work and memory are linear in the blocks that were ever listed. Nothing here deletes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

REF = "pop.ref/"
INDEX = "pop.index/"
BLOCKS_MAX = 512
"""Blocks that one entry of a collection names; the index refuses more."""

_ALIVE = frozenset({"Listing", "Indexed"})
_LEFT = frozenset({"Tagged", "Evicted"})

TapeEntry = Mapping[str, Any]
"""An entry as the tape has it: its JSON, decoded."""


@dataclass(frozen=True)
class Batch:
    """What one `BlocksCollected` says: of which entry, what goes, and what stays for whom."""

    ref: str
    root: str
    blocks: tuple[str, ...]
    kept: Mapping[str, str]
    last: bool

    def params(self) -> dict[str, Any]:
        """Return the event's parameters."""
        return {
            "ref": self.ref,
            "root": self.root,
            "blocks": list(self.blocks),
            "kept": dict(self.kept),
            "last": self.last,
        }


@dataclass(frozen=True)
class Wrong:
    """A block that a collection treated wrongly: at which position, and in what way."""

    pos: int
    block: str
    why: str


@dataclass
class _Ref:
    """One index entry as the fold knows it. The blocks stand in the order of listing."""

    name: str
    root: str
    state: str
    blocks: dict[str, None] = field(default_factory=dict)


class Collection:
    """The fold; feed it the tape's entries in order, all of them or those since it was fed last."""

    def __init__(self) -> None:
        self.upto = 0
        self.wrong: list[Wrong] = []
        self._refs: dict[int, _Ref] = {}
        self._indexes: dict[int, None] = {}
        self._holders: dict[str, dict[int, None]] = {}
        self._collected: dict[str, None] = {}

    def apply(self, entry: TapeEntry) -> None:
        """Take one entry. What is not about an index entry or a collection says nothing here."""
        pos = entry["pos"]
        self.upto = pos
        if entry.get("outcome") is not None:
            return
        created = entry.get("create")
        if created is not None:
            self._begin(pos, created, entry)
        elif entry.get("instance") in self._refs:
            self._move(entry["instance"], entry)
        elif entry.get("instance") in self._indexes and entry.get("event") == "BlocksCollected":
            self._collect(pos, entry.get("params") or {})

    def apply_all(self, entries: Iterable[TapeEntry]) -> Collection:
        """Take many entries, and return this fold."""
        for entry in entries:
            self.apply(entry)
        return self

    def live(self) -> frozenset[str]:
        """Return the blocks that are alive (G1)."""
        return frozenset(block for block, holders in self._holders.items() if holders)

    def holder(self, block: str) -> str | None:
        """Return a root that holds a block, the one indexed first; None: it is not alive."""
        holders = self._holders.get(block)
        return self._refs[next(iter(holders))].root if holders else None

    def plan(self) -> Iterator[Batch]:
        """Yield what a collection would do now (G2): the entries that left, the oldest first."""
        taken: dict[str, None] = {}
        for ref in self._refs.values():
            if ref.state in _LEFT:
                yield from self._batches(ref, taken)

    def _batches(self, ref: _Ref, taken: dict[str, None]) -> Iterator[Batch]:
        blocks: list[str] = []
        kept: dict[str, str] = {}
        for block in ref.blocks:
            holder = self.holder(block)
            if holder is not None:
                kept[block] = holder
            elif block not in taken and block not in self._collected:
                taken[block] = None
                blocks.append(block)
            if len(blocks) + len(kept) == BLOCKS_MAX:
                yield Batch(ref.name, ref.root, tuple(blocks), kept, last=False)
                blocks, kept = [], {}
        yield Batch(ref.name, ref.root, tuple(blocks), kept, last=True)

    def _begin(self, pos: int, created: str, entry: TapeEntry) -> None:
        if created.startswith(INDEX):
            self._indexes[pos] = None
        elif created.startswith(REF):
            root = (entry.get("set") or {}).get("root", "")
            ref = self._refs[pos] = _Ref(created, root, entry["to"])
            self._list(pos, ref, entry)
            self._settle(pos, ref)

    def _move(self, instance: int, entry: TapeEntry) -> None:
        ref = self._refs[instance]
        moved = entry.get("to")
        ref.state = moved or ref.state
        self._list(instance, ref, entry)
        if moved:
            self._settle(instance, ref)

    def _list(self, instance: int, ref: _Ref, entry: TapeEntry) -> None:
        """Take up the blocks that an entry lists. One that is listed again is there again."""
        for block in (entry.get("params") or {}).get("blocks", ()):
            ref.blocks[block] = None
            self._collected.pop(block, None)
            if ref.state in _ALIVE:
                self._holders.setdefault(block, {})[instance] = None

    def _settle(self, instance: int, ref: _Ref) -> None:
        """Let go of the blocks of an entry that is no longer alive."""
        if ref.state in _ALIVE:
            return
        for block in ref.blocks:
            holders = self._holders.get(block)
            if holders is not None:
                holders.pop(instance, None)
                if not holders:
                    del self._holders[block]
        if ref.state not in _LEFT:
            ref.blocks = {}

    def _collect(self, pos: int, params: Mapping[str, Any]) -> None:
        """Compare what a collection did with what was alive then (G4)."""
        for block in params.get("blocks", ()):
            holder = self.holder(block)
            if holder is not None:
                self.wrong.append(Wrong(pos, block, f"collected, and {holder} holds it"))
            self._collected[block] = None
        for block, root in params.get("kept", {}).items():
            if self.holder(block) is None:
                self.wrong.append(Wrong(pos, block, f"kept for {root}, and nobody holds it"))


def wrongly_collected(entries: Iterable[TapeEntry]) -> list[Wrong]:
    """Return every block that a collection on this tape took or kept wrongly, in order."""
    return Collection().apply_all(entries).wrong

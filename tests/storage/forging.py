"""Bundles of a log whose owner writes whatever it likes, and signs that: no step 2 to 6 fails."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from statetape.engine.inspect import Inspector
from statetape.storage.note import SignerKey, cosign, sign_note
from statetape.storage.proofs import tree_over
from statetape.storage.verifier import Checkpoint, Proof, leaf_hash

from .bundles import together

LOG = SignerKey("tests/forger", bytes(range(7, 39)))


def bodies_of(path: Path) -> list[bytes]:
    """Every entry of a tape, to begin with."""
    with Inspector.open(path) as inspector:
        return list(inspector.reader.read(1, inspector.world.size))


def body(entry: Any, **other: Any) -> bytes:
    """An entry in the form that entries have, with some members changed."""
    told = {**entry, **other}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def forged(
    bodies: Sequence[bytes],
    shown: Collection[int],
    objects: dict[str, bytes] | None = None,
    witnesses: Sequence[tuple[SignerKey, int]] = (),
) -> bytes:
    """Return a bundle that shows these positions of a log with these entries."""
    leaves = [leaf_hash(one) for one in bodies]
    tree = tree_over(leaves, len(leaves))
    checkpoint = Checkpoint(LOG.name, len(leaves), tree.root())
    lines = "".join(cosign(checkpoint.text, key, time_s) for key, time_s in witnesses)
    note = (sign_note(checkpoint.text, LOG) + lines).encode()
    members = {f"checkpoints/{len(leaves):012}.note": note, **(objects or {})}
    for pos in shown:
        proof = Proof(pos - 1, tuple(tree.inclusion(pos - 1)), note)
        members[f"entries/{pos:012}.json"] = bodies[pos - 1]
        members[f"proofs/{pos:012}.tlog-proof"] = proof.content
        entry = json.loads(bodies[pos - 1])
        if entry.get("tape") == "spec":
            members[f"spec/{pos:012}.yaml"] = entry["text"].encode()
    members["keys.txt"] = f"{LOG.verifier.text}\n".encode()
    members["manifest.json"] = b'{"tool":"statetape 0"}'
    return together(members)

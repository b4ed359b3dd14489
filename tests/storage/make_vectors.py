"""Make the project's own test vectors from the definitions, without the program.

Trees and proofs are those of `oracle.py`, notes are put together here byte by byte, keys come from
labels. Verdicts on damaged proofs are the oracle's. `python -m tests.storage.make_vectors` writes
the files; a test compares them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .oracle import Definition, holds_consistency, holds_inclusion, leaf

FOLDER = Path(__file__).with_name("own-vectors")
ENTRIES = [b"", b"\x00", b"\x01", b"statetape", b"a" * 31, b"b" * 32, b"c" * 64, b"\xff" * 65, b"9"]
TREE = Definition([leaf(entry) for entry in ENTRIES])
SIZES = range(1, len(ENTRIES) + 1)
OTHER = hashlib.sha256(b"a hash of nothing here").digest()


def root(size: int) -> bytes:
    """The root over the first `size` entries."""
    return TREE.root(0, size)


def flipped(one: bytes) -> bytes:
    """The same bytes, with the last bit of the first changed."""
    return bytes([one[0] ^ 1]) + one[1:]


def damaged(proof: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Yield ways to damage a list of hashes."""
    for at, one in enumerate(proof):
        yield f"a bit of hash {at} changed", [*proof[:at], flipped(one), *proof[at + 1 :]]
        yield f"hash {at} left out", proof[:at] + proof[at + 1 :]
    yield "one hash more at the end", [*proof, OTHER]
    yield "one hash more at the start", [OTHER, *proof]
    if proof:
        yield "a hash cut short", [*proof[:-1], proof[-1][:31]]
        yield "a hash made longer", [*proof[:-1], proof[-1] + b"\0"]
        yield "all hashes left out", []
    if len(proof) > 1:
        yield "two hashes swapped", [proof[1], proof[0], *proof[2:]]
    if len(proof) == 1:
        yield "64 hashes", [OTHER] * 64


def inclusion() -> Iterator[dict[str, Any]]:
    """Every entry of every size, and what can be wrong with a proof of it."""
    for size in SIZES:
        for index in range(size):
            proof = TREE.path(index, 0, size)
            cases = [("as it is made", index, size, TREE.leaves[index], proof, root(size))]
            if size in (1, 2, 5, 8):
                here = (index, size, TREE.leaves[index])
                cases += [(why, *here, wrong, root(size)) for why, wrong in damaged(proof)]
                cases += [
                    ("a bit of the leaf changed", index, size, flipped(here[2]), proof, root(size)),
                    ("a bit of the root changed", *here, proof, flipped(root(size))),
                    ("the empty root", *here, proof, root(0)),
                    ("the next index", index + 1, size, here[2], proof, root(size)),
                    ("an index below zero", -1, size, here[2], proof, root(size)),
                    ("a larger size", index, size + 1, here[2], proof, root(size)),
                    ("a size of nothing", index, 0, here[2], proof, root(size)),
                    ("a size beyond all", index, 2**63, here[2], proof, root(size)),
                ]
            for why, at, of, one, hashes, over in cases:
                yield {
                    "name": f"entry {index} of {size}: {why}",
                    "valid": holds_inclusion(at, of, one, hashes, over),
                    "leafIdx": at,
                    "treeSize": of,
                    "leafHash": one.hex(),
                    "proof": [each.hex() for each in hashes],
                    "root": over.hex(),
                }


def consistency() -> Iterator[dict[str, Any]]:
    """Every pair of sizes, and what can be wrong with a proof of it."""
    for size in SIZES:
        for old in range(1, size + 1):
            proof = TREE.proof(old, size)
            here = (old, size)
            cases = [("as it is made", *here, proof, root(old), root(size))]
            if size in (1, 2, 5, 8):
                roots = root(old), root(size)
                cases += [(why, *here, wrong, *roots) for why, wrong in damaged(proof)]
                cases += [
                    ("a bit of the old root changed", *here, proof, flipped(roots[0]), roots[1]),
                    ("a bit of the new root changed", *here, proof, roots[0], flipped(roots[1])),
                    ("both roots changed", *here, proof, *map(flipped, roots)),
                    ("a smaller old size", old - 1, size, proof, *roots),
                    ("a larger new size", old, size + 1, proof, *roots),
                    ("the sizes swapped", size, old, proof, *roots),
                    ("a size beyond all", old, 2**63, proof, *roots),
                ]
            for why, first, last, hashes, before, after in cases:
                yield {
                    "name": f"{old} to {size}: {why}",
                    "valid": holds_consistency(first, last, hashes, before, after),
                    "size1": first,
                    "size2": last,
                    "root1": before.hex(),
                    "root2": after.hex(),
                    "proof": [each.hex() for each in hashes],
                }


def merkle() -> dict[str, Any]:
    """The file of trees."""
    pairs = [(at, size) for size in SIZES for at in range(size)]
    return {
        "about": "Computed by tests/storage/make_vectors.py from RFC 6962's definitions.",
        "leaves": [entry.hex() for entry in ENTRIES],
        "leaf_hashes": [one.hex() for one in TREE.leaves],
        "roots_by_size": [root(size).hex() for size in range(len(ENTRIES) + 1)],
        "generated": {
            "inclusion": [
                {"index": at, "size": size, "proof": [p.hex() for p in TREE.path(at, 0, size)]}
                for at, size in pairs
            ],
            "consistency": [
                {
                    "size1": at + 1,
                    "size2": size,
                    "proof": [p.hex() for p in TREE.proof(at + 1, size)],
                }
                for at, size in pairs
            ],
        },
        "inclusion": list(inclusion()),
        "consistency": list(consistency()),
    }


class Key:
    """A signing key made from a label."""

    def __init__(self, name: str, kind: int = 1) -> None:
        seed = hashlib.sha256(f"statetape own vectors {name} {kind}".encode()).digest()
        self.name, self.kind = name, kind
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.private.public_key().public_bytes_raw()
        said = name.encode() + b"\n" + bytes([kind]) + self.public
        self.id = hashlib.sha256(said).digest()[:4]
        self.vkey = f"{name}+{self.id.hex()}+{b64(bytes([kind]) + self.public)}"

    def line(self, text: bytes, seconds: int = 0) -> bytes:
        """A signature line over a note's text; a cosigner's has a time."""
        if self.kind == 4:
            signed = b"cosignature/v1\ntime %d\n" % seconds + text
            payload = seconds.to_bytes(8, "big") + self.private.sign(signed)
        else:
            payload = self.private.sign(text)
        return f"\u2014 {self.name} {b64(self.id + payload)}\n".encode()


def b64(raw: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(raw).decode()


LOG = Key("own.example/tape")
STRANGER = Key("own.example/stranger")
FIRST, SECOND = Key("own.example/first-witness", 4), Key("own.example/second-witness", 4)
KEYS = (LOG, STRANGER, FIRST, SECOND)
TEXT = f"{LOG.name}\n9\n{b64(root(9))}\n".encode()
TIME = 1_750_000_000
LINE = LOG.line(TEXT)
COSIGNED = LINE + FIRST.line(TEXT, TIME) + SECOND.line(TEXT, TIME + 60)


def note(text: bytes, *lines: bytes) -> bytes:
    """A note's exact bytes."""
    return text + b"\n" + b"".join(lines)


def notes() -> Iterator[dict[str, Any]]:
    """Notes that hold and notes that do not, each with the keys that are known."""
    ours, all_three = [LOG], [LOG, FIRST, SECOND]
    whole = note(TEXT, LINE)
    wrong_time = FIRST.line(TEXT, TIME)
    raw = base64.b64decode(wrong_time.split()[2])
    later = b64(raw[:4] + (TIME + 1).to_bytes(8, "big") + raw[12:])
    wrong_time = f"\u2014 {FIRST.name} {later}\n".encode()
    timeless = f"\u2014 {FIRST.name} {b64(raw[:4] + raw[12:])}\n".encode()
    dash = "\u2014".encode()
    two = b"one\n\ntwo\n"
    cases: list[tuple[str, bytes, list[Key], list[Key] | None]] = [
        ("a checkpoint", whole, ours, ours),
        ("cosigned by two", note(TEXT, COSIGNED), all_three, all_three),
        ("of two witnesses one is known", note(TEXT, COSIGNED), [LOG, SECOND], [LOG, SECOND]),
        ("a witness's line alone", note(TEXT, FIRST.line(TEXT, TIME)), [FIRST], [FIRST]),
        ("a witness's line before the log's", note(TEXT, FIRST.line(TEXT, TIME), LINE), ours, ours),
        ("time zero", note(TEXT, LINE, FIRST.line(TEXT, 0)), [LOG, FIRST], [LOG, FIRST]),
        ("blank lines in the text", note(two, LOG.line(two)), ours, ours),
        ("any text", note(b"\xc3\xa9\n", LOG.line(b"\xc3\xa9\n")), ours, ours),
        ("16 unknown signatures", note(TEXT, *[STRANGER.line(TEXT)] * 16, LINE), ours, ours),
        ("no key is known", whole, [STRANGER], None),
        ("the size changed", whole.replace(b"\n9\n", b"\n8\n"), ours, None),
        ("the signature of another text", note(TEXT, LOG.line(b"another\n")), ours, None),
        ("a good line and a bad one", note(TEXT, LINE, LOG.line(b"another\n")), ours, None),
        ("the time changed", note(TEXT, LINE, wrong_time), [LOG, FIRST], None),
        ("a cosigner's line without its time", note(TEXT, timeless), [FIRST], None),
        ("no blank line", TEXT + LINE, ours, None),
        ("no signature", note(TEXT), ours, None),
        ("the last newline gone", whole[:-1], ours, None),
        ("something after the signatures", whole + b"x\n", ours, None),
        ("a hyphen for the dash", whole.replace(dash, b"-"), ours, None),
        ("two spaces", whole.replace(dash + b" ", dash + b"  "), ours, None),
        ("carriage returns", whole.replace(b"\n", b"\r\n"), ours, None),
        ("a zero byte", note(b"a\0b\n", LOG.line(b"a\0b\n")), ours, None),
        ("not UTF-8", note(b"\xff\n", LOG.line(b"\xff\n")), ours, None),
        ("a name with a plus", whole.replace(dash + b" own.", dash + b" own+"), ours, None),
        ("nothing", b"", ours, None),
    ]  # fmt: skip
    for why, content, known, by in cases:
        vector = {"id": why, "note_b64": b64(content), "vkeys": [key.vkey for key in known]}
        yield (
            vector
            | {"valid": by is not None}
            | ({} if by is None else {"verified_by": [key.name for key in by]})
        )


def checkpoints() -> Iterator[dict[str, Any]]:
    """Texts that are checkpoints, and texts that are none."""
    hashed = b64(root(9))
    good = {"origin": LOG.name, "size": 9, "root": root(9).hex()}
    yield {"id": "three lines", "valid": True, "text": TEXT.decode(), **good}
    yield {"id": "an extension line", "valid": True, "text": TEXT.decode() + "more\n", **good}
    largest = {**good, "size": 2**63 - 1}
    yield {
        "id": "the largest",
        "valid": True,
        "text": f"{LOG.name}\n{2**63 - 1}\n{hashed}\n",
        **largest,
    }
    for why, text in {
        "two lines": f"{LOG.name}\n9\n",
        "no newline at the end": TEXT.decode()[:-1],
        "an empty origin": f"\n9\n{hashed}\n",
        "a space in the origin": f"own example\n9\n{hashed}\n",
        "a leading zero": f"{LOG.name}\n09\n{hashed}\n",
        "a sign": f"{LOG.name}\n+9\n{hashed}\n",
        "a negative size": f"{LOG.name}\n-9\n{hashed}\n",
        "a size beyond 63 bits": f"{LOG.name}\n{2**63}\n{hashed}\n",
        "a size in hex": f"{LOG.name}\n0x9\n{hashed}\n",
        "a short root": f"{LOG.name}\n9\n{b64(root(9)[:31])}\n",
        "a long root": f"{LOG.name}\n9\n{b64(root(9) + b'x')}\n",
        "a root in hex": f"{LOG.name}\n9\n{root(9).hex()}\n",
        "no padding": f"{LOG.name}\n9\n{hashed.rstrip('=')}\n",
    }.items():
        yield {"id": why, "valid": False, "text": text}


def proofs() -> Iterator[dict[str, Any]]:
    """tlog-proofs of entry 4 of nine."""
    under = note(TEXT, COSIGNED)
    hashes = [b64(one) for one in TREE.path(4, 0, 9)]

    def made(
        index: str = "4",
        lines: list[str] | None = None,
        checkpoint: bytes = under,
        head: str = "c2sp.org/tlog-proof@v1",
        extra: str = "",
    ) -> bytes:
        head = f"{head}\n{extra}index {index}\n"
        body = "".join(f"{line}\n" for line in (hashes if lines is None else lines))
        return head.encode() + body.encode() + b"\n" + checkpoint

    entry, ours = ENTRIES[4], [LOG]
    eight = f"{LOG.name}\n8\n{b64(root(8))}\n".encode()
    smaller = made(checkpoint=note(eight, LOG.line(eight)))
    witnessed = made(checkpoint=note(TEXT, FIRST.line(TEXT, TIME)))
    stranger_too = made(checkpoint=note(TEXT, STRANGER.line(TEXT), LINE))
    cases = [
        ("as it is made", made(), entry, ours, True),
        ("with extra data", made(extra=f"extra {b64(entry)}\n"), entry, ours, True),
        ("with the witnesses' keys", made(), entry, [LOG, FIRST, SECOND], True),
        ("of another entry", made(), ENTRIES[5], ours, False),
        ("another index", made("5"), entry, ours, False),
        ("an index beyond the tree", made("9"), entry, ours, False),
        ("an index with a zero before it", made("04"), entry, ours, False),
        ("a hash left out", made(lines=hashes[:-1]), entry, ours, False),
        ("a hash more", made(lines=[*hashes, b64(OTHER)]), entry, ours, False),
        ("hashes swapped", made(lines=[hashes[1], hashes[0], *hashes[2:]]), entry, ours, False),
        ("a hash in hex", made(lines=[TREE.leaves[5].hex(), *hashes[1:]]), entry, ours, False),
        ("another version", made(head="c2sp.org/tlog-proof@v2"), entry, ours, False),
        ("an unsigned checkpoint", made(checkpoint=TEXT), entry, ours, False),
        ("a witness alone", witnessed, entry, [FIRST], False),
        ("another key", made(), entry, [STRANGER], False),
        ("the checkpoint of another size", smaller, entry, ours, False),
        ("a checkpoint that a stranger signed too", stranger_too, entry, ours, True),
        ("nothing", b"", entry, ours, False),
    ]  # fmt: skip
    for why, content, body, known, valid in cases:
        vector = {"id": why, "valid": valid, "proof_b64": b64(content), "entry": body.hex()}
        vector["vkeys"] = [key.vkey for key in known]
        yield vector | ({"origin": LOG.name, "size": 9, "root": root(9).hex()} if valid else {})


def signed() -> dict[str, Any]:
    """The file of notes."""
    name, identity, key = LOG.vkey.split("+", 2)
    other = STRANGER.vkey.split("+")[1]
    lines = [LINE, FIRST.line(TEXT, TIME)]
    cut, unknown = b64(b"\x01" + LOG.public[:31]), b64(b"\x07" + LOG.public)
    return {
        "about": "Made by tests/storage/make_vectors.py; seeds are SHA-256 of labels.",
        "vkeys_expected_ids": [
            {
                "vkey": one.vkey,
                "name": one.name,
                "key_id": one.id.hex(),
                "type": one.kind,
                "public_key": one.public.hex(),
            }
            for one in KEYS
        ],
        "bad_vkeys": [
            {"why": "another key's id", "vkey": f"{name}+{other}+{key}"},
            {"why": "the id in capitals", "vkey": f"{name}+{identity.upper()}x+{key}"},
            {"why": "no name", "vkey": f"+{identity}+{key}"},
            {"why": "a space in the name", "vkey": f"own example+{identity}+{key}"},
            {"why": "no key", "vkey": f"{name}+{identity}"},
            {"why": "a byte less", "vkey": f"{name}+{identity}+{cut}"},
            {"why": "an unknown type", "vkey": f"{name}+{identity}+{unknown}"},
            {"why": "no base64", "vkey": f"{name}+{identity}+{key[:-1]}!"},
        ],
        "notes": list(notes()),
        "parse_only": {
            "lines": [
                {
                    "line": line.decode().rstrip("\n"),
                    "name": one.name,
                    "key_id": one.id.hex(),
                    "payload_len": length,
                }
                | ({"timestamp": TIME} if one.kind == 4 else {})
                for line, one, length in zip(lines, (LOG, FIRST), (64, 72), strict=True)
            ]
        },
        "checkpoints": list(checkpoints()),
        "tlog_proofs": list(proofs()),
    }


def written(document: dict[str, Any]) -> str:
    """JSON with a line for each vector."""
    parts = []
    for name, section in document.items():
        items = section if isinstance(section, list) else None
        text = json.dumps(section) if items is None else _lines(items)
        parts.append(f"{json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(items: list[Any]) -> str:
    return "[\n" + ",\n".join(json.dumps(item) for item in items) + "\n]"


def made() -> dict[str, str]:
    """Every file's name and text."""
    return {"merkle.json": written(merkle()), "notes.json": written(signed())}


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in made().items():
        (FOLDER / name).write_text(text)


if __name__ == "__main__":
    main()

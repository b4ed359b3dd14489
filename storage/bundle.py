"""Make a dispute bundle from a tape: entries, their proofs, checkpoints, and what follows of them.

What a bundle is, `dispute` says and checks; here its members are collected. Which entries are to
go in, what they fold to and which signed objects they name is the caller's to know: nothing here
knows what a machine means. docs/reference/bundle.md describes the format.
"""

from __future__ import annotations

from base64 import b64encode
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from ..fsm.errors import CallerError, StatetapeError
from . import cosignatures
from .checkpoints import Signed, check_root, signed
from .errors import KeyInvalid, StoreFailed, TapeBusy
from .files import Files
from .proofs import consistency, tree_of
from .reader import Reader
from .tape import Tape
from .verifier import Proof, dispute

CHECKPOINTS_MAX = dispute.FOLDERS["checkpoints/"] - 1
"""Cosigned checkpoints that a bundle has at most, beside the newest: the first ones stay."""


class BundleTooLarge(CallerError):
    """The bundle would pass a limit of the format. Nothing was written."""

    code = "bundle-too-large"


class Content(NamedTuple):
    """What goes into a bundle: by position the entries' bytes and the machines' texts.

    `states` after each entry, `rows` the folded instances by position, both as `dispute.claims`
    takes them; `objects` by their id.
    """

    entries: Mapping[int, bytes]
    machines: Mapping[int, str]
    states: Sequence[Mapping[str, Any]]
    rows: Mapping[int, Mapping[str, Any]]
    objects: Mapping[str, Sequence[str]]


def sign(files: Files) -> StatetapeError | None:
    """Sign everything stored, if this process may write the tape; else return why it may not.

    What is wrong with the tape itself is raised.
    """
    try:
        tape = Tape.open_to_write(files)
    except (KeyInvalid, TapeBusy, StoreFailed) as error:
        return error
    try:
        tape.anchor()
    finally:
        tape.close()
    return None


def build(reader: Reader, content: Content, tool: str) -> bytes:
    """Return the bundle's bytes: the same for the same tape, content and tool.

    Proofs lead to the newest checkpoint. Raises NotSigned, TapeDamaged, HashesShrunk, and
    BundleTooLarge.
    """
    with reader.snapshot():
        newest = signed(reader)
        check_root(reader, newest)
        members = {f"entries/{pos:012}.json": body for pos, body in content.entries.items()}
        if sum(map(len, members.values())) > dispute.ENTRIES_BYTES_MAX:
            raise _too_large(f"the entries have more than {dispute.ENTRIES_BYTES_MAX} bytes")
        if len(content.machines) > dispute.FOLDERS["spec/"]:
            raise _too_large(f"there are more than {dispute.FOLDERS['spec/']} machines")
        members |= _proofs(reader, sorted(content.entries), newest)
        members |= _checkpoints(reader, sorted(content.entries), newest)
        keys = "".join(f"{key.text}\n" for key in reader.signers())
    members |= {f"spec/{pos:012}.yaml": text.encode() for pos, text in content.machines.items()}
    for name, texts in content.objects.items():
        members[f"vouchers/{name}.txt"] = "".join(f"{one}\n" for one in sorted(texts)).encode()
    members["keys.txt"] = keys.encode()
    members["replay.json"] = dispute.claims(content.states, content.rows)
    members |= dispute.manifest(members, content.rows, newest.checkpoint, tool)
    made = dispute.archive(members)
    if len(made) > dispute.BUNDLE_BYTES_MAX:
        raise _too_large(f"the bundle would have more than {dispute.BUNDLE_BYTES_MAX} bytes")
    return made


def _too_large(why: str) -> BundleTooLarge:
    return BundleTooLarge(why, hint="leave instances out (--alone), or end earlier (--upto)")


def _proofs(reader: Reader, positions: Sequence[int], newest: Signed) -> dict[str, bytes]:
    """Return the members that show each entry under the newest checkpoint."""
    tree = tree_of(reader, newest.checkpoint.size)
    return {
        f"proofs/{pos:012}.tlog-proof": Proof(
            pos - 1, tuple(tree.inclusion(pos - 1)), newest.note
        ).content
        for pos in positions
    }


def _checkpoints(reader: Reader, positions: Sequence[int], newest: Signed) -> dict[str, bytes]:
    """Return the newest checkpoint, the cosigned ones that say more, and what chains them.

    A cosigned checkpoint says more if it is the first one over some entry: it says when that
    existed. The last such one is over every entry.
    """
    sizes: list[int] = []
    cosigned = [size for size in cosignatures.sizes(reader) if size < newest.checkpoint.size]
    for pos in positions:
        index = bisect_left(cosigned, pos)
        if index < len(cosigned) and cosigned[index] not in sizes[-1:]:
            sizes.append(cosigned[index])
    if len(sizes) > CHECKPOINTS_MAX:
        sizes = [*sizes[: CHECKPOINTS_MAX - 1], sizes[-1]]
    found = [*(signed(reader, size) for size in sizes), newest]
    members = {f"checkpoints/{one.checkpoint.size:012}.note": one.note for one in found}
    for one, other in pairwise(found):
        old, size = one.checkpoint.size, other.checkpoint.size
        hashes = consistency(reader, old, size)
        lines = b"".join(b64encode(step) + b"\n" for step in hashes)
        members[f"consistency/{old:012}-{size:012}.txt"] = lines
    return members

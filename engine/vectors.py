"""Run published test vectors of Merkle proofs and signed notes through the verifier.

A file is a JSON object of sections, of which any may be absent (docs/reference/vectors.md). What
the verifier says of a vector is compared with what the file says. A section that is not known was
not run, so it counts as a failure; top-level strings and numbers are remarks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ..storage.merkle import Edge
from ..storage.proofs import tree_over
from ..storage.verifier import (
    Checkpoint,
    EvidenceInvalid,
    VerifierKey,
    check_consistency,
    check_inclusion,
    check_proof,
    check_subtree_consistency,
    check_subtree_inclusion,
    leaf_hash,
    open_note,
    parse_checkpoint,
    parse_proof,
    parse_signature,
    parse_verifier_key,
)
from .vector_file import Value, named, read


class Outcome(NamedTuple):
    """A vector that was run: its name, and how the verifier disagrees; None: it agrees."""

    name: str
    disagreement: str | None = None


@dataclass
class Section:
    """How many vectors of a section were run, and the disagreements among them."""

    total: int = 0
    disagreements: list[Outcome] = field(default_factory=list)


@dataclass
class Run:
    """A file that was run."""

    file: str
    sections: dict[str, Section] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many vectors were run."""
        return sum(section.total for section in self.sections.values())

    @property
    def disagreements(self) -> int:
        """How many of them the verifier disagrees with."""
        return sum(len(section.disagreements) for section in self.sections.values())

    @property
    def agrees(self) -> bool:
        """Whether something was run, all of it that there is, and all of it agrees."""
        return bool(self.total) and not self.unknown and not self.disagreements


def run_file(path: Path) -> Run:
    """Run the vectors in a file. Raises VectorsInvalid where it is malformed, and OSError."""
    document = read(path)
    run = Run(str(path))
    for name, section in document.members().items():
        if name == "generated":
            for part, inner in section.members().items():
                _run(run, f"{name}.{part}", inner, document)
        else:
            _run(run, name, section, document)
    return run


def _run(run: Run, name: str, section: Value, document: Value) -> None:
    if name in SECTIONS:
        ran = run.sections.setdefault(name, Section())
        for outcome in SECTIONS[name](section, document):
            ran.total += 1
            if outcome.disagreement is not None:
                ran.disagreements.append(outcome)
    elif name == "leaves":
        section.hashes()
    elif isinstance(section.value, dict | list):
        run.unknown.append(name)


def _judged(name: str, vector: Value, check: Callable[..., object], *given: object) -> Outcome:
    """Compare what `check` says of `given` with the vector, which is valid if it does not say.

    It says so by `valid`, or by its opposite, `wantErr`, as Go's vectors of Merkle proofs do.
    """
    said, refused = vector.find("valid"), vector.find("wantErr")
    valid = said.truth() if said is not None else not (refused is not None and refused.truth())
    try:
        check(*given)
    except EvidenceInvalid as error:
        return Outcome(name, f"should hold, and is refused: {error}" if valid else None)
    return Outcome(name, None if valid else "should be refused, and holds")


def _compared(name: str, expected: object, found: object) -> Outcome:
    return Outcome(name, None if expected == found else f"{expected} is expected, found {found}")


def _told(name: str, vector: Value, found: Mapping[str, str | int | None]) -> Outcome:
    """Compare what was found with the vector, as far as it says so."""
    said = {who: one for who, one in vector.members().items() if who in found}
    if all(one.alike(found[who]) for who, one in said.items()):
        return Outcome(name)
    expected = {who: one.value for who, one in said.items()}
    return _compared(name, expected, {who: found[who] for who in said})


def _verdict(vector: Value) -> Value:
    """Return the vector, which has to say whether it is valid."""
    vector.member("valid", "wantErr").truth()
    return vector


# trees


def _inclusion(section: Value, _: Value) -> Iterator[Outcome]:
    for name, one in named(section.items(), section.path):
        index, size = one.member("leafIdx", "index").integer(), one.member("treeSize", "size")
        leaf, proof = one.member("leafHash").hex(), one.member("proof").hashes()
        given = (index, size.integer(), leaf, proof, one.member("root").hex())
        yield _judged(name, _verdict(one), check_inclusion, *given)


def _consistency(section: Value, _: Value) -> Iterator[Outcome]:
    for name, one in named(section.items(), section.path):
        sizes = one.member("size1").integer(), one.member("size2").integer()
        roots = one.member("root1").hex(), one.member("root2").hex()
        given = (*sizes, one.member("proof").hashes(), *roots)
        yield _judged(name, _verdict(one), check_consistency, *given)


def _subtree_inclusion(section: Value, _: Value) -> Iterator[Outcome]:
    for name, one in named(section.items(), section.path):
        index = one.member("leafIdx", "index").integer()
        bounds = one.member("start").integer(), one.member("end").integer()
        leaf, proof = one.member("leafHash").hex(), one.member("proof").hashes()
        given = (index, *bounds, leaf, proof, one.member("root").hex())
        yield _judged(name, _verdict(one), check_subtree_inclusion, *given)


def _subtree_consistency(section: Value, _: Value) -> Iterator[Outcome]:
    for name, one in named(section.items(), section.path):
        bounds = one.member("start").integer(), one.member("end").integer()
        roots = one.member("root1").hex(), one.member("root2").hex()
        proof = one.member("proof").hashes()
        given = (*bounds, one.member("size").integer(), proof, *roots)
        yield _judged(name, _verdict(one), check_subtree_consistency, *given)


def _leaves(document: Value) -> list[bytes]:
    """Return the leaf hashes of the file's tree, computed where the leaves are there."""
    leaves = document.find("leaves")
    if leaves is not None:
        return [leaf_hash(data) for data in leaves.hashes()]
    given = document.find("leaf_hashes")
    return given.hashes() if given is not None else document.fail("`leaves` are missing")


def _leaf_hashes(section: Value, document: Value) -> Iterator[Outcome]:
    expected = section.hashes()
    leaves = document.find("leaves")
    if leaves is None:
        yield Outcome(section.path, "it cannot be run: `leaves` are missing")
        return
    found = leaves.hashes()
    if len(found) != len(expected):
        section.fail(f"there are {len(found)} leaves, and {len(expected)} hashes")
    for at, (data, one) in enumerate(zip(found, expected, strict=True)):
        yield _compared(f"{section.path}[{at}]", one.hex(), leaf_hash(data).hex())


def _roots(section: Value, document: Value) -> Iterator[Outcome]:
    leaves = _leaves(document)
    edge = Edge()
    for size, expected in enumerate(section.hashes()):
        if size > len(leaves):
            section.fail(f"a root of {size} leaves is there, and {len(leaves)} leaves")
        if size:
            edge.extend(leaves[size - 1 : size])
        yield _compared(f"{section.path}[{size}]", expected.hex(), edge.root().hex())


def _generated_inclusion(section: Value, document: Value) -> Iterator[Outcome]:
    leaves = _leaves(document)
    for name, one in named(section.items(), section.path):
        index, size = one.member("index", "leafIdx"), _size(one.member("size", "treeSize"), leaves)
        if not 0 <= index.integer() < size:
            index.fail(f"a tree of {size} leaves has no leaf {index.integer()}")
        proof = one.member("proof").hashes()
        yield _judged(name, one, _check_path, leaves, index.integer(), size, proof)


def _check_path(leaves: list[bytes], index: int, size: int, proof: list[bytes]) -> None:
    """The proof holds, and is the one that the prover makes."""
    tree = tree_over(leaves, size)
    check_inclusion(index, size, leaves[index], proof, tree.root())
    _same(proof, tree.inclusion(index))


def _generated_consistency(section: Value, document: Value) -> Iterator[Outcome]:
    leaves = _leaves(document)
    for name, one in named(section.items(), section.path):
        old, size = (_size(one.member(which), leaves) for which in ("size1", "size2"))
        if not 0 < old <= size:
            one.fail(f"no proof leads from {old} to {size} leaves")
        proof = one.member("proof").hashes()
        yield _judged(name, one, _check_growth, leaves, old, size, proof)


def _check_growth(leaves: list[bytes], old: int, size: int, proof: list[bytes]) -> None:
    """The proof holds, and is the one that the prover makes."""
    tree = tree_over(leaves, size)
    check_consistency(old, size, proof, tree_over(leaves, old).root(), tree.root())
    _same(proof, tree.consistency(old))


def _size(value: Value, leaves: list[bytes]) -> int:
    if not 0 <= value.integer() <= len(leaves):
        value.fail(f"the file has {len(leaves)} leaves")
    return value.integer()


def _same(given: list[bytes], made: list[bytes]) -> None:
    if given != made:
        raise EvidenceInvalid("the prover makes another proof")


# notes


def _texts(vector: Value, member: str) -> list[str]:
    return [one.text() for one in vector.member(member).items()]


def _keys(texts: list[str]) -> list[VerifierKey]:
    return [parse_verifier_key(text) for text in texts]


def _content(vector: Value, plain: str) -> bytes:
    """Return exact bytes: in base64, or as text where that says them."""
    exact = vector.find(f"{plain}_b64")
    return exact.base64() if exact is not None else vector.member(plain).text().encode()


def _notes(section: Value, _: Value) -> Iterator[Outcome]:
    for name, one in named(section.items(), section.path):
        by = None if one.find("verified_by") is None else _texts(one, "verified_by")
        given = (_content(one, "note"), _texts(one, "vkeys"), by)
        yield _judged(name, _verdict(one), _check_note, *given)


def _check_note(content: bytes, vkeys: list[str], by: list[str] | None) -> None:
    """The note opens, and exactly the keys of these names (or texts) signed it."""
    opened = open_note(content, _keys(vkeys))
    names = {key.name for key, _ in opened.signed}
    if by is not None and set(by) not in (names, {key.text for key, _ in opened.signed}):
        raise EvidenceInvalid(f"signed by {', '.join(sorted(names))}")


def _known_keys(section: Value, _: Value) -> Iterator[Outcome]:
    for at, one in enumerate(section.items()):
        vkey = one.member("vkey").text()
        name = f"{section.path}[{at}] {vkey}"
        try:
            key = parse_verifier_key(vkey)
        except EvidenceInvalid as error:
            yield Outcome(name, f"should be read, and is refused: {error}")
            continue
        found: dict[str, str | int | None] = {"type": key.kind, "vkey": key.text}
        found |= {"name": key.name, "key_id": key.id.hex(), "public_key": key.public.hex()}
        yield _told(name, one, found)


def _bad_keys(section: Value, _: Value) -> Iterator[Outcome]:
    for at, one in enumerate(section.items()):
        vkey = one if isinstance(one.value, str) else one.member("vkey")
        try:
            parse_verifier_key(vkey.text())
        except EvidenceInvalid:
            yield Outcome(f"{section.path}[{at}]")
        else:
            yield Outcome(f"{section.path}[{at}] {vkey.text()}", "should be refused, and is read")


def _lines(section: Value, _: Value) -> Iterator[Outcome]:
    lines = section if isinstance(section.value, list) else section.member("lines")
    for name, one in named(lines.items(), section.path):
        try:
            read_line = parse_signature(one.member("line").text())
        except EvidenceInvalid as error:
            yield Outcome(name, f"should be read, and is refused: {error}")
            continue
        told = (read_line.name, read_line.key_id.hex(), len(read_line.payload), read_line.time_s)
        yield _told(name, one, dict(zip(_LINE, told, strict=True)))


_LINE = ("name", "key_id", "payload_len", "timestamp")


def _checkpoints(section: Value, _: Value) -> Iterator[Outcome]:
    for name, one in named(section.items(), section.path):
        text = one.member("text").text()
        yield _judged(name, _verdict(one), _check_checkpoint, one, text)


def _check_checkpoint(vector: Value, text: str) -> None:
    _agree(parse_checkpoint(text), vector)


def _proofs(section: Value, _: Value) -> Iterator[Outcome]:
    for name, one in named(section.items(), section.path):
        given = (_content(one, "proof"), leaf_hash(one.member("entry").hex()), _texts(one, "vkeys"))
        yield _judged(name, _verdict(one), _check_proof, one, *given)


def _check_proof(vector: Value, content: bytes, leaf: bytes, vkeys: list[str]) -> None:
    _agree(check_proof(parse_proof(content), leaf, _keys(vkeys)), vector)


def _agree(found: Checkpoint, vector: Value) -> None:
    """The checkpoint is the one that the vector names, as far as it names one."""
    told: dict[str, str | int] = {"origin": found.origin, "size": found.size}
    told["root"] = found.root.hex()
    for member, is_ in told.items():
        said = vector.find(member)
        if said is not None and not said.alike(is_):
            raise EvidenceInvalid(f"its {member} is {is_}")


SECTIONS: dict[str, Callable[[Value, Value], Iterator[Outcome]]] = {
    "leaf_hashes": _leaf_hashes,
    "roots_by_size": _roots,
    "inclusion": _inclusion,
    "consistency": _consistency,
    "subtree_inclusion": _subtree_inclusion,
    "subtree_consistency": _subtree_consistency,
    "generated.inclusion": _generated_inclusion,
    "generated.consistency": _generated_consistency,
    "vkeys_expected_ids": _known_keys,
    "bad_vkeys": _bad_keys,
    "notes": _notes,
    "parse_only": _lines,
    "checkpoints": _checkpoints,
    "tlog_proofs": _proofs,
}
"""What is known of a file's sections, and how each is run."""

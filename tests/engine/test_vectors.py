"""Test vectors: our own and the shared ones, run by the program and by two other verifiers."""

from __future__ import annotations

import base64
import copy
import json
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from statetape.engine.vector_file import VectorsInvalid
from statetape.engine.vectors import SECTIONS, run_file

from ..storage import make_vectors
from ..storage.oracle import holds_consistency, holds_inclusion
from ..storage.vectors import shared

SCRIPT = Path(make_vectors.__file__).with_name("verify.js")
OWN = sorted(make_vectors.made())
SHARED = ("merkle-vectors.json", "note-vectors.json")


def document(name: str):
    """The vectors in a file, of ours or shared; without the latter the test is skipped."""
    if name in OWN:
        return json.loads((make_vectors.FOLDER / name).read_text())
    return shared(name)


@pytest.fixture(params=[*OWN, *SHARED])
def vectors(request, tmp_path):
    """Each file's path and its document."""
    path = tmp_path / "vectors.json"
    told = document(request.param)
    path.write_text(json.dumps(told))
    return path, told


def test_our_own_vectors_are_those_of_the_definitions():
    """`python -m tests.storage.make_vectors` writes them."""
    for name, text in make_vectors.made().items():
        assert (make_vectors.FOLDER / name).read_text() == text


def test_the_program_agrees_with_every_vector(vectors):
    """All sections are known, none is empty, no verdict differs."""
    path, told = vectors
    run = run_file(path)

    assert [one for section in run.sections.values() for one in section.disagreements] == []
    assert run.agrees
    assert run.unknown == []
    lists = {name for name, value in told.items() if isinstance(value, list | dict)}
    ran = {name.partition(".")[0] for name in run.sections}
    assert lists == ran | ({"leaves"} & lists)
    for name, section in run.sections.items():
        if name in told:
            items = told[name]["lines"] if name == "parse_only" else told[name]
            assert section.total == len(items) > 0


def test_every_verdict_turned_round_is_a_disagreement(vectors):
    """The control: a verifier that says yes, or no, to everything would fail."""
    path, told = vectors
    turned = copy.deepcopy(told)
    wrong = dict.fromkeys(turned, 0)
    for name, section in turned.items():
        for vector in section if isinstance(section, list) else ():
            if isinstance(vector, dict) and "valid" in vector:
                vector["valid"] = not vector["valid"]
                wrong[name] += 1
    path.write_text(json.dumps(turned))
    run = run_file(path)

    assert sum(wrong.values()) > 18
    assert not run.agrees
    for name, count in wrong.items():
        if count:
            assert len(run.sections[name].disagreements) == count


def integers(vector, *members):
    return [vector[member] for member in members]


def hashes(vector, *members):
    return [bytes.fromhex(vector[member]) for member in members]


def recursive(section: str, vector) -> bool:
    """The verdict of the naive recursion that RFC 9162 defines proofs by."""
    proof = [bytes.fromhex(one) for one in vector["proof"] or ()]
    if section == "inclusion":
        leaf, root = hashes(vector, "leafHash", "root")
        return holds_inclusion(*integers(vector, "leafIdx", "treeSize"), leaf, proof, root)
    sizes, roots = integers(vector, "size1", "size2"), hashes(vector, "root1", "root2")
    return holds_consistency(*sizes, proof, *roots)


def test_the_definition_agrees_with_every_vector(vectors):
    """A second implementation: not the loop over bits, but the recursion."""
    _, told = vectors
    for section in ("inclusion", "consistency"):
        for vector in told.get(section, ()):
            assert recursive(section, vector) == vector["valid"], vector["name"]


def test_another_language_agrees_with_every_vector(vectors):
    """A third one, in JavaScript, with another implementation of SHA-256 and of Ed25519."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no `node` here to run tests/storage/verify.js")
    path, told = vectors
    done = subprocess.run([node, SCRIPT, path], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    verdicts = json.loads(done.stdout)

    assert verdicts
    for section, found in verdicts.items():
        expected = [[one.get("name", one.get("id")), one["valid"]] for one in told[section]]
        assert found == expected


def written(tmp_path, told) -> Path:
    path = tmp_path / "v.json"
    path.write_text(told if isinstance(told, str) else json.dumps(told))
    return path


HASH = "00" * 32
ONE = {"name": "one", "valid": False, "leafIdx": 0, "treeSize": 2, "leafHash": HASH, "root": HASH}
TWO = {"name": "two", "valid": False, "size1": 1, "size2": 2, "root1": HASH, "root2": HASH}
NOTE = {"id": "n", "valid": False, "note_b64": "eA==", "vkeys": []}


def test_sections_may_be_absent_and_vectors_nameless(tmp_path):
    """A single vector is a file; what has no name is called by its place."""
    vector = {name: value for name, value in ONE.items() if name != "name"}
    run = run_file(written(tmp_path, {"inclusion": [{**vector, "valid": True, "proof": None}]}))

    [outcome] = run.sections["inclusion"].disagreements
    assert outcome.name == "inclusion[0]"
    assert "refused" in outcome.disagreement


def test_a_section_that_is_not_known_is_told_and_fails(tmp_path):
    """It was not run, so nobody may believe that it was. Remarks are no sections."""
    good = {"about": "x", "version": 3, "inclusion": [{**ONE, "proof": []}]}
    assert run_file(written(tmp_path, good)).agrees
    run = run_file(written(tmp_path, {**good, "exclusion": [1], "generated": {"other": []}}))

    assert run.unknown == ["exclusion", "generated.other"]
    assert not run.agrees


def test_a_file_of_nothing_does_not_agree(tmp_path):
    """Nothing was compared."""
    for told in ({}, {"about": "vectors"}, {"inclusion": []}):
        assert not run_file(written(tmp_path, told)).agrees


def test_what_other_writers_of_such_files_write_is_read(tmp_path):
    """Numbers in strings, either case of hex, `0x`, null for no bytes, base64 in lines, wantErr."""
    told = copy.deepcopy(document("merkle.json"))
    held = [one for one in told["inclusion"] if one["valid"] and one["proof"]]
    for one in held:
        one |= {name: str(one[name]) for name in ("leafIdx", "treeSize")}
        one["root"], one["leafHash"] = one["root"].upper(), f"0x{one['leafHash']}"
        one["wantErr"] = not one.pop("valid")
    failing = [{**one, "wantErr": True} for one in held]
    empty = [{**ONE, "proof": None, "root": None, "leafHash": ""}]

    assert len(held) > 2
    assert run_file(written(tmp_path, {"inclusion": [*held, *empty]})).agrees
    assert run_file(written(tmp_path, {"inclusion": failing})).disagreements == len(held)
    line = f"\N{EM DASH} a {base64.b64encode(bytes(range(70))).decode()}"
    said = {"line": line, "key_id": "00010203", "payload_len": "66"}
    for key_id, expected in (("00010203", 0), ("00010204", 1)):
        run = run_file(written(tmp_path, {"parse_only": [{**said, "key_id": key_id}]}))
        assert (run.total, run.disagreements) == (1, expected)
    in_lines = base64.encodebytes(b"x" * 100).decode().rstrip("=\n")
    assert run_file(written(tmp_path, notes(note_b64=in_lines))).agrees


def inclusion(**changes):
    """A file of one vector; `...` leaves a member out."""
    vector = {**ONE, "proof": [], **changes}
    return {"inclusion": [{name: value for name, value in vector.items() if value is not ...}]}


def notes(**changes):
    return {"notes": [{**NOTE, **changes}]}


def generated(leaves, index, size):
    return {
        "leaves": leaves,
        "generated": {"inclusion": [{"index": index, "size": size, "proof": []}]},
    }


MEMBERS = ("valid", "leafIdx", "root", "leafHash", "treeSize", "proof")
SECOND = {**TWO, "proof": [], "size2": "two"}
PROOF = {"valid": True, "proof": "", "vkeys": [], "entry": "x"}
MALFORMED = {
    "": ["[]", "3", '"x"', "null"],
    ":1:2": ["{"],
    ": inclusion": [{"inclusion": {}}, {"inclusion": "x"}],
    ": inclusion[0]": [{"inclusion": [1]}, *(inclusion(**{member: ...}) for member in MEMBERS)],
    ": inclusion[0].valid": [inclusion(valid=one) for one in (1, "true", None)],
    ": inclusion[0].leafIdx": [inclusion(leafIdx=one) for one in (1.0, "1.0", True, None, [])],
    ": inclusion[0].root": [inclusion(root=one) for one in ("0", "zz", "00 00", 7, "0x0")],
    ": inclusion[0].proof[1]": [inclusion(proof=[HASH, one]) for one in ("xyz", 1, None, "A")],
    ": inclusion[0].proof": [inclusion(proof=one) for one in (HASH, {}, 3)],
    ": consistency[1].size2": [{"consistency": [{**TWO, "proof": []}, SECOND]}],
    ": leaves[0]": [{"leaves": ["0"]}, {"leaves": [1]}],
    ": leaf_hashes": [{"leaves": ["00", "01"], "leaf_hashes": [HASH]}],
    ": roots_by_size": [{"leaves": [], "roots_by_size": [HASH, HASH]}],
    ": generated.inclusion[0].size": [generated([], 0, 1)],
    ": generated.inclusion[0].index": [generated(["00"], 1, 1)],
    ": generated": [{"generated": []}],
    ": notes[0].note_b64": [notes(note_b64=one) for one in ("*", "é", 1, "A")],
    ": notes[0].vkeys": [notes(vkeys="x")],
    ": notes[0].vkeys[0]": [notes(vkeys=[1]), notes(vkeys=["\ud800"])],
    ": notes[0].verified_by": [notes(verified_by=True)],
    ": parse_only": [{"parse_only": {}}, {"parse_only": 3}],
    ": tlog_proofs[0].entry": [{"tlog_proofs": [PROOF]}],
}
CASES = [(place, told) for place, several in MALFORMED.items() for told in several]


@pytest.mark.parametrize(("place", "told"), CASES)
def test_what_is_malformed_is_refused_with_its_place(tmp_path, place, told):
    """Never a crash, never a verdict: the file, the section, the vector, the member."""
    path = written(tmp_path, told)
    with pytest.raises(VectorsInvalid) as error:
        run_file(path)

    assert error.value.place == f"{path}{place}"
    assert error.value.message


@pytest.mark.parametrize(
    "content",
    [
        b"\xff",
        b"[" * 100_000,
        b'{"a":1,"a":2}',
        b'{"inclusion": [' + b"9" * 5000 + b"]}",
        b"",
        b'{"inclusion": NaN}',
    ],
)
def test_what_is_no_json_is_refused(tmp_path, content):
    """Bytes, depth, members that stand twice, endless numbers."""
    path = tmp_path / "v.json"
    path.write_bytes(content)
    with pytest.raises(VectorsInvalid) as error:
        run_file(path)
    assert error.value.place.startswith(str(path))


def test_random_changes_of_a_file_never_crash_it(tmp_path):
    """Each value of a small file replaced by each kind of another: a verdict, or an error."""
    told = {"leaves": ["00"], "leaf_hashes": [HASH], "roots_by_size": [HASH]}
    told |= {"inclusion": [{**ONE, "proof": [HASH]}], "consistency": [{**TWO, "proof": [HASH]}]}
    told |= {"generated": {"inclusion": [{"index": 0, "size": 1, "proof": []}]}}
    told |= {"notes": [{**NOTE, "verified_by": []}], "bad_vkeys": [{"vkey": "x"}]}
    told |= {"vkeys_expected_ids": [{"vkey": "x", "type": 1}], "parse_only": [{"line": "x"}]}
    told |= {"checkpoints": [{"valid": False, "text": "x", "size": 1}]}
    told |= {"tlog_proofs": [{"valid": False, "proof": "x", "entry": "00", "vkeys": []}]}
    others = [None, True, -1, 2**64, 1.5, "", "zz", "\u00e9", "\ud800", [], {}, [[]], {"x": {}}]

    def places(value, path=()):
        yield path
        if isinstance(value, dict | list):
            for at, inner in value.items() if isinstance(value, dict) else enumerate(value):
                yield from places(inner, (*path, at))

    ran = 0
    for where in [path for path in places(told) if path]:
        for other in others:
            changed = copy.deepcopy(told)
            inside = changed
            for step in where[:-1]:
                inside = inside[step]
            inside[where[-1]] = other
            with suppress(VectorsInvalid):
                run_file(written(tmp_path, changed))
            ran += 1
    assert ran > 400


def test_every_section_is_documented():
    """In the reference, with its name as it stands in a file."""
    text = (Path(__file__).parents[2] / "docs/reference/vectors.md").read_text()

    names = {name.rpartition(".")[2] for name in SECTIONS}
    assert [name for name in sorted(names) if f"`{name}`" not in text] == []

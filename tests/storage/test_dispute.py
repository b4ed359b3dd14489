"""A dispute bundle holds or does not, by steps 1 to 10a: what is signed cannot be made to fit."""

from __future__ import annotations

import io
import json
import random
import subprocess
import sys
import tarfile
from pathlib import Path
from shutil import copytree

import pytest
from statetape.engine import catalogue
from statetape.storage.note import SignerKey, sign_note
from statetape.storage.verifier import COSIGNER, Checkpoint, dispute, leaf_hash
from statetape.storage.verifier.dispute import Bundle

from ..engine.machines import COUNTER, LEASE, Clock, open_tape
from .bundles import (
    OTHER_WITNESS,
    START_S,
    WITNESS,
    changed,
    codes,
    cosigned,
    exported,
    log_key,
    members_of,
    sealed,
    small_tape,
    together,
    upto,
)

ROOT = Path(__file__).resolve().parents[2]
SECOND, LAST = "entries/000000000004.json", "entries/000000000009.json"


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    """A tape with a counter of four entries."""
    return small_tape(tmp_path_factory.mktemp("small") / "tape.db")


@pytest.fixture(scope="module")
def data(tape):
    """The bundle of that counter."""
    return exported(tape, alone=True).content


@pytest.fixture(scope="module")
def keys(tape):
    """The keys that the verifier's caller trusts."""
    return [log_key(tape)]


def test_an_unchanged_bundle_holds(data, keys):
    """The control of everything below: no problem, and what is proved is said with its limits."""
    found = Bundle(data, keys)

    assert found.problems == []
    assert [(row["name"], row["seq"], row["state"]) for row in found.rows.values()] == [
        ("test.counter/one", 4, "full")
    ]
    told = "\n".join(found.told())
    assert "entries 1 to 4, none missing between them" in told
    assert "not proved:\n  that nothing was left out" in told


def test_exporting_twice_gives_the_same_bytes(tape, data):
    """Nothing of the clock or of chance is in a bundle."""
    assert exported(tape, alone=True, now=1).content == data


def test_every_changed_byte_is_refused(data, keys):
    """Each byte with one bit turned, and some set to something else."""
    lots = random.Random(4)
    damaged = bytearray(data)
    passed = []
    for at, byte in enumerate(data):
        damaged[at] = byte ^ (1 << lots.randrange(8))
        passed += [at] if not Bundle(bytes(damaged), keys).problems else []
        if at % 40 == 0:
            damaged[at] = (byte + lots.randrange(1, 256)) % 256
            passed += [at] if not Bundle(bytes(damaged), keys).problems else []
        damaged[at] = byte

    assert passed == []
    assert not Bundle(bytes(damaged), keys).problems


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 1024, -1, -512, -1024])
def test_a_bundle_cut_or_lengthened_is_refused(data, keys, cut):
    """At any length but its own."""
    assert Bundle(data[:cut], keys).problems
    assert Bundle(data + bytes(abs(cut) or 1), keys).problems


def test_the_archive_is_what_tar_reads(data):
    """Any tar lists and unpacks it: names, sizes, contents."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        found = {one.name: tar.extractfile(one).read() for one in tar}

    assert found == members_of(data)


def test_names_that_lead_elsewhere_are_refused(data, keys):
    """Known names only: no path, no second member of a name, no other order."""
    members = members_of(data)
    for name in ("../keys.txt", "/keys.txt", "entries/../keys.txt", "keys.txt\n", "other"):
        found = Bundle(dispute.archive(members | {name: b""}), keys)
        assert (1, "archive-invalid") in codes(found)
    twice = data[:1024] + data
    assert (1, "archive-invalid") in codes(Bundle(twice, keys))


def test_another_key_signed_nothing_here(data):
    """The bundle's own list of keys is trusted by nobody."""
    stranger = SignerKey("tests/tape", bytes(32)).verifier

    assert codes(Bundle(data, [stranger])) == [(2, "checkpoint-not-signed")]
    assert codes(Bundle(data, [])) == [(2, "checkpoint-not-signed")]


def test_a_forged_entry_is_not_in_the_tree(data, keys):
    """Its states, digests and manifest are made to fit; its proof cannot be."""

    def more(members):
        members[SECOND] = members[SECOND].replace(b'{"by":2}', b'{"by":3}')

    assert codes(Bundle(changed(data, more), keys)) == [(5, "not-included")]


def test_a_forged_tree_is_not_signed(data, keys, tape):
    """A whole new tree over the forged entry: one entry, its root, its own checkpoint."""
    forger = SignerKey(keys[0].name, bytes(32))

    def retold(members):
        body = members["entries/000000000003.json"].replace(b'"pos":3', b'"pos":1')
        for name in [name for name in members if name[:6] in ("entrie", "proofs", "checkp")]:
            del members[name]
        note = sign_note(Checkpoint(forger.name, 1, leaf_hash(body)).text, forger).encode()
        members["checkpoints/000000000001.note"] = note
        members["entries/000000000001.json"] = body
        proof = b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + note
        members["proofs/000000000001.tlog-proof"] = proof

    forged = changed(data, retold)

    assert (2, "checkpoint-not-signed") in codes(Bundle(forged, keys))
    assert (2, "checkpoint-not-signed") not in codes(Bundle(forged, [forger.verifier]))


def test_swapped_entries_are_refused(data, keys):
    """Both are in the tree, but not there."""

    def swap(members):
        members[SECOND], members[LAST] = members[LAST], members[SECOND]

    found = codes(Bundle(changed(data, swap), keys))

    assert found.count((4, "entry-invalid")) == found.count((5, "not-included")) == 2


def test_an_entry_missing_in_the_middle_is_a_gap(data, keys):
    """Even where the states and the manifest know nothing of it."""

    def leave_out(members):
        del members[SECOND], members["proofs/000000000004.tlog-proof"]

    assert codes(Bundle(changed(data, leave_out), keys)) == [(8, "sequence-broken")]


def test_a_missing_creation_is_named(data, keys):
    """Without its beginning no instance can be told."""

    def leave_out(members):
        del members["entries/000000000003.json"], members["proofs/000000000003.tlog-proof"]

    assert (8, "sequence-broken") in codes(Bundle(changed(data, leave_out), keys))


def test_a_dropped_last_entry_is_said_not_to_be_excluded(data, keys):
    """It cannot be noticed: the report says so, and says where the history given ends."""

    def drop(members):
        del members[LAST], members["proofs/000000000009.tlog-proof"]

    found = Bundle(changed(data, drop), keys)

    assert found.problems == []
    told = "\n".join(found.told())
    assert "entries 1 to 3, none missing between them; at 7 open" in told
    assert "that no later entry of these instances exists" in told


def test_another_machine_is_refused(data, keys):
    """The text that people read is that of the entry, and this gives the digest recorded."""

    def another(members):
        members["spec/000000000002.yaml"] += b"# harmless\n"

    assert codes(Bundle(changed(data, another), keys)) == [(9, "machine-differs")]


def test_the_machines_digest_is_the_compilers():
    """Two ways to the same digest, of text alone and of text with functions."""
    channel = catalogue.machine("filecoin.payment_channel")

    for machine in (COUNTER, channel):
        told = dispute.machine_digest(machine.text, machine.functions_digest)
        assert told == machine.digest
    assert dispute.machine_digest(channel.text, "") != channel.digest


def test_a_wrong_claimed_state_is_named(data, keys):
    """With the line, what it says and what follows."""

    def claim(members):
        told = members["replay.json"].replace(b'"seq":3,"state":"open"', b'"seq":3,"state":"full"')
        members["replay.json"] = told

    found = Bundle(changed(data, claim, follow=False), keys)

    assert codes(found) == [(10, "states-differ")]
    assert '"state":"full"' in found.problems[0].message


def test_a_wrong_digest_of_a_folded_row_is_named(data, keys):
    """The fold is done again here."""

    def claim(members):
        told = json.loads(members["replay.json"])["instances"][0]["digest"].encode()
        members["replay.json"] = members["replay.json"].replace(told, b"0" * 64)

    assert codes(Bundle(changed(data, claim, follow=False), keys)) == [(10, "states-differ")]


def test_another_tool_version_is_noticed(data, keys):
    """Nothing that is told goes uncovered, not even who told it."""
    members = members_of(data)
    members["manifest.json"] = members["manifest.json"].replace(b'"statetape ', b'"statetapf ')

    assert codes(Bundle(dispute.archive(members), keys)) == [(1, "manifest-differs")]


def test_members_left_over_and_left_out_are_named(data, keys):
    """A bundle has exactly the members that its entries and checkpoints call for."""
    extra = {"spec/000000000008.yaml": b"", f"vouchers/{'0' * 64}.txt": b"aaaaaaaaaaaaaaaaaaaa\n"}
    found = Bundle(sealed(members_of(data) | extra), keys)
    assert codes(found) == [(1, "object-not-named"), (9, "machine-differs")]

    for name, code in (
        ("keys.txt", (1, "keys-invalid")),
        ("manifest.sha256", (1, "manifest-differs")),
        ("proofs/000000000004.tlog-proof", (5, "not-included")),
        ("replay.json", (10, "states-differ")),
        ("spec/000000000002.yaml", (9, "machine-differs")),
    ):
        members = members_of(data)
        del members[name]
        assert code in codes(Bundle(dispute.archive(members), keys)), name


def test_all_problems_are_listed(data):
    """Not only the first: each under its own step."""

    def worse(members):
        members["spec/000000000002.yaml"] += b"#"
        members[SECOND] = members[SECOND].replace(b"2", b"7", 1)
        del members["entries/000000000007.json"]

    found = Bundle(changed(data, worse, follow=False), [])

    assert {2, 5, 8, 9, 10} <= {problem.step for problem in found.problems}
    assert [p.step for p in found.problems] == sorted(p.step for p in found.problems)


# witnesses


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """A tape whose checkpoint of eight entries one witness saw, and that of nine another too."""
    path = small_tape(tmp_path_factory.mktemp("seen") / "tape.db")
    cosigned(path, 9, START_S + 60)
    cosigned(path, 9, START_S + 90, OTHER_WITNESS)
    return path


def test_witnesses_say_when_the_entries_existed(seen):
    """As many as were asked for, by the last of their times."""
    data, keys = exported(seen, alone=True).content, [log_key(seen)]
    both = [WITNESS.verifier, OTHER_WITNESS.verifier]

    one, two = Bundle(data, keys, both, 1), Bundle(data, keys, both, 2)

    assert one.problems == two.problems == []
    assert one.witnessed.time_s == START_S + 60
    assert two.witnessed.time_s == START_S + 90
    assert "existed before 2020-09-13T12:28:10Z" in "\n".join(two.told())


def test_too_few_witnesses_are_a_problem(seen):
    """Also where one is given twice, and where a log's key is given as a witness's."""
    data, keys = exported(seen, alone=True).content, [log_key(seen)]
    missing = [(3, "cosignatures-missing")]

    assert codes(Bundle(data, keys, [WITNESS.verifier], 2)) == missing
    assert codes(Bundle(data, keys, [WITNESS.verifier] * 2, 2)) == missing
    assert codes(Bundle(data, keys, [*keys], 1)) == missing


def test_an_older_checkpoint_that_was_cosigned_is_chained_to_the_newest(tmp_path):
    """It says when the first entries existed; the later ones nobody saw."""
    path = small_tape(tmp_path / "tape.db")
    exported(path)
    cosigned(path, 9, START_S + 60)
    with open_tape(path, Clock()) as engine:
        engine.create(LEASE, "third")
    data, keys = exported(path, "test.counter/one", "test.lease/third").content, [log_key(path)]
    chain = "consistency/000000000009-000000000010.txt"
    found = Bundle(data, keys, [WITNESS.verifier])

    assert found.problems == []
    assert [one.size for one in found.seen] == [9]
    assert codes(Bundle(data, keys, [WITNESS.verifier], 1)) == [(3, "cosignatures-missing")]

    def unchained(members):
        members[chain] = members[chain][:-5] + b"AAA=\n"

    def forgotten(members):
        del members[chain]

    for change in (unchained, forgotten):
        assert codes(Bundle(changed(data, change), keys)) == [(6, "not-consistent")]


def test_a_cosignature_that_does_not_hold_is_a_problem(seen):
    """A line of a witness that is trusted, over other bytes."""
    note = "checkpoints/000000000009.note"
    other = SignerKey(WITNESS.name, bytes(32), COSIGNER).verifier

    def forge(members):
        lines = members[note].decode().split("\n")
        at = next(i for i, line in enumerate(lines) if f" {WITNESS.name} " in line)
        lines[at] = lines[at][:-8] + "AAAA" + lines[at][-4:]
        old, new = members[note], "\n".join(lines).encode()
        for name in members:
            members[name] = members[name].replace(old, new)

    data, keys = exported(seen, alone=True).content, [log_key(seen)]
    found = Bundle(changed(data, forge), keys, [WITNESS.verifier])

    assert codes(found) == [(3, "cosignature-invalid")]
    assert Bundle(data, keys, [other]).seen == []


def test_a_witness_that_saw_before_it_was_recorded_contradicts_the_tape(tmp_path):
    """One of the two clocks is wrong, by more than clocks differ."""
    path = small_tape(tmp_path / "tape.db")
    exported(path)
    cosigned(path, 9, START_S - 301)
    data = exported(path, alone=True).content
    found = Bundle(data, [log_key(path)], [WITNESS.verifier], 1)

    assert codes(found) == [(3, "cosignature-times")]


# hostile input

DEEP = b'{"a":' * 5000 + b"1" + b"}" * 5000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"\xff",
        DEEP,
        b'{"at":1,"pos":4,"set":[]}',
        b'{"at":1,"instance":-3,"pos":4}',
        b'{"at":1,"instance":"3","pos":4}',
        b'{"at":1,"pos":-4}',
        b'{"at":1e999,"pos":4}',
        b'{"at":NaN,"pos":4}',
        b'{"at":1,"pos":' + b"9" * 5000 + b"}",
        b'{"at":1,"pos":4,"pos":4}',
        b'{"at":1,"create":"\\ud800","pos":4}',
        b'{"at":1,"pos":4,"spec":true,"tape":"spec"}',
        b" " * 70_000,
    ],
    ids=range(16),
)
def test_hostile_entries_are_problems(data, keys, body):
    """Whatever stands where an entry should: a problem in its place, and no crash."""
    members = members_of(data) | {SECOND: body}
    found = Bundle(sealed(members), keys)

    assert (4, "entry-invalid") in codes(found)


@pytest.mark.parametrize("name", ["replay.json", "keys.txt", "manifest.json", "manifest.sha256"])
@pytest.mark.parametrize("content", [b"", DEEP, b"\xff\xfe", b"-1", b"\x1b[2J" * 10])
def test_hostile_members_are_problems(data, keys, name, content):
    """Nor anywhere else; and nothing of it reaches a terminal as it is."""
    found = Bundle(dispute.archive(members_of(data) | {name: content}), keys)

    assert found.problems
    assert all(line.isprintable() for line in found.told())


def test_hostile_sizes_cost_nothing(data, keys):
    """A header that promises eight gigabytes, and one that promises less than nothing."""
    for size in (b"77777777777", b"-0000000001", b"00000000 01", b"0000000000z"):
        found = Bundle(data[:124] + size + data[135:], keys)
        assert (1, "archive-invalid") in codes(found)


def test_a_bundle_too_large_is_not_read(keys, monkeypatch):
    """Limits come first."""
    monkeypatch.setattr(dispute, "BUNDLE_BYTES_MAX", 1000)
    found = Bundle(b"x" * 1001, keys)

    assert codes(found)[0] == (1, "archive-invalid")
    assert found.members == {}


# alone


def alone(folder, *words):
    """Run the verifier's folder, copied to one with nothing else of ours."""
    if not (folder / "verifier").exists():
        copytree(ROOT / "storage" / "verifier", folder / "verifier")
    refusing = (
        "import runpy, socket, sys\n"
        "def refuse(*_, **__): raise OSError('no network')\n"
        "socket.socket = socket.create_connection = refuse\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "del sys.argv[1]\n"
        "try:\n    runpy.run_module('verifier', run_name='__main__')\n"
        "finally:\n    assert not [m for m in sys.modules if m.startswith('statetape')]\n"
    )
    command = [sys.executable, "-c", refusing, str(folder), *map(str, words)]
    return subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True)


def test_the_verifiers_folder_verifies_a_bundle_alone(tmp_path, data, keys):
    """With no other module of ours, no network, the bundle and a key; and refuse another key."""
    (tmp_path / "bundle").write_bytes(data)
    folder = tmp_path / "alone"
    folder.mkdir()
    key = keys[0].text
    stranger = SignerKey("tests/tape", bytes(32)).verifier.text

    good = alone(folder, tmp_path / "bundle", "--log-key", key)
    bad = alone(folder, tmp_path / "bundle", "--log-key", stranger)

    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.splitlines()[:-1] == Bundle(data, keys).told()
    assert "not checked here: steps 10b" in good.stdout
    assert bad.returncode == 1
    assert "checkpoint-not-signed" in bad.stdout


def test_exported_up_to_a_point_it_ends_there(tape, keys):
    """The entries beyond are left out, and that they may exist is said."""
    found = Bundle(exported(tape, alone=True, upto=upto(7)).content, keys)

    assert found.problems == []
    assert [row["seq"] for row in found.rows.values()] == [3]


def test_putting_together_changes_nothing_by_itself(data):
    """The control of the forgeries: taken apart and put together it is the same."""
    assert together(members_of(data)) == sealed(members_of(data)) == data

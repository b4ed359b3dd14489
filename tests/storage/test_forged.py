"""What a log's owner cannot have said of its own entries, although every signature is right."""

from __future__ import annotations

import json

import pytest
from statetape.storage.note import SignerKey
from statetape.storage.verifier import COSIGNER, dispute
from statetape.storage.verifier.dispute import Bundle

from .bundles import START_S, WITNESS, codes, small_tape
from .forging import LOG, bodies_of, body, forged

OPENED, SPEC, CREATED, ADDED = range(4)
KEYS = [LOG.verifier]


@pytest.fixture(scope="module")
def bodies(tmp_path_factory):
    """The entries to begin with: the tape's, a machine's, a creation, an addition."""
    return bodies_of(small_tape(tmp_path_factory.mktemp("forged") / "t.db"))[:4]


def said(bodies, *changed, shown=(2, 3), **options):
    """What is found of a log with these entries, of which it shows some."""
    return Bundle(forged([*bodies, *changed], shown, **options), KEYS)


def entry(bodies, which):
    return json.loads(bodies[which])


def test_a_log_may_show_its_entries(bodies):
    """The control: what is forged below is otherwise in order."""
    found = said(bodies, shown=(2, 3, 4))

    assert found.problems == []
    assert (
        "  test.counter/one: entries 1 to 2, none missing between them; at 4 open" in found.told()
    )


def test_a_bundle_of_nothing_proves_nothing(bodies):
    """No checkpoint, or no instance: there is nothing that the log could vouch for."""
    empty = {"keys.txt": b"", "replay.json": dispute.claims([], {})}
    unsigned = dispute.archive(empty | dispute.manifest(empty, {}, dispute.NOTHING, "statetape 0"))

    assert codes(Bundle(unsigned, KEYS)) == [(2, "checkpoint-not-signed")]
    assert codes(said(bodies, shown=())) == [(8, "sequence-broken")]


@pytest.mark.parametrize("kind", ["head", "hold", "collected", "opened", ""])
def test_an_entry_about_the_tape_creates_no_instance(bodies, kind):
    """It would be an instance that no machine has decided."""
    told = body(entry(bodies, CREATED), tape=kind, create="filecoin.payment_channel/f0100", pos=4)

    assert codes(said(bodies[:3], told, shown=(2, 3, 4))) == [(8, "sequence-broken")]


def test_an_instance_is_of_the_machine_that_its_name_says(bodies):
    """Else an order's machine decides what reads as a payment channel."""
    for name in ("filecoin.payment_channel/f0100", "test.count\u0435r/one"):
        told = body(entry(bodies, CREATED), create=name)
        assert (9, "machine-differs") in codes(said(bodies[:2], told))
    for name in ("test.counter", "test.counter/", "/one"):
        told = body(entry(bodies, CREATED), create=name)
        assert (8, "sequence-broken") in codes(said(bodies[:2], told))


def test_a_machine_that_nobody_has_is_not_there(bodies):
    """Neither the entry nor its text."""
    other = body(entry(bodies, SPEC), pos=4)

    assert codes(said(bodies[:3], other, shown=(2, 3, 4))) == [(9, "machine-differs")]


def test_what_was_refused_changed_nothing(bodies):
    """The state that is shown is one that an accepted entry led to."""
    for change in ({"to": "full"}, {"set": {"count": 5}}):
        told = {**entry(bodies, ADDED), "outcome": "rejected"}
        told.pop("set")
        found = said(bodies[:3], body({**told, **change}), shown=(2, 3, 4))
        assert codes(found) == [(8, "sequence-broken")]
        assert codes(said(bodies[:3], body(told), shown=(2, 3, 4))) == []


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1.5", "1e3"])
def test_no_entry_has_a_number_that_is_not_whole(bodies, number):
    """Python reads and writes them; entries never held any."""
    told = body(entry(bodies, CREATED), params={"limit": 0})
    told = told.replace(b'"limit":0', f'"limit":{number}'.encode())

    assert (4, "entry-invalid") in codes(said(bodies[:2], told))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("test.counter/\u043ene", r"'test.counter/\u043ene': entries"),
        ("test.counter/one\u3164", r"'test.counter/one\u3164': entries"),
        ("test.counter/one: entries 1 to 9", "'test.counter/one: entries 1 to 9': entries"),
        ("test.counter/\x1b[2J\u202e", r"'test.counter/\x1b[2J\u202e': entries"),
    ],
)
def test_a_name_looks_like_no_other(bodies, name, shown):
    """Nor like a sentence of ours, on any terminal."""
    found = said(bodies[:2], body(entry(bodies, CREATED), create=name))
    text = "\n".join(found.told())

    assert found.problems == []
    assert shown in text
    assert text.isascii()
    assert text.replace("\n", "").isprintable()


def test_a_log_is_no_witness_of_itself(bodies):
    """One key under two names vouches for no time; another's does (the control)."""
    own = SignerKey("tests/witness", LOG.seed, COSIGNER)
    for key, expected in ((own, [(3, "cosignatures-missing")]), (WITNESS, [])):
        data = forged(bodies, (2, 3, 4), witnesses=[(key, START_S)])
        found = Bundle(data, KEYS, [key.verifier], 1)
        assert codes(found) == expected
        assert (found.witnessed is None) == bool(expected)


def test_a_time_beyond_all_times_is_no_cosignature(bodies):
    """C2SP bounds it; a time that cannot be shown cannot be relied on."""
    for time_s, expected in ((2**63, [(3, "cosignature-invalid")]), (2**63 - 1, [])):
        data = forged(bodies, (2, 3, 4), witnesses=[(WITNESS, time_s)])
        assert codes(Bundle(data, KEYS, [WITNESS.verifier])) == expected


def test_two_witnesses_of_one_name_are_two(bodies):
    """Each has its own clock: that of one may be behind the other's."""
    twin = SignerKey(WITNESS.name, bytes(32), COSIGNER)
    data = forged(bodies, (2, 3, 4), witnesses=[(WITNESS, START_S + 9), (twin, START_S)])

    assert codes(Bundle(data, KEYS, [WITNESS.verifier, twin.verifier], 2)) == []


@pytest.mark.parametrize(
    ("words", "status"),
    [((), 0), (("--threshold", "0"), 0), (("--threshold", "2"), 2), (("--threshold", "-1"), 2)],
)
def test_a_witness_that_is_given_twice_is_one(bodies, tmp_path, monkeypatch, capsys, words, status):
    """All witnesses given are one; and more than there are can never have signed: that is usage."""
    path = tmp_path / "bundle"
    path.write_bytes(forged(bodies, (2, 3, 4), witnesses=[(WITNESS, START_S)]))
    given = ["--log-key", LOG.verifier.text, *(["--witness-key", WITNESS.verifier.text] * 2)]
    monkeypatch.setattr("sys.argv", ["verifier", str(path), *given, *words])

    assert dispute.main() == status
    assert ("proved:" in capsys.readouterr().out) == (status == 0)


def test_members_that_cost_more_than_their_bytes_are_few(bodies):
    """Signatures to verify and machines to load: refused before any is looked at."""
    for folder, most in dispute.FOLDERS.items():
        suffix = {"checkpoints/": "note", "spec/": "yaml"}[folder]
        members = {f"{folder}{at:012}.{suffix}": b"" for at in range(most + 1)}
        [problem] = [p for p in Bundle(dispute.archive(members), KEYS).problems if p.step == 1][:1]
        assert (problem.code, f"more than {most}" in problem.message) == ("archive-invalid", True)

"""The keystore: what is stored comes back for its passphrase alone; hostile files do no harm."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import tracemalloc

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from statetape.fsm.errors import StatetapeError
from statetape.storage import keystore
from statetape.storage.files import Lock
from statetape.storage.keystore import (
    NEW_WORK,
    KeyNameInvalid,
    KeyNameTaken,
    Keystore,
    KeystoreBusy,
    KeystoreDamaged,
    KeystoreExposed,
    KeystoreFull,
    KeystoreMissing,
    KeystoreTooNew,
    KeyUnknown,
    NewKey,
    NotAKeystore,
    PassphraseWrong,
    Work,
)

CHEAP = Work(n=2, r=1, p=1)
SECRET = hashlib.sha256(b"the secret of these tests").digest()
OTHER = hashlib.sha256(b"another secret").digest()
PAYER = NewKey("payer", "secp256k1", "f1fib3pv7jua2ockdugtz7viz3cyy6lkhh7rfx3sa", SECRET)
LOG = NewKey("log", "ed25519", "log+00000000+AQ==", OTHER)
RIGHT, WRONG = b"correct horse", b"battery staple"


def counting():
    """Return randomness that is the same every time: a test may know it."""
    numbers = iter(range(1, 100))
    return lambda size: bytes([next(numbers)]) * size


@pytest.fixture
def path(tmp_path):
    """A keystore with a key of each kind."""
    store = Keystore(tmp_path / "wallet")
    entropy = counting()
    for key in (PAYER, LOG):
        store.add(key, RIGHT, entropy, CHEAP)
    return tmp_path / "wallet"


def document(path):
    """Return what the file says."""
    return json.loads(path.read_bytes())


def write(path, held, *, honest=True):
    """Write a keystore by hand; with `honest`, with the checksums that belong to it."""
    for record in held["keys"] if honest else ():
        blank = json.dumps({**record, "sha256": ""}, sort_keys=True, separators=(",", ":"))
        record["sha256"] = hashlib.sha256(blank.encode()).hexdigest()
    text = json.dumps(held, sort_keys=True, separators=(",", ":"))
    path.write_text(text + "\n")


# what is kept


def test_a_secret_comes_back_for_its_passphrase(path):
    """After the file was closed and is read by another; names come in order."""
    store = Keystore(path)

    assert store.unlock("payer", RIGHT) == SECRET
    assert store.unlock("log", RIGHT) == OTHER
    assert [(one.name, one.kind, one.public) for one in store.records()] == [
        ("log", "ed25519", LOG.public),
        ("payer", "secp256k1", PAYER.public),
    ]


def test_a_new_key_costs_an_attacker_128_mib_for_each_guess(tmp_path):
    """The parameters are stored, and those of old keys stay as they are."""
    store = Keystore(tmp_path / "wallet")
    made = store.add(PAYER, RIGHT, os.urandom)

    assert made.work == NEW_WORK == Work(n=2**17, r=8, p=1)
    assert document(tmp_path / "wallet")["keys"][0]["work"] == {"n": 131072, "r": 8, "p": 1}
    assert store.unlock("payer", RIGHT) == SECRET


def test_the_file_is_what_its_description_says(path):
    """Opened here with nothing but the standard library's scrypt and AES-GCM."""
    held = document(path)
    [record] = [one for one in held["keys"] if one["name"] == "payer"]
    salt, nonce, check, encrypted = (
        base64.b64decode(record[name]) for name in ("salt", "nonce", "check", "encrypted")
    )
    made = hashlib.scrypt(RIGHT, salt=salt, n=2, r=1, p=1, dklen=64)
    associated = json.dumps(
        ["statetape-keystore", 1, "payer", "secp256k1", PAYER.public], separators=(",", ":")
    )

    assert (held["format"], held["version"]) == ("statetape-keystore", 1)
    assert (salt, nonce, check) == (b"\x01" * 16, b"\x02" * 12, made[32:])
    assert AESGCM(made[:32]).decrypt(nonce, encrypted, associated.encode()) == SECRET


def test_the_file_has_one_form(path):
    """Sorted, without spaces: so two readers never differ in what they read."""
    content = path.read_bytes()
    held = document(path)
    write(path, held)

    assert path.read_bytes() == content
    for other in (json.dumps(held).encode() + b"\n", content[:-1], content + b"\n"):
        path.write_bytes(other)
        with pytest.raises(KeystoreDamaged):
            Keystore(path).records()


def test_each_key_has_salt_and_nonce_of_its_own(tmp_path):
    """Two keys with one secret and one passphrase have nothing in common."""
    store = Keystore(tmp_path / "wallet")
    one = store.add(PAYER, RIGHT, os.urandom, CHEAP)
    other = store.add(NewKey("again", *_rest()), RIGHT, os.urandom, CHEAP)

    assert len({one.salt, other.salt}) == len({one.nonce, other.nonce}) == 2
    assert len({one.check, other.check}) == len({one.encrypted, other.encrypted}) == 2


def test_the_secret_is_nowhere_in_the_file_or_beside_it(path):
    """In no form; nor in what its objects show of themselves. The control: it is in the export."""
    forms = (SECRET, SECRET.hex().encode(), base64.b64encode(SECRET), RIGHT)
    left = b"".join(one.read_bytes() for one in path.parent.iterdir())
    shown = f"{PAYER!r} {Keystore(path).records()!r} {Keystore(path).__dict__!r}"

    assert not [form for form in forms if form in left or form in shown.encode()]
    (path.parent / "exported").write_bytes(SECRET.hex().encode())
    assert forms[1] in b"".join(one.read_bytes() for one in path.parent.iterdir())


# what is refused


def test_a_wrong_passphrase_is_told_from_damage(path):
    """Also one that differs in its last letter alone."""
    for passphrase in (WRONG, RIGHT[:-1], b""):
        with pytest.raises(PassphraseWrong, match="does not open") as caught:
            Keystore(path).unlock("payer", passphrase)
        assert caught.value.place == f"{path}, key payer"


def test_every_changed_byte_is_noticed_without_a_passphrase(path):
    """So that nobody doubts their passphrase because of a bad disk."""
    content = path.read_bytes()
    for at in range(len(content)):
        for bit in (0x01, 0x20, 0x80):
            path.write_bytes(content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :])
            with pytest.raises((KeystoreDamaged, NotAKeystore, KeystoreTooNew)):
                Keystore(path).records()
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises((KeystoreDamaged, NotAKeystore)):
            Keystore(path).records()


def test_a_damaged_key_is_named(path):
    """Which one, so that a backup can be looked for."""
    held = document(path)
    held["keys"][1]["public"] = held["keys"][1]["public"].replace("f1", "f3")
    write(path, held, honest=False)

    with pytest.raises(KeystoreDamaged) as caught:
        Keystore(path).unlock("payer", RIGHT)
    assert caught.value.place == f"{path}, key payer"


@pytest.mark.parametrize("member", ["name", "kind", "public", "encrypted", "nonce"])
def test_what_was_tampered_with_does_not_open_though_the_checksums_fit(path, member):
    """Swapped between records, whose passphrase is one and the same. The control: unswapped."""
    held = document(path)
    write(path, held)
    assert Keystore(path).unlock("log", RIGHT) == OTHER

    first, second = held["keys"]
    first[member], second[member] = second[member], first[member]
    held["keys"].sort(key=lambda one: one["name"])
    write(path, held)
    for name in ("log", "payer"):
        with pytest.raises(KeystoreDamaged, match="tampered"):
            Keystore(path).unlock(name, RIGHT)


@pytest.mark.parametrize(
    "work",
    [
        {"n": 2**40, "r": 8, "p": 1},
        {"n": 2**19, "r": 8, "p": 1},
        {"n": 2**17, "r": 2**30, "p": 1},
        {"n": 2**17, "r": 8, "p": 2**30},
        {"n": 2**200, "r": 1, "p": 1},
        {"n": 3, "r": 1, "p": 1},
        {"n": 1, "r": 1, "p": 1},
        {"n": 0, "r": 1, "p": 1},
        {"n": -2, "r": 1, "p": 1},
        {"n": 2, "r": 0, "p": 1},
        {"n": 2, "r": 1, "p": -1},
    ],
)
def test_a_hostile_file_cannot_exhaust_memory_or_time(path, work):
    """Absurd parameters are refused as the file is read; nothing was derived."""
    held = document(path)
    held["keys"][1]["work"] = work
    write(path, held)
    tracemalloc.start()
    with pytest.raises(KeystoreDamaged):
        Keystore(path).unlock("payer", RIGHT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 4 << 20


def test_the_hardest_work_that_is_taken_is_twice_our_own(path):
    """The control: it is read, and would be done."""
    held = document(path)
    held["keys"][1]["work"] = {"n": 2**18, "r": 8, "p": 1}
    write(path, held)

    assert Keystore(path).record("payer").work.n == 2 * NEW_WORK.n


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"SQLite format 3\x00",
        SECRET.hex().encode(),
        b'{"Type":"secp256k1","PrivateKey":"AAAA"}',
        b"[" * 100_000,
        b'{"format":"statetape-keystore","version":1,"x":' + b"[" * 100_000,
        b'"\xff"',
        b"x" * (keystore.FILE_BYTES_MAX + 1),
    ],
)
def test_another_file_is_no_keystore_and_stays_as_it_is(tmp_path, content):
    """Neither read as one nor written over; and nothing of it is shown."""
    path = tmp_path / "wallet"
    path.write_bytes(content)
    path.chmod(0o600)
    for use in (
        Keystore(path).records,
        lambda: Keystore(path).add(PAYER, RIGHT, os.urandom, CHEAP),
    ):
        with pytest.raises(NotAKeystore) as caught:
            use()
        assert SECRET.hex() not in str(caught.value)

    assert path.read_bytes() == content


def test_a_pipe_or_a_folder_is_no_keystore(tmp_path):
    """And nobody waits for a pipe's other end."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir(mode=0o700)
    for name in ("pipe", "folder"):
        with pytest.raises(NotAKeystore):
            Keystore(tmp_path / name).records()


def test_a_newer_keystore_is_not_misread(path):
    """Whatever else is in it."""
    path.write_text('{"format":"statetape-keystore","keys":{"new":"form"},"version":2}\n')

    with pytest.raises(KeystoreTooNew, match="version is 2"):
        Keystore(path).records()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o777])
def test_a_keystore_that_others_may_read_is_refused(path, mode):
    """With a hint, not repaired, and not added to either. The control: it opens with 0600."""
    path.chmod(mode)
    content = path.read_bytes()
    for use in (
        lambda: Keystore(path).unlock("payer", RIGHT),
        lambda: Keystore(path).add(NewKey("x", *_rest()), RIGHT, os.urandom, CHEAP),
    ):
        with pytest.raises(KeystoreExposed) as caught:
            use()
        assert "chmod 600" in caught.value.hint

    assert (path.stat().st_mode & 0o777, path.read_bytes()) == (mode, content)
    path.chmod(0o600)
    assert Keystore(path).unlock("payer", RIGHT) == SECRET


def _rest():
    return PAYER.kind, PAYER.public, SECRET


def test_what_is_not_there_is_named(path, tmp_path):
    """A missing keystore, an unknown key; the keys that are there come as the hint."""
    with pytest.raises(KeystoreMissing):
        Keystore(tmp_path / "none").records()
    with pytest.raises(KeyUnknown) as caught:
        Keystore(path).unlock("payee", RIGHT)

    assert caught.value.hint == "keys: log, payer"
    assert not (tmp_path / "none").exists()


def test_a_key_is_never_replaced(path):
    """Nor is anything written."""
    content = path.read_bytes()
    with pytest.raises(KeyNameTaken):
        Keystore(path).add(PAYER, WRONG, os.urandom, CHEAP)

    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "a+b", "-a", "a\n", "é", "x" * 64, "PRIVATE+KEY+a+00000000+AQ=="]
)
def test_a_name_that_no_key_can_have_is_refused_unshown(path, name):
    """It may be a key that was put in the wrong place."""
    for use in (Keystore(path).refuse_taken, Keystore(path).record):
        with pytest.raises(KeyNameInvalid) as caught:
            use(name)
        assert not name.strip() or name not in str(caught.value)


def test_a_keystore_never_grows_beyond_what_it_can_read(tmp_path, monkeypatch):
    """The last key that fits is kept, the next refused."""
    monkeypatch.setattr(keystore, "KEYS_MAX", 2)
    store = Keystore(tmp_path / "wallet")
    for name in ("a", "b"):
        store.add(NewKey(name, *_rest()), RIGHT, os.urandom, CHEAP)
    with pytest.raises(KeystoreFull):
        store.add(NewKey("c", *_rest()), RIGHT, os.urandom, CHEAP)

    assert [one.name for one in store.records()] == ["a", "b"]


# how it is written


def test_the_file_is_its_owners_alone_from_the_first_byte(path):
    """Also where a temporary file was left that others may read, and whatever the umask."""
    left = path.with_name(path.name + ".new")
    left.write_text("left by a crash")
    left.chmod(0o644)
    before = os.umask(0)
    try:
        Keystore(path).add(NewKey("third", *_rest()), RIGHT, os.urandom, CHEAP)
    finally:
        os.umask(before)

    assert path.stat().st_mode & 0o777 == 0o600
    assert not left.exists()


def test_a_link_stays_a_link(path, tmp_path):
    """What it leads to is replaced, and locked."""
    (tmp_path / "link").symlink_to(path)
    Keystore(tmp_path / "link").add(NewKey("third", *_rest()), RIGHT, os.urandom, CHEAP)

    assert (tmp_path / "link").is_symlink()
    assert len(Keystore(path).records()) == 3
    assert not (tmp_path / "link.lock").exists()


ADDING = """
import os, sys
from statetape.storage.keystore import Keystore, NewKey, Work
path, who = sys.argv[1:]
print("ready", flush=True)
sys.stdin.readline()
for number in range(10):
    key = NewKey(f"{who}-{number}", "secp256k1", "f1", bytes(32))
    Keystore(path).add(key, b"x", os.urandom, Work(2, 1, 1))
"""


def test_processes_that_add_at_once_lose_no_key(path):
    """Three of them, ten keys each, released together."""
    adders = [
        subprocess.Popen(
            [sys.executable, "-c", ADDING, str(path), who],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for who in ("a", "b", "c")
    ]
    assert {adder.stdout.readline() for adder in adders} == {"ready\n"}
    for adder in adders:
        adder.stdin.write("\n")
        adder.stdin.flush()
    for adder in adders:
        adder.communicate(timeout=60)

    assert [adder.returncode for adder in adders] == [0, 0, 0]
    names = {one.name for one in Keystore(path).records()}
    assert names == {"log", "payer", *(f"{who}-{n}" for who in "abc" for n in range(10))}


def test_without_the_lock_a_key_would_be_lost(path, monkeypatch):
    """The control: the same with a lock that holds nobody off, and another just after reading."""

    class NoLock:
        def __init__(self, *_):
            pass

        def acquire(self):
            pass

        release = close = acquire

    monkeypatch.setattr(keystore, "Lock", NoLock)
    store = Keystore(path)
    read = Keystore._read
    seen = []

    def reads_and_is_overtaken(self):
        found = read(self)
        seen.append(found)
        if self is store and len(seen) == 2:
            Keystore(path).add(NewKey("between", *_rest()), RIGHT, os.urandom, CHEAP)
        return found

    monkeypatch.setattr(Keystore, "_read", reads_and_is_overtaken)
    store.add(NewKey("x", *_rest()), RIGHT, os.urandom, CHEAP)

    assert {one.name for one in read(store)} == {"log", "payer", "x"}


def test_who_waits_too_long_for_the_lock_is_told(path):
    """Nothing was stored; and it goes on when the other is done."""
    lock = Lock(path.with_name(path.name + ".lock"), 0)
    lock.acquire()
    with pytest.raises(KeystoreBusy):
        Keystore(path, timeout_s=0).add(NewKey("x", *_rest()), RIGHT, os.urandom, CHEAP)
    assert len(Keystore(path).records()) == 2
    lock.release()
    lock.close()

    Keystore(path, timeout_s=0).add(NewKey("x", *_rest()), RIGHT, os.urandom, CHEAP)
    assert len(Keystore(path).records()) == 3


def test_a_disk_that_refuses_leaves_the_keystore_as_it_was(path):
    """Here a folder stands where the temporary file should be."""
    content = path.read_bytes()
    path.with_name(path.name + ".new").mkdir()
    with pytest.raises(StatetapeError) as caught:
        Keystore(path).add(NewKey("x", *_rest()), RIGHT, os.urandom, CHEAP)

    assert caught.value.code == "store-failed"
    assert path.read_bytes() == content

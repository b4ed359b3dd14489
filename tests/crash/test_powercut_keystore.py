"""Power lost while a key is added: those before stay, and an acknowledged one is there."""

from __future__ import annotations

import os
import random

import pytest
from statetape.storage.keystore import Keystore, NewKey, Work

from tests.crash.powercut import Directories, missing, record_python

pytestmark = pytest.mark.skipif(missing() is not None, reason=missing() or "")

SEED = int(os.environ.get("POWERCUT_SEED", "1"))
ADD = """
    from statetape.storage.keystore import Keystore, NewKey, Work
    key = NewKey("new", "secp256k1", "f1new", b"the new secret")
    Keystore("wallet").add(key, b"x", os.urandom, Work(2, 1, 1))
    os.write(os.open("acks", os.O_WRONLY | os.O_CREAT), b"added\\n")
"""


WITHOUT_SYNC = """
    import statetape.storage.files
    statetape.storage.files.sync_directory = lambda path: None
"""
BEFORE, AFTER = ("old",), ("new", "old")


def seen(tmp_path, script, model):
    """Return which keys were there, and how many were acknowledged, in every image; all open."""
    live = tmp_path / "live"
    live.mkdir()
    old = NewKey("old", "secp256k1", "f1old", b"the old secret")
    Keystore(live / "wallet").add(old, b"x", os.urandom, Work(2, 1, 1))
    trace = record_python(script, live)
    found = set()
    for description, acks, materialise in trace.images(random.Random(SEED), directories=model):
        materialise(tmp_path / "image")
        path = tmp_path / "image" / "wallet"
        path.chmod(0o600)  # images have contents and names, no modes
        store = Keystore(path)
        names = tuple(one.name for one in store.records())
        secrets = [store.unlock(name, b"x") for name in names]
        found.add((names, len(acks)))
        assert secrets == [f"the {name} secret".encode() for name in names], description
    return found


@pytest.mark.parametrize("model", Directories)
def test_power_lost_while_a_key_is_added_loses_none(tmp_path, model):
    """At every moment, in every order that a disk may have written: the old keystore or the new."""
    assert seen(tmp_path, ADD, model) == {(BEFORE, 0), (AFTER, 0), (AFTER, 1)}


def test_without_the_last_sync_an_acknowledged_key_could_be_lost(tmp_path):
    """The control: the same where the directory is not synced."""
    assert (BEFORE, 1) in seen(tmp_path, WITHOUT_SYNC + ADD, Directories.STRICT)

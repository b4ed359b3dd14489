"""`bundle`: written, handed over, and checked by somebody with nothing but the file and keys."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from statetape.cli.whole_file import FileOfTape
from statetape.storage.verifier.dispute import archive

from ..storage.bundles import log_key, members_of, small_tape
from .handed_over import HOW_TO, how_to
from .inside import Inside

REFUSING = (
    "import socket, sys\n"
    "def refuse(*_, **__): raise OSError('no network')\n"
    "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
    "from statetape.cli.main import run\n"
    "run()\n"
)


@pytest.fixture(scope="module")
def handed(tmp_path_factory):
    """A folder with a bundle alone, and the key of the tape that is not there any more."""
    folder = tmp_path_factory.mktemp("handed")
    tape = small_tape(tmp_path_factory.mktemp("kept") / "tape.db")
    told = Inside(tape).json("bundle", "export", "one", "-o", str(folder / "it.bundle"))
    assert told["entries"] == 5
    assert told["instances"] == ["test.counter/one"]
    assert told["log_keys"] == [log_key(tape).text]
    assert told["bytes"] == (folder / "it.bundle").stat().st_size
    for file in tape.parent.iterdir():
        file.unlink()
    return folder, told["log_keys"][0]


def verify(folder, *words):
    """Run `bundle verify` in a process that can reach no network, where the bundle is."""
    env = {name: value for name, value in os.environ.items() if "STATETAPE" not in name}
    command = [sys.executable, "-c", REFUSING, "bundle", "verify", *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


def test_a_stranger_verifies_with_the_file_and_a_key(handed):
    """No tape, no network; and nothing is left behind beside the bundle."""
    folder, key = handed
    done = verify(folder, "it.bundle", "--log-key", key, "--json")
    told = json.loads(done.stdout)

    assert (done.returncode, done.stderr) == (0, "")
    assert told["valid"] is True
    assert told["decided_again"] == 1
    assert told["final"] == ["test.counter/one"]
    assert [one["seq"] for one in told["instances"]] == [4]
    assert len(told["not_proved"]) == 2
    assert os.listdir(folder) == ["it.bundle"]


def test_a_bundle_that_does_not_hold_exits_with_1(handed, tmp_path):
    """With each problem as step, code, place and words."""
    folder, key = handed
    members = members_of((folder / "it.bundle").read_bytes())
    members["replay.json"] = members["replay.json"].replace(b"full", b"open")
    (tmp_path / "bad").write_bytes(archive(members))
    done = verify(tmp_path, "bad", "--log-key", key)

    assert done.returncode == 1
    assert "step 1, manifest-differs: manifest.json" in done.stdout
    assert "step 10, states-differ: replay.json" in done.stdout
    assert done.stdout.endswith("refused: 3 problems\n")


@pytest.mark.parametrize("suffix", ["", ".anchor", ".key"])
def test_a_bundle_never_takes_the_place_of_the_tape(tmp_path, suffix):
    """Nor of what belongs to it, by another name either; what a link leads to is written."""
    tape = small_tape(tmp_path / "one.db")
    own = tape.with_name(f"one.db{suffix}")
    link, far = tmp_path / "link", tmp_path / "far.bundle"
    link.symlink_to(own)
    before = own.read_bytes()
    for name in (own, link):
        with pytest.raises(FileOfTape):
            Inside(tape)("bundle", "export", "one", "-o", str(name))
    assert own.read_bytes() == before

    link.unlink()
    link.symlink_to(far)
    Inside(tape)("bundle", "export", "one", "-o", str(link))
    assert link.is_symlink()
    assert far.stat().st_size > 1024


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--log-key", "nonsense"), "verifier-key-invalid"),
        ((), "usage"),
        (("--threshold", "2"), "usage"),
        (("--peer-key", "f0100"), "peer-key-invalid"),
    ],
)
def test_wrong_words_are_usage(handed, words, code):
    """And no finding about the bundle."""
    folder, key = handed
    words = ("--log-key", key, *words) if words and words[0] != "--log-key" else words
    done = verify(folder, "it.bundle", *words, "--json")

    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == code


def test_the_how_to_shows_what_the_commands_print(tmp_path):
    """Each command of it, played on the tape that it speaks of."""
    assert how_to(tmp_path) == HOW_TO.read_text()

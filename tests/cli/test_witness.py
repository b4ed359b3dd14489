"""`witness` and `cosign`: two ends of a channel keep each other honest, from the command line."""

from __future__ import annotations

import io
import json
import shutil
import signal
import stat
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest
import typer
from statetape.cli.main import register
from statetape.cli.output import UsageInvalid
from statetape.cli.whole_file import FileOfTape
from statetape.engine.cosigning import WitnessAnswerInvalid, WitnessContradicts, WitnessRefused
from statetape.storage.verifier import open_note, parse_verifier_key
from statetape.storage.witness import WitnessExists, WitnessMissing

COMMAND = typer.main.get_command(register())


def run(*words: str) -> tuple[int, str]:
    """Run a command within this process; returns its exit code and what it printed."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    quiet = redirect_stderr(io.StringIO())
    with redirect_stdout(printed), quiet, COMMAND.make_context("statetape", list(words)) as context:
        status = COMMAND.invoke(context)
    return status, printed.buffer.getvalue().decode()


class Party:
    """One end of a channel: its tape, and its witness for the other's."""

    def __init__(self, folder) -> None:
        folder.mkdir()
        self.folder = folder
        self.tape = folder / "tape.db"
        self.observe(100)
        self.key = self.on_tape("checkpoint", "key")
        self.witness_key = self.witness("new", "--name", f"{folder.name}.example/witness")[1]

    def on_tape(self, *words: str) -> str:
        """Run a command on the tape; it ends well."""
        status, out = run(*words, "--tape", str(self.tape))
        assert status == 0
        return out.strip()

    def observe(self, height: int) -> None:
        """Store an entry."""
        self.on_tape("head", "filecoin", str(height))

    def files(self) -> list[str]:
        """The options that say where the witness is."""
        return ["--state", str(self.folder / "w.db"), "--key-file", str(self.folder / "w.key")]

    def witness(self, *words: str) -> tuple[int, str]:
        """Run a command of the witness."""
        status, out = run("witness", *words, *self.files())
        return status, out.strip()

    @contextmanager
    def serving(self, *logs: str):
        """Serve as a process of its own; gives the address."""
        words = ["witness", "serve", "--json", *self.files()]
        words += [word for log in logs for word in ("--log", log)]
        command = [sys.executable, "-m", "statetape.cli.main", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as server:
            try:
                yield json.loads(server.stdout.readline())["url"]
            finally:
                server.send_signal(signal.SIGTERM)
                assert server.wait(20) == 0

    def cosign(self, *words: str) -> dict:
        """Have the tape cosigned."""
        return json.loads(self.on_tape("cosign", *words, "--json"))


@pytest.fixture
def payer(tmp_path):
    """The payer's side."""
    return Party(tmp_path / "payer")


@pytest.fixture
def payee(tmp_path):
    """The payee's side."""
    return Party(tmp_path / "payee")


def test_two_tapes_witness_each_other(payer, payee):
    """Both served by processes of their own, and both signed as they grow, also after a restart."""
    for height in (200, 300):
        with payer.serving(payee.key) as at_payer, payee.serving(payer.key) as at_payee:
            for tape, url, other in ((payer, at_payee, payee), (payee, at_payer, payer)):
                tape.observe(height)
                found = tape.cosign(url, "--witness-key", other.witness_key)
                assert found["new"]

    for tape, other in ((payer, payee), (payee, payer)):
        note = tape.on_tape("checkpoint", "--no-sign").encode() + b"\n"
        keys = [parse_verifier_key(tape.key), parse_verifier_key(other.witness_key)]
        assert len(open_note(note, keys).signed) == 2
        assert tape.on_tape("verify").startswith("4 entries, sound")
        _, shown = other.witness("show", "--json")
        assert [one["size"] for one in json.loads(shown)["seen"]] == [4]


def test_a_tape_put_back_and_grown_otherwise_is_noticed(payer, payee):
    """By the witness's next process; the tape itself verifies. An honest one goes on."""
    with payee.serving(payer.key) as url:
        ask = [url, "--witness-key", payee.witness_key]
        payer.cosign(*ask)
        shutil.copytree(payer.folder, payer.folder.with_name("copy"))
        payer.observe(200)
        assert payer.cosign(*ask)["size"] == 3
        shutil.copytree(payer.folder, payer.folder.with_name("honest"))
    shutil.rmtree(payer.folder)
    payer.folder.with_name("copy").rename(payer.folder)
    payer.observe(201)
    payer.observe(202)
    assert payer.on_tape("verify").startswith("4 entries, sound")

    with payee.serving() as url:
        with pytest.raises(WitnessContradicts):
            payer.cosign(url, *ask[1:])
        payer.tape = payer.folder.with_name("honest") / "tape.db"
        payer.observe(203)
        assert payer.cosign(url, *ask[1:])["new"]


def test_an_exchange_by_files(payer, payee, tmp_path):
    """Request, signature, added; where the witness is elsewhere it says where, and exits with 1."""
    request, answer = tmp_path / "request", tmp_path / "answer"
    key = ["--witness-key", payee.witness_key]
    for old in (0, 2):
        told = payer.cosign("--request", "-o", str(request), *key)
        assert (told["old"], told["size"]) == (old, 3 if old else 2)
        status, line = payee.witness("sign", str(request), "--log", payer.key)
        answer.write_text(f"{line}\n")
        assert status == 0
        assert payer.cosign("--add", str(answer), *key)["new"]
        payer.observe(200 + old)

    without_key = payer.on_tape("cosign", "--request")
    assert without_key.startswith("old 0\n")
    request.write_text(without_key + "\n")
    assert payee.witness("sign", str(request)) == (1, "3")
    payer.on_tape("cosign", "--request", "--old", "3", "-o", str(request))
    assert payee.witness("sign", str(request))[0] == 0


def test_a_request_that_is_refused_exits_with_1(payer, payee, tmp_path):
    """The reason is told: an unknown log; once it is known, it is signed."""
    request = tmp_path / "request"
    payer.on_tape("cosign", "--request", "-o", str(request))

    status, said = payee.witness("sign", str(request), "--json")
    assert (status, json.loads(said)["status"]) == (1, 404)
    assert payee.witness("sign", str(request), "--log", payer.key)[0] == 0


def test_a_cosignature_by_another_key_is_not_stored(payer, payee):
    """What the witness answers has to be by the witness that was asked for."""
    with payee.serving(payer.key) as url:
        with pytest.raises(WitnessAnswerInvalid, match="no line is by this witness's key"):
            payer.cosign(url, "--witness-key", payer.witness_key)
        assert payer.on_tape("checkpoint", "--no-sign").count("\n\u2014 ") == 1
        assert payer.cosign(url, "--witness-key", payee.witness_key)["new"]


def test_a_witness_that_was_not_told_of_the_tape_refuses(payer, payee):
    """With what to do about it."""
    with payee.serving(payee.key) as url, pytest.raises(WitnessRefused) as raised:
        payer.cosign(url, "--witness-key", payee.witness_key)

    assert "checkpoint key" in raised.value.hint


def test_a_new_witness_has_a_private_key_that_shows_nowhere(payee, tmp_path):
    """Mode 0600; no command prints it; neither file is made again."""
    key = payee.folder / "w.key"
    secret = key.read_text().strip().rpartition("+")[2]

    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert secret not in "".join(payee.witness("show", "--json")[1])
    assert secret not in payee.witness_key
    with pytest.raises(WitnessExists):
        payee.witness("new", "--name", "again")
    assert key.read_text().strip().endswith(secret)
    with pytest.raises(WitnessMissing):
        run("witness", "show", "--state", str(tmp_path / "none"), "--key-file", str(key))


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["http://127.0.0.1:1"],
        ["--add", "x"],
        ["http://127.0.0.1:1", "--request"],
        ["http://127.0.0.1:1", "--old", "1", "--witness-key", "KEY"],
        ["--request", "--json"],
    ],
    ids=" ".join,
)
def test_what_cosign_needs_is_said_before_anything_is_done(payer, payee, words):
    """Two ways at once, none, or no key: a usage error, before the tape is opened."""
    given = [payee.witness_key if word == "KEY" else word for word in words]

    with pytest.raises(UsageInvalid):
        run("cosign", *given, "--tape", str(payer.folder / "no such tape"))


def test_a_request_is_not_written_over_the_tape(payer):
    """Nor over its key."""
    for name in ("tape.db", "tape.db.key"):
        before = (payer.folder / name).read_bytes()
        with pytest.raises(FileOfTape):
            run("cosign", "--request", "-o", str(payer.folder / name), "--tape", str(payer.tape))
        assert (payer.folder / name).read_bytes() == before

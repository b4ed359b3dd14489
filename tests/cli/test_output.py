"""Where the output cannot go: full, closed, unread, or in an encoding that lacks the letters."""

from __future__ import annotations

import json

import pytest

COMMANDS = ("list", "show 4711 --json", "export", "verify", "spec diagram order.yaml", "--help")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("where", "why"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")]
)
def test_output_that_cannot_be_written_is_an_error_of_its_own(sh, command, where, why):
    """Exit 74, named, and never called a bug."""
    sh.order()
    ended = sh.script(f"statetape {command} {where}")

    assert ended.status == 74
    assert ended.err == f"error: standard output: cannot be written: {why} [output-failed]\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_closed_pipe_is_no_error(sh, command):
    """Whoever closed it has read enough: quietly done."""
    sh.order()
    ended = sh.script(unread(command))

    assert (ended.status, ended.err) == (0, "")


def unread(command):
    """Return a script that runs a command whose output is a pipe that nobody reads."""
    return (
        f"mkfifo pipe; exec 3<>pipe 4>pipe; exec 3<&-\nstatetape {command} >&4; ended=$?\n"
        "exec 4>&-; rm pipe; exit $ended"
    )


@pytest.mark.parametrize("flags", ["", "--json"])
def test_a_closed_pipe_does_not_hide_how_a_command_ended(sh, flags):
    """A refused command, a missing tape and damage keep their exit codes; nothing is traced."""
    sh.order()
    missing = sh.script(unread(f"list --tape nope.db {flags}"))
    refused = sh.script(unread(f"send shop.order/nobody pay amount=1 {flags}"))

    assert (missing.status, "Traceback" in missing.err) == (2, False)
    assert (refused.status, refused.err) == (1, "")


def test_a_reader_that_has_read_enough_ends_an_export(sh):
    """`export | head -1` gives its line, of a history longer than a pipe."""
    sh.order()
    for number in range(4):
        sh("send", "shop.order/nobody", "pay", f"any={number}{'x' * 50_000}")
    ended = sh.script("set -o pipefail; statetape export | head -1")

    assert (ended.status, ended.err) == (0, "")
    assert json.loads(ended.out)["pos"] == 1


def test_a_command_that_was_done_says_so_though_its_output_failed(sh):
    """It is on the tape; the same without a command that was done does not say so."""
    sh.order()
    done = sh.script("statetape send 4711 pay amount=2 >/dev/full")
    undone = sh.script("statetape send 4712 pay amount=2 --json >/dev/full")

    assert (done.status, undone.status) == (74, 74)
    assert "the command was done, and what it recorded is durable" in done.err
    assert "a bug" not in done.err
    assert sh("show", "4711", "--json").json["state"] == "paid"
    assert "was done" not in undone.err


def test_an_error_as_json_that_cannot_be_written_is_told_on_standard_error(sh):
    """Both are said: what went wrong, and that its output failed too."""
    ended = sh.script("statetape list --json >/dev/full")

    assert ended.status == 74
    assert "[tape-missing]" in ended.err
    assert "[output-failed]" in ended.err
    assert "Traceback" not in ended.err


def test_standard_error_may_be_closed(sh):
    """Then errors end with their exit code alone, and nothing goes into the tape's files."""
    sh.order()
    before = sh("export").out
    ended = sh.script("statetape show nobody 2>&- >&-")

    assert ended.status == 2
    assert sh("export").out == before
    assert sh("verify").status == 0


def test_letters_that_an_encoding_lacks_are_escaped(sh):
    """Text with a backslash, JSON with its own escapes; where it has them, as they are."""
    sh.order("ünï")
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}

    assert "shop.order/\\xfcn\\xef" in sh("list", **plain).out
    assert sh("list", "--json", **plain).json[0]["instance"] == "shop.order/ünï"
    assert "shop.order/ünï" in sh("list", PYTHONUTF8="1").out


USAGE = ("show --json", "nope --json", "head filecoin abc --json", "import events no.jsonl --json")


@pytest.mark.parametrize("command", [*USAGE, "export --json", "head filecoin -1 --json"])
def test_errors_of_usage_are_json_too(sh, command):
    """One object of the documented shape, nothing on standard error."""
    ended = sh(*command.split())

    assert (ended.status, ended.err) == (2, "")
    error = ended.json["error"]
    assert error["code"] == "usage"
    assert error.keys() == {"code", "message", "hint"}


def test_errors_of_usage_are_text_without_json(sh):
    """Also where `--json` is a value after a lone `--`."""
    sh.order()
    for words in (["show"], ["show", "--", "--json"]):
        ended = sh(*words)
        assert (ended.status, ended.out) == (2, "")
    assert "--json" in ended.err


def test_a_bug_is_json_too(sh):
    """Exit 70 and the code of its own. A broken installation stands for what nobody foresaw."""
    sh.order()
    (sh.folder / "yaml.py").write_text("raise ArithmeticError('broken')\n")
    (sh.folder / "msgspec.py").write_text("raise ArithmeticError('broken')\n")
    said = sh("list", "--json", PYTHONPATH=str(sh.folder))
    told = sh("list", PYTHONPATH=str(sh.folder))

    assert (said.status, said.err) == (70, "")
    assert said.json["error"]["code"] == "bug"
    assert "ArithmeticError: broken" in said.json["error"]["message"]
    assert "STATETAPE_DEBUG" in said.json["error"]["hint"]
    assert (told.status, told.out) == (70, "")
    assert "a bug in statetape: ArithmeticError: broken [bug]" in told.err


@pytest.mark.parametrize("words", [["head", "filecoin", "-1"], ["new", "order.yaml", "-x"]])
def test_a_value_that_begins_with_a_dash_gets_a_hint(sh, words):
    """Which works; an option that is only misspelt gets none."""
    sh.order()

    assert "goes after a lone --" in sh(*words).err
    assert "goes after a lone --" not in sh("list", "--jsn").err
    assert sh("new", "--", "order.yaml", "-x", "price=1").status == 0


@pytest.mark.parametrize("command", ["show", "history", "explain", "replay", "send 4711"])
def test_an_argument_that_is_no_text_is_refused(sh, command):
    """By its number, exit 2; nothing is recorded."""
    sh.order()
    before = sh("export").out
    words = command.split()
    ended = sh(*words, b"\xff", PYTHONUTF8="1")

    assert ended.status == 2
    assert (
        f"argument {len(words) + 1}: b'\\xff' is not text in utf-8 [argument-invalid]" in ended.err
    )
    assert sh("export").out == before


def test_a_setting_that_is_no_text_is_refused(sh):
    """By its name; one of another program is nobody's business."""
    sh.order()
    wrong = sh.script("STATETAPE_ANCHOR=$'\\xff' statetape list")
    other = sh.script("SOMETHING=$'\\xff' statetape list")

    assert (wrong.status, "STATETAPE_ANCHOR: " in wrong.err) == (2, True)
    assert (other.status, other.err) == (0, "")


def test_a_parameter_nested_without_end_is_refused(sh):
    """Exit 2, the parameter named; a shallow one is taken."""
    sh.order()
    deep = sh("new", "order.yaml", "1", "price=1", f"any={'[' * 100_000}")

    assert deep.status == 2
    assert deep.err == "error: any: nested too deeply [parameter-invalid]\n"
    assert sh("new", "order.yaml", "1", "price=1", "any=[[[]]]").status == 0

"""Commands as users type them: what they print, what they record, how they end."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from statetape.specs.filecoin.demo import (
    ALPHA,
    ALPHA_PAYEE,
    ALPHA_PAYER,
    BETA_PAYER,
    V1,
    V2,
    V3,
)

MACHINE = "filecoin.payment_channel"


def channel(sh, *more):
    """Begin the first vector's channel at epoch 1."""
    sh("head", "filecoin", "1")
    return sh(
        "new",
        MACHINE,
        ALPHA,
        "id=f0102",
        f"from={ALPHA_PAYER}",
        f"to={ALPHA_PAYEE}",
        "value=10000 attofil",
        f"addresses.{ALPHA_PAYER}=f0100",
        f"addresses.{ALPHA_PAYEE}=f0101",
        *more,
    )


def test_a_channel_from_command_to_collected(sh):
    """Created, redeemed with a real signature, settled, collected; each command says so."""
    created = channel(sh)
    redeemed = sh("send", ALPHA, "update_channel_state", "caller=f0100", f"sv={V1}", "--json")
    settled = sh("send", ALPHA, "settle", f"caller={ALPHA_PAYEE}")
    head = sh("head", "filecoin", "1441")
    collected = sh("send", ALPHA, "collect", "caller=f0101", "--json")
    shown = sh("show", ALPHA, "--json").json

    assert (created.status, created.err) == (0, "")
    assert created.out == f"{MACHINE}/{ALPHA}  accepted: position 4, seq 1, open\n"
    assert redeemed.json["outcome"] == "accepted"
    assert "settling" in settled.out
    assert "fired settle_delay" in head.out
    assert [e["value"] for e in collected.json["effects"]] == ["10", "9990"]
    assert (shown["state"], shown["final"]) == ("collected", True)
    assert (shown["data"]["paid_to"], shown["data"]["paid_from"]) == ("10", "9990")
    assert sh("verify").status == sh("replay").status == 0


def test_a_refused_command_exits_with_1_and_says_why(sh):
    """The reason, what had to hold, and what was seen instead."""
    channel(sh)
    refused = sh("send", ALPHA, "collect", "caller=f0100")

    assert refused.status == 1
    assert "USR_FORBIDDEN: NOT_SETTLED (exit code 18)" in refused.out
    assert "needed: settling_at != 0 and height >= settling_at" in refused.out
    assert "saw: settling_at = 0" in refused.out


def test_a_forged_signature_is_refused(sh):
    """The payer cannot redeem what somebody else signed: V3 is not the payee's."""
    channel(sh)
    refused = sh("send", ALPHA, "update_channel_state", "caller=f0100", f"sv={V3}", "--json")

    assert refused.status == 1
    assert (refused.json["reason"]["code"], refused.json["reason"]["reason"]) == (
        16,
        "SIGNATURE_REJECTED",
    )


def test_amounts_and_addresses_as_people_write_them(sh):
    """1.5 FIL, 10 attofil, a testnet address; whole numbers are attofil."""
    sh("head", "filecoin", "1")
    sh("new", MACHINE, "f0100", "id=t0100", "from=f0101", "to=f0102", "value=1.5 FIL")
    for amount in ("value=10 attofil", "value=7", "value=2 nanofil"):
        assert sh("send", "f0100", "send", amount).status == 0
    shown = sh("show", "f0100", "--json").json

    assert shown["data"]["balance"] == str(1_500_000_000_000_000_000 + 17 + 2_000_000_000)
    assert shown["data"]["id"] == "f0100"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["value=1.5"], "say the unit"),
        (["value=1.5 GBP"], "units are"),
        (["value=0.0000000000000000001 FIL"], "finer than one attofil"),
        (["value"], "not NAME=VALUE"),
        (["nosuch=1"], "takes no 'nosuch'"),
        (["value=1", "value=2"], "given twice"),
        (["id=f1abc"], "not address"),
        (["addresses=[]"], "not map"),
        (["addresses=x"], "written as JSON"),
        (["id.x=1"], "not a map"),
    ],
)
def test_parameters_that_cannot_be_read_are_usage_errors(sh, words, what):
    """Exit 2, the parameter named, nothing recorded."""
    ended = sh("new", MACHINE, "f0100", *words)

    assert ended.status == 2
    assert what in ended.err
    assert not sh.tape.exists()


def test_keys_make_repeating_safe(sh):
    """The second time nothing happens, and the first outcome is told again."""
    channel(sh, "--key", "open-it")
    again = channel(sh, "--key", "open-it")
    sh("send", ALPHA, "settle", "caller=f0100", "--key", "s")
    repeated = sh("send", ALPHA, "settle", "caller=f0100", "--key", "s")
    other = sh("send", ALPHA, "settle", "caller=f0101", "--key", "s")

    assert "duplicate: position 4" in again.out
    assert repeated.status == 0
    assert "nothing was appended" in repeated.out
    assert (other.status, "idempotency-conflict" in other.err) == (75, True)


def test_who_why_and_when_are_recorded(sh):
    """--by, --cause, --at and --height are on the tape."""
    channel(sh)
    options = ["--by", "ops", "--cause", "4", "--at", "2020-12-01T00:00:00Z", "--height", "7"]
    sh("send", ALPHA, "settle", "caller=f0100", *options)
    entry = sh("history", ALPHA, "--json").json[-1]

    assert (entry["by"], entry["cause"], entry["height"]) == ("ops", 4, 7)
    assert entry["at"] == 1_606_780_800_000_000
    assert entry["recorded"] > entry["at"]
    assert entry["set"]["settling_at"] == 1447


def test_looking_back(sh):
    """Show and list at a position, a time and a height."""
    channel(sh)
    sh("send", ALPHA, "send", "value=5 attofil")
    sh("head", "filecoin", "50")
    sh("send", ALPHA, "settle", "caller=f0100")
    first = sh("show", ALPHA, "--at", "4", "--json").json
    middle = sh("show", ALPHA, "--at", "height:49", "--json").json

    assert (first["data"]["balance"], middle["data"]["balance"]) == ("10000", "10005")
    assert middle["state"] == "open"
    assert sh("list", "--at", "height:49", "--json").json[0]["state"] == "open"
    assert sh("list", "--json").json[0]["state"] == "settling"
    assert "did not exist" in sh("show", ALPHA, "--at", "3").err


def test_history_and_explain_tell_the_story(sh):
    """Every entry with its refusals; what led here, and what is accepted now."""
    channel(sh)
    sh("send", ALPHA, "update_channel_state", "caller=f0100", f"sv={V2}")
    sh("send", ALPHA, "settle", "caller=f0100")
    sh("send", ALPHA, "settle", "caller=f0100")
    history, explained = sh("history", ALPHA).out, sh("explain", ALPHA).out

    assert "constructor  accepted   → open" in history
    assert "USR_ILLEGAL_STATE: ALREADY_SETTLING (exit code 20)" in history
    assert f"{MACHINE}/{ALPHA} is in settling since position 6, " in explained
    assert "refused since then (1)" in explained
    assert "timer settle_delay at height 1441, 1440 to go" in explained
    assert "accepts now\n  update_channel_state caller:address " in explained


def test_a_command_to_an_instance_that_is_not_there(sh):
    """By its full name it is recorded as refused; by a key alone it is a usage error."""
    channel(sh)
    full = sh("send", f"{MACHINE}/f0999", "settle", "caller=f0100")
    short = sh("send", ALPHA[:-1] + "x", "settle", "caller=f0100")

    assert (full.status, "unknown_instance" in full.out) == (1, True)
    assert short.status == 2
    assert "instance-unknown" in short.err
    assert "settle" in sh("history", f"{MACHINE}/f0999").out


def test_export_and_import(sh):
    """Byte for byte; twice adds nothing; an unknown format is named."""
    channel(sh)
    sh("export", "all.jsonl")
    copy = str(sh.folder / "copy.db")
    first = sh("import", "events", "all.jsonl", "--tape", copy)
    again = sh("import", "events", "all.jsonl", "--tape", copy, "--json")
    sh("export", "copy.jsonl", "--tape", copy)

    assert first.out == "4 entries read, 4 added\n"
    assert again.json == {"entries": 4, "added": 0}
    assert (sh.folder / "copy.jsonl").read_bytes() == (sh.folder / "all.jsonl").read_bytes()
    assert sh("export").out.encode() == (sh.folder / "all.jsonl").read_bytes()
    assert sh("import", "csv", "all.jsonl").status == 2
    assert sh("replay", "--tape", copy).status == 0


def test_verify_names_the_place_of_damage(sh):
    """A changed byte is a finding with its position, and exit 1."""
    channel(sh)
    raw = bytearray(sh.tape.read_bytes())
    at = raw.index(b"10000", raw.index(b'"create"'))
    raw[at] ^= 1
    sh.tape.write_bytes(raw)
    ended = sh("verify", "--json")

    assert ended.status == 1
    assert {"place": "entry 4", "message": "the stored bytes changed"} in ended.json["findings"]


def test_recover_says_what_it_did(sh):
    """Also when there is nothing to do."""
    channel(sh)
    ended = sh("recover")

    assert ended.status == 0
    assert "in flight: nothing" in ended.out
    assert sh("recover", "--json").json["entries"] == 4


def test_a_tape_that_is_not_there(sh):
    """Looking never creates a tape; the hint says what does."""
    for words in (["list"], ["verify"], ["replay"], ["recover"], ["export"], ["send", "a", "b"]):
        ended = sh(*words)
        assert (ended.status, "tape-missing" in ended.err) == (2, True), words
    assert list(sh.folder.iterdir()) == []


def test_errors_as_json(sh):
    """--json gives errors a form for programs too."""
    ended = sh("list", "--json")

    assert (ended.status, ended.json["error"]["code"]) == (2, "tape-missing")
    assert {"message", "place", "hint"} <= ended.json["error"].keys()


def test_usage_errors_have_their_own_exit_code(sh):
    """2 for usage, 74 for a tape that is a folder."""
    assert sh("nosuch").status == 2
    assert sh("send").status == 2
    sh.tape.mkdir()
    assert sh("list").status == sh("head", "filecoin", "1").status == 74


def test_vouchers(sh):
    """Decoded, verified against the right and a wrong key, created and verified again."""
    decoded = sh("voucher", "decode", V1, "--json").json
    good = sh("voucher", "verify", V1, "--signer", ALPHA_PAYEE)
    bad = sh("voucher", "verify", V1, "--signer", ALPHA_PAYER)
    (sh.folder / "secret").write_text("01" * 32)
    made = sh(
        *["voucher", "create", ALPHA, "1.5 FIL", "--secret-key", "secret"],
        *["--lane", "3", "--nonce", "7", "--min-settle-height", "2000"],
    )
    again = sh("voucher", "decode", "-", "--json", stdin=made.out).json

    assert (decoded["Lane"], decoded["Amount"], decoded["Signer"]) == (123, "10", ALPHA_PAYEE)
    assert (good.status, bad.status) == (0, 1)
    assert ALPHA_PAYEE in bad.out
    assert (again["Lane"], again["Nonce"], again["Amount"]) == (3, 7, "1500000000000000000")
    assert again["Signer"] == "f1ksu3ktw4xhyaoltwr546b3epfs5wxxqfyyxipwi"
    assert sh("voucher", "verify", made.out.strip(), "--signer", again["Signer"]).status == 0


def test_a_secret_key_never_shows(sh):
    """Not in an error, not in the output, not on a tape."""
    secret = "deadbeef" * 8
    (sh.folder / "secret").write_text(secret + "00")
    wrong = sh("voucher", "create", ALPHA, "1 FIL", "--secret-key", "secret")
    (sh.folder / "secret").write_text(secret)
    right = sh("voucher", "create", ALPHA, "1 FIL", "--secret-key", "secret", "--json")

    assert wrong.status == 2
    for ended in (wrong, right):
        assert secret not in ended.out + ended.err


@pytest.mark.parametrize("text", ["", "x", V1 + "=", V1[:-1], "8b00", V1.replace("u", "+")])
def test_what_is_no_voucher_is_refused(sh, text):
    """By name, with its place; never a traceback."""
    ended = sh("voucher", "decode", text)

    assert ended.status in (1, 2)
    assert "voucher-invalid" in ended.err or "Usage" in ended.err


def test_machines(sh):
    """Listed, shown, checked, drawn; a wrong file gives file, line and column."""
    (sh.folder / "bad.yaml").write_text("machine: a.b\nversion: 1\ntitle: x\nstates: {s: {}}\n")
    (sh.folder / "own.yaml").write_text(
        "machine: my.light\nversion: 1\ntitle: Light\nstates:\n  off: {initial: true}\n"
        "  on: {final: true}\nevents:\n  press:\n    go: [{from: off, to: on}]\n"
    )
    wrong = sh("spec", "check", "bad.yaml")

    assert MACHINE in sh("spec", "list").out
    assert MACHINE in [one["machine"] for one in sh("spec", "list", "--json").json]
    assert "SETTLE_DELAY: 1440" in sh("spec", "show", MACHINE, "--text").out
    assert sh("spec", "check", MACHINE).out == "1 checked, 0 errors, 0 warnings\n"
    assert wrong.status == 1
    assert "bad.yaml:4:9: error: exactly one state is `initial: true`" in wrong.out
    assert "off --> on: press" in sh("spec", "diagram", "own.yaml").out
    assert "off -> on" in sh("spec", "diagram", "own.yaml", "--format", "graphviz").out
    assert sh("spec", "diagram", "own.yaml", "--format", "png").status == 2
    assert sh("spec", "show", "no.such").status == 2
    assert sh("new", "own.yaml", "lamp").status == 0
    assert sh("send", "lamp", "press").out.endswith("on\n")


def test_conform_counts_and_exits(sh):
    """`N passed, N failed` comes last; a failure is one line, and exit 1."""
    case = {
        "name": "settle twice",
        "initial": {
            "channel": "f0100",
            "from": "f0101",
            "to": "f0102",
            "balance": "5",
            "epoch": 1,
            "address_map": {},
        },
        "steps": [
            {
                "method": "Constructor",
                "caller": "f01",
                "caller_type": "init",
                "epoch": 1,
                "params": {"from": "f0101", "to": "f0102"},
                "expect": {"result": "ok"},
            },
            {
                "method": "Settle",
                "caller": "f0101",
                "caller_type": "account",
                "epoch": 1,
                "params": None,
                "expect": {"result": "ok"},
            },
        ],
    }
    wrong = json.loads(json.dumps(case))
    wrong["name"] = "settle by nobody"
    wrong["steps"][1]["caller"] = "f0999"
    (sh.folder / "cases.json").write_text(json.dumps([case, wrong]))
    ended = sh("spec", "conform", "cases.json")

    assert ended.status == 1
    *failures, last = ended.out.splitlines()
    assert last == "1 passed, 1 failed"
    assert len(failures) == 1
    assert "settle by nobody, step 2 (Settle): expected ok, was rejected: 18" in failures[0]
    assert BETA_PAYER not in ended.out


def test_output_into_a_closed_pipe_is_no_error(sh):
    """`statetape export | head -1` ends quietly."""
    channel(sh)
    command = f"{sys.executable} -m statetape.cli.main export --tape {sh.tape} | head -c 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")

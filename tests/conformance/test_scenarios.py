"""Scenario files: every case passes, and a wrong expectation does not."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path

import pytest
from statetape.engine.conform import ScenarioInvalid, conform
from statetape.specs.filecoin.scenarios import ADAPTER

HERE = Path(__file__).parent
FILES = ("paych-scenarios.json", "paych-derived-scenarios.json")
SHARED = Path(os.environ.get("STATETAPE_SHARED", HERE.parents[2] / "shared"))


def cases(path):
    """Return the names of a file's cases."""
    return [case["name"] for case in json.loads(path.read_text())]


@pytest.mark.parametrize("name", FILES)
def test_every_case_passes(name):
    """Exit code, reason, whole state, effects and real signatures, step by step."""
    results = list(conform(HERE / name))

    assert [result.case for result in results] == cases(HERE / name)
    assert [str(failure) for result in results for failure in result.failures] == []


@pytest.mark.parametrize("name", FILES)
def test_every_shared_case_passes(name):
    """The same for the files outside the project, where they are present."""
    path = SHARED / "scenarios" / name
    if not path.exists():
        pytest.skip("no shared scenarios on this machine")
    if path.read_bytes() == (HERE / name).read_bytes():
        pytest.skip("the same bytes as our own copy")

    assert [str(f) for result in conform(path) for f in result.failures] == []


def change(path, value):
    """Return a function that sets one member of a case."""

    def apply(case):
        at = case
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        return case

    return apply


def case_named(name):
    """Return one case of our files."""
    for file in FILES:
        for case in json.loads((HERE / file).read_text()):
            if case["name"] == name:
                return copy.deepcopy(case)
    raise LookupError(name)


VECTOR = "vector_update_ok_genesis"
WRONG = [
    ("redeem_one_lane", ("steps", 2, "expect_state", "to_send"), "8", "to_send"),
    ("redeem_one_lane", ("steps", 2, "expect_state", "lanes", "0", "nonce"), 3, "lanes"),
    ("redeem_one_lane", ("steps", 2, "expect_state", "balance"), "99999", "balance"),
    ("redeem_one_lane", ("steps", 2, "expect", "result"), "error", "expected a refusal"),
    ("create_lane_expired", ("steps", 1, "expect", "exit_code"), 17, "exit_code"),
    ("create_lane_expired", ("steps", 1, "expect", "exit_name"), "USR_FORBIDDEN", "exit_name"),
    ("create_lane_expired", ("steps", 1, "expect", "reason"), "TIME_LOCK_MIN", "reason"),
    ("collect_happy_path", ("steps", 3, "expect_effects", 0, "value"), "2", "effects"),
    ("collect_happy_path", ("steps", 3, "expect_state"), None, "expected no channel"),
    ("constructor_fails_to_has_no_code", ("steps", 0, "expect_state"), {"deleted": True}, "none"),
    (VECTOR, ("steps", 1, "real_signature", "blake2b256_hex"), "00", "blake2b"),
    (VECTOR, ("steps", 1, "env", "expect_signer"), "f0100", "ANOTHER_SIGNER"),
    (
        "vector_update_ok_genesis",
        ("steps", 1, "params", "sv", "amount"),
        "11",
        "SIGNATURE_REJECTED",
    ),
]


@pytest.mark.parametrize(("name", "path", "value", "what"), WRONG)
def test_a_wrong_expectation_fails(tmp_path, name, path, value, what):
    """A case whose expectation is altered is reported with the step and what was found."""
    case = change(path, value)(case_named(name))
    file = tmp_path / "wrong.json"
    file.write_text(json.dumps([case]))

    [result] = conform(file)

    assert any(what in failure.message for failure in result.failures), result.failures


def test_variants_run_at_their_own_epochs():
    """Each of a vector's network versions is a run of its own; heights are shifted with it."""
    case = case_named("vector_collect_ok_actorsv2")

    runs = list(ADAPTER.runs(case))

    assert [label for label, _ in runs] == ["actorsv2", "tape", "liftoff"]
    assert [steps[0].height for _, steps in runs] == [138721, 140761, 148889]


@pytest.mark.parametrize(
    ("text", "what"),
    [("{", "not JSON"), ("{}", "list of cases"), ("", "not JSON")],
)
def test_what_is_no_scenario_file_is_refused(tmp_path, text, what):
    """By name, with the file."""
    file = tmp_path / "bad.json"
    file.write_text(text)

    with pytest.raises(ScenarioInvalid, match=what):
        list(conform(file))


@pytest.mark.parametrize(
    "case", [7, {}, {"name": "x", "initial": {}, "steps": []}, {"steps": [{}]}]
)
def test_a_case_of_no_known_format_fails(tmp_path, case):
    """It is a failure of that case, not the end of the run."""
    file = tmp_path / "odd.json"
    file.write_text(json.dumps([case]))

    [result] = conform(file)

    assert "no system here knows this format" in result.failures[0].message


@pytest.mark.parametrize("missing", ["channel", "epoch"])
def test_a_malformed_case_fails_and_the_next_still_runs(tmp_path, missing):
    """One broken case does not hide the others."""
    good, bad = case_named("redeem_one_lane"), case_named("redeem_one_lane")
    del bad["initial"][missing]
    file = tmp_path / "mixed.json"
    file.write_text(json.dumps([bad, good]))

    first, second = conform(file)

    assert first.failures
    assert second.failures == []


def channel_case(*steps, **initial):
    """Return a case: a channel of 100 attofil from f0102 to f0103, then messages."""
    begin = {
        "method": "Constructor",
        "caller": "f01",
        "caller_type": "init",
        "epoch": 2,
        "params": {"from": "f0102", "to": "f0103"},
        "expect": {"result": "ok"},
    }
    parties = {"from": "f0102", "to": "f0103", "actors": {"f0102": "account", "f0103": "account"}}
    given = {"channel": "f0100", "balance": "100", "epoch": 2, **parties, **initial}
    return {"name": "made here", "initial": given, "steps": [begin, *steps]}


def message(method, code, *, caller="f0102", epoch=3, **more):
    """Return a step that is expected to end with an exit code, 0 being success."""
    expect = {"result": "error", "exit_code": code} if code else {"result": "ok"}
    step = {"method": method, "caller": caller, "caller_type": "account", "epoch": epoch}
    return {**step, "params": None, "expect": expect, **more}


PARTIES = {"from": "f0102", "to": "f0103"}
SETTLED = [message("Settle", 0), message("Collect", 0, epoch=1443)]
VOUCHER = {
    "channel_addr": "f0100",
    "time_lock_min": 0,
    "time_lock_max": 0,
    "secret_pre_image_hex": "",
    "extra": None,
    "lane": 0,
    "nonce": 1,
    "amount": "5",
    "min_settle_height": 0,
    "merges": [],
    "signature": {"type": "bls", "data_hex": "00"},
}
REDEEM = {"sv": VOUCHER, "secret_hex": ""}


def redeem(code, env, **params):
    """Return a step in which the payee redeems the voucher."""
    return message("UpdateChannelState", code, caller="f0103", params={**REDEEM, **params}, env=env)


def constructor(code, **more):
    """Return a Constructor message that comes instead of, or after, the first."""
    return message("Constructor", code, **{"caller": "f01", "caller_type": "init", **more})


@pytest.mark.parametrize(
    "steps",
    [
        # a second Constructor: dispatch first, then the caller; after Collect nothing is there
        [constructor(18, caller="f0102", caller_type="account", params=PARTIES)],
        [constructor(18, caller="f0102", caller_type="evm", params=PARTIES)],
        [constructor(16, caller="f0102", caller_type="account")],
        [*SETTLED, constructor(5, caller="f0102", caller_type="account", epoch=1444)],
        [*SETTLED, message("Settle", 5, epoch=1444)],
        # the names that the chain's manifest gives to miners and markets
        [message("Settle", 0, caller_type="storageminer")],
        [message("Settle", 18, caller_type="evm")],
        [message("Settle", 16, params={"a": 1.5})],
        # what AuthenticateMessage may return: true, and nothing else
        [redeem(0, {"auth_exit": 0, "auth_returned": "true"})],
        [redeem(16, {"auth_exit": 0, "auth_returned": "false"})],
        [redeem(16, {"auth_exit": 0, "auth_returned": False})],
        [redeem(21, {"auth_exit": 0, "auth_returned": "False"})],
        [redeem(24, {"auth_exit": 0, "auth_returned": "nothing"})],
        [redeem(23, {"auth_exit": 0, "auth_returned": "no_actor"})],
        [redeem(0, {"expect_signer": "f0102"})],
        [redeem(16, {"signed_by": "f0103", "auth_exit": 0})],
        [redeem(16, {}, secret_hex="00" * 40_000)],
        [redeem(21, {}, sv={**VOUCHER, "signature": {"type": "lattice", "data_hex": "00"}})],
        # an amount that a harness took away cannot be paid
        [
            redeem(0, {}),
            message("_SetBalance", 0, params={"balance": "3"}),
            message("Settle", 0),
            message("Collect", 6, epoch=1443),
        ],
    ],
)
def test_exit_codes_at_the_edges(tmp_path, steps):
    """Rules that no case of our files reaches; and with another code each of them fails."""
    file = tmp_path / "edge.json"
    wrong = copy.deepcopy(steps)
    wrong[-1]["expect"] = {"result": "error", "exit_code": 99}
    file.write_text(json.dumps([channel_case(*steps), channel_case(*wrong)]))

    right, altered = conform(file)

    assert [str(failure) for failure in right.failures] == []
    assert altered.failures


@pytest.mark.parametrize(
    ("code", "initial", "first"),
    [
        (0, {}, {}),
        (0, {"from": "t0102"}, {"expect_state": {"from": "t0102", "to": "f0103"}}),
        (16, {}, {"params": None}),
        (16, {}, {"params": None, "caller": "f0102", "caller_type": "account"}),
        (21, {}, {"params": {"from": "f0102", "to": "xx"}}),
        (17, {"actors": {}}, {}),
        (17, {"actors": ["f0103"]}, {}),
        (0, {"actors": None}, {}),
        (18, {}, {"caller": "f0102", "caller_type": "account"}),
    ],
)
def test_exit_codes_of_the_constructor(tmp_path, code, initial, first):
    """Dispatch, then the caller, then the parties; and before it there is no actor: code 5."""
    begin = constructor(code, epoch=2, params=PARTIES)
    begin.update(first)
    case = channel_case(**initial)
    case["steps"] = [message("Settle", 5, epoch=2), begin]
    if code:
        case["steps"].append(message("Collect", 5))
    file = tmp_path / "constructor.json"
    file.write_text(json.dumps([case]))

    [result] = conform(file)

    assert [str(failure) for failure in result.failures] == []


@pytest.mark.parametrize(
    "damage",
    [
        change(("steps", 1, "params"), {"sv": None}),
        change(("steps", 1, "params"), "text"),
        change(("steps", 1, "env"), "text"),
        change(("steps", 1, "expect_state"), [1]),
        change(("steps", 1, "expect_effects"), [1]),
        change(("steps", 1, "real_signature"), {"recovered_signer": None, "blake2b256_hex": "00"}),
        change(("steps", 1, "real_signature"), {"voucher_cli_base64url_unpadded": "?"}),
        change(("steps", 1, "real_signature"), 7),
        change(("steps", 1, "params", "sv", "amount"), 1.5),
        change(("initial", "address_map"), [1]),
        change(("initial", "variants"), [7]),
    ],
)
def test_a_case_of_the_wrong_shape_fails_alone(tmp_path, damage):
    """It is one failed case with a line for each failure, and the others are run."""
    good = channel_case(redeem(0, {"auth_exit": 0}))
    bad = damage(copy.deepcopy(good))
    bad["name"] = "in two\nlines"
    file = tmp_path / "shape.json"
    file.write_text(json.dumps([bad, good]))

    first, second = conform(file)

    assert first.failures
    assert all("\n" not in str(failure) for failure in first.failures)
    assert second.failures == []

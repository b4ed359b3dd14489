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
    ("redeem_one_lane", ("steps", 2, "expect", "result"), "error", "expected None None"),
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

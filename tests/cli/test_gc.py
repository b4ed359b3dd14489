"""`gc` and `hold` as they are typed, and what looking says of what was collected."""

from __future__ import annotations

import pytest
from statetape.engine.collection import NotCosigned
from statetape.engine.commands import InstanceCollected, Send

from tests.engine.jobs import HOUR, JOB
from tests.engine.machines import START, Clock, open_tape

from .inside import Inside


@pytest.fixture
def typed(tmp_path):
    """The command line on a tape of three jobs that ended long ago; `here` is linked to one."""
    path = tmp_path / "t.db"
    with open_tape(path, Clock(START)) as engine:
        for name in "abc":
            engine.create(JOB, name, {"note": name})
            engine.send(f"tests.job/{name}", "finish")
        engine.create(JOB, "here", {"note": "here", "partner": "tests.job/c"})
        engine.create(JOB, "pad", {"note": "what fills the last block"})
        engine.execute_many([Send("tests.job/pad", "add")] * 256)
        assert engine.clock() < START + HOUR
    return Inside(path)


def test_a_dry_run_says_what_would_go_and_why_the_rest_stays(typed):
    """And takes nothing."""
    lines = typed.lines("gc", "--dry-run")
    plan = typed.json("gc", "--dry-run")

    assert lines[0] == "3 instances with 6 entries would go"
    assert "  tests.job/pad  it is not final" in lines
    assert {one["instance"] for one in plan["going"]} == {f"tests.job/{name}" for name in "abc"}
    assert plan["reasons"] == {"it is not final": 2}
    assert typed.lines("list", "--collected") == ["no instances"]


def test_what_was_collected_is_told(typed):
    """By `list --collected`, `show`, `history`, and by the refusal of everything else."""
    typed("gc", "--by", "ops")
    shown = typed.json("show", "a")
    [line] = [one for one in typed.lines("list", "--collected") if "tests.job/a" in one]

    assert typed.lines("show", "a")[1].startswith(f"  collected at position {shown['collected']}")
    assert (shown["state"], shown["seq"], shown["collected_by"]) == ("done", 2, "ops")
    assert line.split() == ["tests.job/a", "done", "2", "3", str(shown["collected"])]
    assert "by ops" in typed.lines("history", "a")[1]
    [entry] = typed.json("history", "a")
    assert [stone["name"] for stone in entry["collected"]] == ["tests.job/a"]
    assert "tests.job/a" not in typed("list")
    assert typed.lines("list")[-1].startswith("others were collected")
    for command in ("explain", "replay"):
        with pytest.raises(InstanceCollected):
            typed(command, "a")
    assert "rejected" in typed("send", "a", "add")
    assert "collected_instance" in typed("history", "a")
    assert "every byte as recorded" in typed("replay")
    assert "sound" in typed("verify")


def test_a_hold_covers_what_is_linked_unless_it_is_alone(typed):
    """The job that names the other; a release lifts all of it."""
    told = typed.lines("hold", "here", "--why", "a dispute", "--by", "me")
    assert sorted(line.split()[0] for line in told) == ["tests.job/c", "tests.job/here"]
    assert "on hold since position" in typed("show", "c")
    assert typed.json("show", "c")["hold"]["why"] == "a dispute"
    assert typed.json("gc")["instances"] == 2

    typed("hold", "here", "--why", "settled", "--release")
    assert typed.json("gc")["instances"] == 1
    assert "hold" not in typed.json("show", "here")


def test_a_hold_alone_covers_one(typed):
    """Negative control of what is linked."""
    typed("hold", "here", "--alone", "--why", "a dispute")

    assert typed.json("gc")["instances"] == 3


def test_shrinking_asks_for_a_witness(typed):
    """Before anything is collected."""
    with pytest.raises(NotCosigned):
        typed("gc", "--shrink")
    assert typed.json("gc", "--dry-run")["instances"] == 3
    found = typed.json("gc", "--shrink", "--uncosigned")

    assert (found["instances"], found["blocks_shrunk"]) == (3, 0)

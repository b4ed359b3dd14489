"""`demo retrieval`: each fault ends as it is told, on both tapes, every time the same."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from statetape.cli import command_demo, demo_tape, main, two_tapes
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.fsm.entry import decode
from statetape.specs.pop.demo import BLOCK, DEAL, DEAL_P, LANE, LANE_P, RETRIEVAL, SERVING

DONE = {DEAL: "DealStatusCompleted", DEAL_P: "DealStatusCompleted", SERVING: "Finished"}
LOST = DONE | {DEAL: "DealStatusFinalizing"}
SILENT = {DEAL: "DealStatusOngoing", DEAL_P: "DealStatusFundsNeeded", SERVING: "Paused"}
ALL, SEVEN, THREE = 20 * BLOCK, 14 * BLOCK, 6 * BLOCK
"""What ten, seven and three blocks cost."""


def ended(tape):
    """What the tapes hold: each instance's state, what was promised, counted and refused."""
    found = {"states": {}, "vouchers": [], "refused": []}
    for node in ("client", "provider"):
        with Inspector.open(tape.with_name(f"demo-{node}.db")) as inspector:
            for one in inspector.instances():
                found["states"][one.name] = one.state
                found[one.name] = one.data
            for entry in map(decode, inspector.reader.read()):
                if entry.event == "VoucherArrived" and entry.outcome is None:
                    found["vouchers"].append(entry.params["voucher"])
                if entry.outcome == "rejected":
                    found["refused"].append(entry.event)
    return found


def promised(found, lane):
    """The total on the deal's lane, as one side has it."""
    return int(found[lane]["lanes"]["0"]["amount"])


def played(tape, fault, capsys):
    """Play the story; returns its exit code and what it printed."""
    code = command_demo.demo("retrieval", fault, tape)
    return code, capsys.readouterr().out


@pytest.mark.parametrize(
    ("fault", "states", "sides", "vouchers"),
    [
        ("none", DONE, (ALL, ALL), 3),
        ("lost-event", LOST, (ALL, ALL), 3),
        ("late-block", DONE, (ALL, ALL), 3),
        ("provider-silence", SILENT, (SEVEN, THREE), 1),
        ("insufficient-funds", DONE, (ALL, ALL), 3),
    ],
)
def test_a_fault_ends_as_told(tmp_path, capsys, fault, states, sides, vouchers):
    """The states of both sides, what each side says was promised, and every voucher once."""
    tape = tmp_path / "demo.db"
    code, out = played(tape, fault, capsys)
    found = ended(tape)

    assert code == 0
    assert {name: found["states"][name] for name in states} == states
    assert (promised(found, LANE), promised(found, LANE_P)) == sides
    assert len(found["vouchers"]) == len(set(found["vouchers"])) == vouchers
    assert found["refused"] == []
    assert f"Fault: {fault}" in out
    assert out.count("every byte as recorded") >= 2


@pytest.mark.parametrize(
    ("fault", "flying"), [("crash-client", "VoucherCreated"), ("crash-provider", "BlockQueued")]
)
def test_a_process_that_dies_loses_and_doubles_nothing(tmp_path, capsys, fault, flying):
    """It is killed with that entry stored; recovery names it; the end is that without a death."""
    tape = tmp_path / "demo.db"
    code, out = played(tape, fault, capsys)
    found = ended(tape)
    (tmp_path / "whole").mkdir()
    played(tmp_path / "whole" / "demo.db", "none", capsys)
    whole = ended(tmp_path / "whole" / "demo.db")

    in_flight = out.partition("after the anchor")[2].partition("projections")[0]
    assert code == 0
    assert "Killed (SIGKILL)" in out
    assert flying in in_flight
    assert {name: found["states"][name] for name in DONE} == DONE
    assert found["vouchers"] == whole["vouchers"]
    assert found[SERVING]["total_sent"] == whole[SERVING]["total_sent"] == 10 * BLOCK
    assert found[LANE]["lanes"] == whole[LANE]["lanes"]
    assert found[LANE_P]["lanes"] == whole[LANE_P]["lanes"]


def test_the_lost_answer_is_what_is_missing(tmp_path, capsys):
    """The watchdog fires, explain names the expectation, the what-if completes the deal."""
    _, out = played(tmp_path / "demo.db", "lost-event", capsys)

    asked, _, replayed = out.partition("$ statetape replay pop.deal_client")
    assert "client  deal  watchdog: nothing was heard in Finalizing" in asked
    assert "the provider's Complete" in asked.partition("$ statetape explain")[2]
    assert "DealStatusFinalizing → DealStatusCompleted" in replayed
    assert ended(tmp_path / "demo.db")["states"][DEAL] == "DealStatusFinalizing"


def test_what_came_too_early_is_parked_and_the_old_table_refuses_it(tmp_path, capsys):
    """Two blocks and the request for money: 0/4, 0/4, 0/6 of the original."""
    _, out = played(tmp_path / "demo.db", "late-block", capsys)

    assert out.count("BlockSent came too early: parked") == 2
    assert out.count("PaymentRequested came too early: parked") == 1
    what_if = out.partition("--with-spec pop.retrieval_provider")[2]
    assert "ProviderEventBlockSent was deferred in DealStatusNew; here: rejected" in what_if
    assert re.search(r"no_transition +0 +3\n", what_if)


def test_it_goes_the_same_way_each_time(tmp_path, capsys):
    """The clock and the keys are the story's: another run prints the same, over its own tapes."""
    tape = tmp_path / "demo.db"
    first = played(tape, "provider-silence", capsys)
    second = played(tape, "provider-silence", capsys)

    assert first == second


def test_an_unknown_fault_lists_those_there_are(tmp_path):
    """And a story that has none says so; nothing is created."""
    tape = tmp_path / "demo.db"
    with pytest.raises(command_demo.StoryUnknown) as unknown:
        command_demo.demo("retrieval", "earthquake", tape)
    with pytest.raises(command_demo.StoryUnknown):
        command_demo.demo("payment", "none", tape)
    with pytest.raises(command_demo.StoryUnknown) as story:
        command_demo.demo("odyssey", None, tape)

    assert unknown.value.hint == f"faults: {', '.join(RETRIEVAL.tales)}"
    assert story.value.hint == "stories: payment, dispute, retrieval"
    assert list(tmp_path.iterdir()) == []


def test_somebody_elses_tape_is_left_alone(tmp_path):
    """Neither side's tape is removed if one of them is not a demo's: by who asked, or by when."""
    tape = tmp_path / "demo.db"
    with Engine.open(tmp_path / "demo-client.db", clock=lambda: RETRIEVAL.starts_at) as engine:
        engine.create("pop.tx", "mine", {"root": "bafy"}, by="client")
    with Engine.open(tmp_path / "demo-provider.db") as engine:
        engine.create("pop.tx", "mine", {"root": "bafy"}, by="provider")
    tapes = [tmp_path / f"demo-{node}.db" for node in ("client", "provider")]
    before = [path.read_bytes() for path in tapes]

    with pytest.raises(demo_tape.DemoTapeTaken) as taken:
        command_demo.demo("retrieval", None, tape)
    assert taken.value.place.endswith("demo-provider.db")
    assert [path.read_bytes() for path in tapes] == before


def test_an_end_that_is_not_as_told_is_a_failure(tmp_path, capsys):
    """The control: a tale that promises too much, and one that hides a difference."""
    silence = RETRIEVAL.tales["provider-silence"]
    for number, tale in enumerate(
        [
            replace(silence, ends={("client", DEAL): "DealStatusCompleted"}),
            replace(silence, apart=()),
        ]
    ):
        drama = replace(RETRIEVAL, tales={"wrong": tale})
        with pytest.raises(demo_tape.DemoFailed):
            two_tapes.play(drama, "wrong", tmp_path / f"{number}.db")
    capsys.readouterr()


def test_what_it_says_to_try_next_works(tmp_path, capsys, monkeypatch):
    """Each command, typed as it is printed, on the tape whose prompt it has."""
    monkeypatch.chdir(tmp_path)
    _, out = played(Path("demo.db"), "lost-event", capsys)
    prompts = dict(re.findall(r"^(\w+)\$ is a shell with STATETAPE_TAPE=(\S+)$", out, re.MULTILINE))
    steps = re.findall(r"^  (\w+)\$ statetape (.+)$", out.partition("# Try next")[2], re.MULTILINE)
    command = typer.main.get_command(main.register())
    codes = []
    for node, line in steps:
        monkeypatch.setenv("STATETAPE_TAPE", prompts[node])
        with command.make_context("statetape", shlex.split(line)) as context:
            codes.append(command.invoke(context))
    state = ended(tmp_path / "demo.db")["states"][DEAL]
    capsys.readouterr()

    assert len(steps) == 6
    assert codes == [0] * 6
    assert state == "DealStatusCompleted"

"""`replay` with changes and `diff`: what a person reads, what a program reads, how they end."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from statetape.cli.main import register
from statetape.cli.output import UsageInvalid
from statetape.cli.values import ParameterInvalid
from statetape.engine.commands import InstanceUnknown, MachineUnknown
from statetape.engine.inspect import PointInvalid
from statetape.engine.whatif import ChangeInvalid
from statetape.fsm.errors import StatetapeError
from statetape.fsm.types import ValueInvalid

from ..engine.machines import TRANSFER, Clock, open_tape
from .shell import Ended

STRICT = TRANSFER.text.replace("otherwise: defer", "otherwise: reject")
PRICED = """\
machine: test.priced
version: 1
title: What is paid for
data: {paid: attofil = 0, note: text = ""}
states: {open: {initial: true}, full: {final: true}}
events:
  pay:
    params: {amount: attofil, note: text = ""}
    set: {paid: paid + amount, note: note}
    go: [{from: open}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tape with a stuck transfer (s), a good one (g) and a paid instance (p); two machines."""
    path = tmp_path_factory.mktemp("replay")
    (path / "strict.yaml").write_text(STRICT)
    (path / "lenient.yaml").write_text(TRANSFER.text)
    (path / "priced.yaml").write_text(PRICED)
    (path / "wrong.yaml").write_text("machine: test.wrong\n")
    clock = Clock()
    with open_tape(path / "tape.db", clock) as engine:
        plays = [("block", {"size": 3}), ("accept", {}), ("complete", {})]
        for key, machine in (("s", path / "strict.yaml"), ("g", path / "lenient.yaml")):
            engine.create(str(machine), key)
            for event, params in plays:
                clock.forward(1)
                engine.send(f"test.transfer/{key}", event, params)
        engine.create(str(path / "priced.yaml"), "p")
        engine.send("test.priced/p", "pay", {"amount": 10**18})
    with open_tape(path / "other.db", clock) as engine:
        engine.create(str(path / "lenient.yaml"), "elsewhere")
    return path


@pytest.fixture(scope="module")
def command():
    """The command line's parser, which costs a while to make."""
    return typer.main.get_command(register())


@pytest.fixture
def cli(folder, command, capsys, monkeypatch):
    """The command line within this process, in the tape's folder."""
    monkeypatch.chdir(folder)

    def run(*words):
        words = list(words) if "--tape" in words else [*words, "--tape", "tape.db"]
        with command.make_context("statetape", words) as context:
            status = context.command.invoke(context)
        return Ended(status, capsys.readouterr().out, "")

    return run


def test_without_changes_replay_is_as_before(cli):
    """The whole tape, and one instance: every byte."""
    whole, alone = cli("replay"), cli("replay", "s")

    assert (whole.status, alone.status) == (0, 0)
    assert alone.out == "5 entries replayed, every byte as recorded\n"
    assert set(cli("replay", "s", "--json").json) == {"entries", "notes"}


def test_the_first_difference_is_told_in_words(cli):
    """Another machine parks what this one refused; the sentence says what became of it."""
    ended = cli("replay", "s", "--with-spec", "lenient.yaml")
    lines = ended.out.splitlines()

    assert ended.status == 1
    assert lines[0] == "test.transfer/s: 4 entries replayed, decided by test.transfer version 1"
    assert lines[1] == "first difference of 3"
    assert lines[2] == (
        "  position 4: block was rejected in new (the state does not take it); "
        "here: deferred, then accepted after position 5"
    )
    assert any(line.split() == ["state", "ongoing", "done"] for line in lines)
    assert any(line.split() == ["sent", "0", "3"] for line in lines)
    assert any(line.split() == ["no_transition", "2", "0"] for line in lines)


def test_what_follows_the_first_difference_is_summarised(cli):
    """Each kind of later difference on a line, with its place."""
    then = cli("replay", "s", "--with-spec", "lenient.yaml").out.partition("then\n")[2]

    assert then.splitlines()[:2] == [
        "  block (offered again): nothing, here accepted (after position 5)",
        "  complete: rejected (the state does not take it), here accepted → done (position 6)",
    ]


def test_an_inserted_event_is_told_with_what_became_of_it(cli):
    """Typed as `send` types it; quotes in the quotes keep what has spaces together."""
    ended = cli("replay", "p", "--insert", "end pay amount='1.5 FIL' note=\"it's late\"")

    assert ended.status == 1
    assert "inserted after position 15: pay is accepted in open" in ended.out
    assert "every later outcome as recorded, but another end" in ended.out
    assert "2.5 FIL" in ended.out
    assert "it's late" in ended.out


def test_a_dropped_and_an_inserted_event_mend_each_other(cli):
    """The stuck transfer, with its block once more where it would have been taken."""
    ended = cli("replay", "s", "--drop", "4", "--insert", "6 block size=3")

    assert "without position 4 (block); with block before position 6" in ended.out
    assert (
        "complete was rejected in ongoing (the state does not take it); here: accepted → done"
        in (ended.out)
    )


def test_an_imported_log_is_decided_by_a_machine_that_defers(cli):
    """State 13, event 10: parked, and taken as soon as the event comes that was lost."""
    refused = "Executing event planner failed: Invalid transition in queue, state `13`, event `10`:"
    Path("a.log").write_text(f"2021-06-11T18:08:46.937Z\tERROR\tfsm\tfsm/fsm.go:92\t{refused}\n")
    at = ("--tape", "log.db")
    cli("import", "go-log", "a.log", *at)
    listed = cli("list", "--json", *at).json
    name = next(one["instance"] for one in listed if one["state"] == "DealStatusOngoing")
    words = ("replay", name, "--with-spec", "pop.deal_provider")
    parked = cli(*words, *at)
    mended = cli(*words, "--insert", "end ProviderEventBlocksCompleted", *at)
    was = "ProviderEventComplete was rejected in DealStatusOngoing (the state does not take it)"

    assert f"{was}; here: deferred, and still parked at the end" in parked.out
    assert f"{was}; here: deferred, then accepted → DealStatusCompleting after" in mended.out


def test_nothing_different_ends_well(cli):
    """Exit 0, and in which state it ends; up to a point every byte is compared."""
    same = cli("replay", "g", "--with-spec", "lenient.yaml")
    until = cli("replay", "g", "--until", "9")

    assert (same.status, until.status) == (0, 0)
    assert same.out.endswith("every outcome as recorded; it ends in done\n")
    assert until.out == (
        "test.transfer/g: 2 entries replayed, up to position 9\n"
        "every byte as recorded; it ends in new\n"
    )


def test_step_by_step_each_entry_shows_the_instance_after_it(cli):
    """What was asked, what was decided, state and data; a dropped command is there as dropped."""

    def after(*changes):
        lines = cli("replay", "g", "--step", *changes).out.splitlines()
        found = [line.strip() for line in lines]
        return [line for line in found if line.startswith("after it: ")], found

    unchanged, _ = after()
    dropped, lines = after("--drop", "9")

    assert unchanged == [
        "after it: new",
        "after it: new",
        "after it: ongoing",
        "after it: ongoing; sent=3",
        "after it: done; sent=3",
    ]
    assert dropped[2:] == ["after it: ongoing"] * 3
    assert {"here: dropped", "here this does not happen"} <= set(lines)


def test_programs_get_all_of_it(cli):
    """Both ends, the first difference, every difference in short; with --step every entry."""
    told = cli("replay", "s", "--with-spec", "lenient.yaml", "--step", "--json").json
    first = told["first_difference"]

    assert (told["same"], told["instance"]) == (False, "test.transfer/s")
    assert (first["recorded"]["pos"], first["decided"]["outcome"]) == (4, "deferred")
    assert [one["place"] for one in told["differences"]] == [
        "position 4",
        "after position 5",
        "position 6",
    ]
    assert told["end"] == {
        "state": "done",
        "data": {"sent": 3},
        "parked": [],
        "outcomes": {"accepted": 4, "deferred": 1},
        "refused": {},
    }
    assert [step["data_after"]["sent"] for step in told["steps"]] == [0, 0, 0, 3, 3]


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["--drop", "3"], UsageInvalid, "name it"),
        (["--step"], UsageInvalid, "name it"),
        (["s", "--drop", "3"], ChangeInvalid, "created test.transfer/s"),
        (["s", "--drop", "10"], ChangeInvalid, "belongs to test.transfer/g"),
        (["s", "--insert", "block"], ChangeInvalid, "no position and event"),
        (["s", "--insert", "x block"], ChangeInvalid, "no position and event"),
        (["s", "--insert", "²  block"], ChangeInvalid, "no position and event"),
        (["s", "--insert", "4 block 'size=3"], ChangeInvalid, "No closing quotation"),
        (["s", "--insert", "4 block size=much"], ValueInvalid, "much"),
        (["s", "--insert", "4 block size"], ParameterInvalid, "NAME=VALUE"),
        (["s", "--insert", "4 block weight=3"], ParameterInvalid, "takes no 'weight'"),
        (["s", "--until", "noon"], PointInvalid, "no point"),
        (["s", "--until", "1"], InstanceUnknown, "did not exist"),
        (["s", "--with-spec", "test.nothing"], MachineUnknown, "no machine"),
        (["s", "--with-spec", "gone.yaml"], MachineUnknown, "cannot read"),
        (["nobody", "--step"], InstanceUnknown, "no instance"),
    ],
)
def test_what_cannot_be_asked_is_a_usage_error(cli, words, error, said):
    """Exit 2, and in words."""
    with pytest.raises(error) as raised:
        cli("replay", *words)

    assert said in str(raised.value)
    assert raised.value.exit_status == 2


def test_a_wrong_machine_file_is_its_authors(cli):
    """As for `spec check`: exit 1, with the file's name."""
    with pytest.raises(StatetapeError) as raised:
        cli("replay", "s", "--with-spec", "wrong.yaml")

    assert "wrong.yaml" in str(raised.value)
    assert raised.value.exit_status == 1


def test_diff_tells_where_two_histories_part(cli):
    """Up to where they are the same, how each goes on, what only one has, and both ends."""
    ended = cli("diff", "g", "s")
    lines = ended.out.splitlines()

    assert ended.status == 1
    assert lines[:3] == [
        "A  test.transfer/g: 5 entries",
        "B  test.transfer/s: 4 entries",
        "the same up to position 8 of A and 3 of B, in new",
    ]
    assert "  only A  block: deferred in new  (A 9)" in lines
    assert "  only B  block: rejected in new (the state does not take it)  (B 4)" in lines
    assert any(line.split() == ["state", "done", "ongoing"] for line in lines)
    assert any(line.split() == ["sent", "3", "0"] for line in lines)


def test_diff_of_the_same_history_is_none(cli):
    """Exit 0, one line."""
    ended = cli("diff", "g", "test.transfer/g")

    assert (ended.status, len(ended.out.splitlines())) == (0, 3)


def test_diff_reaches_another_tape(cli):
    """B is looked up there; where it ends is said."""
    ended = cli("diff", "g", "elsewhere", "--other-tape", "other.db")

    assert "B  test.transfer/elsewhere on other.db: 1 entry" in ended.out
    assert "B ends here" in ended.out
    with pytest.raises(InstanceUnknown):
        cli("diff", "g", "elsewhere")


def test_diff_for_programs(cli):
    """Both sides and every difference, whole."""
    told = cli("diff", "g", "s", "--json").json

    assert (told["same"], told["differing_data"]) == (False, ["sent"])
    assert [told["parted"][side]["pos"] for side in ("first", "second")] == [9, 4]
    assert [row["told"].partition(":")[0] for row in told["differences"]] == [
        "block",
        "block",
        "block (offered again)",
        "complete",
        "complete",
    ]

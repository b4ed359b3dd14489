"""`explain` and `history` as people read them, from tapes that real commands made."""

from __future__ import annotations

import re

import pytest
from statetape.engine.commands import Create, InstanceUnknown, Send
from statetape.fsm.types import ValueInvalid

from ..engine.machines import COUNTER, LEASE, Clock, open_tape
from ..engine.stories import CLIENT, HUB, LANE, PROVIDER, client, hub, lane, provider, retrieval
from .inside import Inside
from .stuck_retrieval import HOW_TO, how_to

NOW = ("--now", "2020-09-13T12:30:00Z")


@pytest.fixture(scope="module")
def stuck(tmp_path_factory) -> Inside:
    """A retrieval whose client got its Complete too early, and pays more than it owes."""
    path, clock = tmp_path_factory.mktemp("stuck") / "t.db", Clock()
    with open_tape(path, clock) as engine:
        engine.create(LANE, "shared")
        retrieval(engine)
        clock.forward(1)
        early = engine.send(client("7"), "complete", by="node")
        engine.send(provider("7"), "block", {"total": 5}, cause=early.pos)
        clock.forward(2)
        engine.send(client("7"), "accepted")
        engine.send(client("7"), "block", {"total": 10})
        engine.send(client("7"), "pay", {"amount": 30})
        engine.send(client("7"), "pay", {"amount": 3})
        engine.send(client("7"), "hello")
    return Inside(path)


def section(lines: list[str], title: str) -> list[str]:
    """Return the lines that stand indented under a title."""
    start = lines.index(title) + 1
    end = next((i for i in range(start, len(lines)) if lines[i][0] != " "), len(lines))
    return [line.strip() for line in lines[start:end]]


def told(path, *words: str) -> list[str]:
    """Return the lines of a command."""
    return Inside(path).lines(*words)


def test_the_answer_comes_first(stuck):
    """Where, since when and by what; who has waited longest, for what; what came too early."""
    assert stuck.lines("explain", "story.client/7", *NOW)[:8] == [
        (
            "story.client/7 is in ongoing since position 10, 2020-09-13T12:26:43Z (3m 17s ago), "
            "by accepted"
        ),
        "  The client of a retrieval, version 1",
        "  it waits for: the provider's last block",
        "  complete came too early: refused at position 8 in asked; it would be accepted now",
        (
            "oldest unmet expectation: story.provider/7 is in fresh since position 7, "
            "2020-09-13T12:26:40Z (3m 20s ago)"
        ),
        "  next move: the client's deal",
        "  would leave fresh: accept, lapse",
        "linked",
    ]


def test_its_own_expectation_may_be_the_oldest(stuck):
    """Then it is said once."""
    lines = stuck.lines("explain", "story.provider/7", *NOW)

    assert lines[2:5] == [
        "oldest unmet expectation: its own",
        "  next move: the client's deal",
        "  would leave fresh: accept, lapse",
    ]


def test_linked_instances_say_where_they_are_and_what_ties_them(stuck):
    """One line each: state, since when, what it waits for or why it rests."""
    assert section(stuck.lines("explain", "story.client/7", *NOW), "linked") == [
        (
            "story.provider/7  fresh since position 7 (3m 20s ago), waits for the client's deal  "
            "(link provider)"
        ),
        (
            "story.lane/shared  ready since position 3 (3m 20s ago), "
            "at rest: it is used when it is needed  (link lane)"
        ),
    ]


def test_refusals_say_what_they_would_have_needed(stuck):
    """What had to hold and was seen, or which states would take it; of others too."""
    lines = stuck.lines("explain", "story.client/7", *NOW)

    assert section(lines, "refused since then (2)") == [
        "12  2020-09-13T12:26:43Z  pay  rejected  in ongoing",
        "asked: amount=30 attofil",
        "TOO_MUCH: MORE_THAN_IS_DUE (exit code 7)",
        "needed: paid + amount <= received * price",
        "saw: amount = 30, paid = 0, price = 2, received = 10",
        "15  2020-09-13T12:26:43Z  hello  rejected  in ongoing",
        "the machine has no such event (undeclared_event)",
    ]
    assert section(lines, "refused by story.provider/7 since position 7 (1)") == [
        "9  2020-09-13T12:26:41Z  block  deferred  in fresh  ← 8",
        "asked: total=5",
        "it is accepted in: ongoing",
    ]


def test_a_refusal_names_what_had_to_come_first(tmp_path):
    """The shortest way from here to a state that takes it."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        retrieval(engine)
        engine.send(client("7"), "complete")
        engine.send(provider("7"), "finish")
    lines = told(path, "explain", client("7"), *NOW)

    assert section(lines, "refused since then (1)")[1:] == [
        "the state does not take it (no_transition)",
        "it is accepted in: ongoing, checking",
        "it needed first: accepted → ongoing",
    ]


def test_only_the_last_refusals_are_shown_and_all_are_counted(tmp_path):
    """Five of its own, two of each other."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        retrieval(engine)
        commands = [Send(name, "hi") for name in (client("7"), provider("7"))]
        engine.execute_many(commands * 9)
    lines = told(path, "explain", client("7"), *NOW)

    own = section(lines, "refused since then (9, the last 5)")
    others = section(lines, "refused by story.provider/7 since position 5 (9, the last 2)")
    assert [line.split()[0] for line in own if " hi " in line] == ["14", "16", "18", "20", "22"]
    assert [line.split()[0] for line in others if " hi " in line] == ["21", "23"]


def test_ledgers_stand_side_by_side(stuck):
    """Each figure with its type and unit; the same figure of several in one row."""
    assert section(stuck.lines("explain", "story.client/7", *NOW), "ledgers") == [
        "client      provider  lane",
        "bytes (uint)          10          0",
        "paid (attofil)        3 attofil   0 FIL",
        "amount_due (attofil)  17 attofil",
        "total (attofil)                             3 attofil",
    ]


def test_the_other_sides_tape_stands_beside(tmp_path):
    """Its instance of the same number, here behind its peer's name; each count in one row."""
    mine, theirs = tmp_path / "mine.db", tmp_path / "theirs.db"
    with open_tape(mine) as engine:
        engine.create(CLIENT, "7", {"peer": provider("7"), "lane": lane("1")})
    with open_tape(theirs) as engine:
        engine.create(PROVIDER, "me/7", {"peer": client("7")})
        engine.create(PROVIDER, "me/17", {"peer": client("17")})
        engine.send(provider("me/7"), "accept")
        engine.send(provider("me/7"), "block", {"total": 5})
    run = Inside(mine)
    lines = run.lines("explain", client("7"), "--counterparty", str(theirs), *NOW)
    counted = run.json("explain", client("7"), "--counterparty", str(theirs))["counterparty"]

    assert section(lines, f"the other side, on {theirs}")[0].startswith("story.provider/me/7 is in")
    assert section(lines, "ledgers of both sides") == [
        "client  provider",
        "bytes (uint)          0       5",
        "paid (attofil)        0 FIL   0 FIL",
        "amount_due (attofil)  0 FIL",
    ]
    assert [one["story"][0]["instance"] for one in counted] == ["story.provider/me/7"]


def test_a_tape_without_the_other_side_says_so(tmp_path):
    """Negative control: an instance of another number is not taken for it."""
    mine, theirs = tmp_path / "mine.db", tmp_path / "theirs.db"
    with open_tape(mine) as engine:
        engine.create(CLIENT, "7", {"peer": provider("7"), "lane": lane("1")})
    with open_tape(theirs) as engine:
        engine.create(PROVIDER, "me/17", {"peer": client("17")})
    lines = Inside(mine).lines("explain", client("7"), "--counterparty", str(theirs), *NOW)

    assert lines[-1] == (
        f"the other side, on {theirs}: nothing there has this key and keeps a ledger"
    )


def test_without_a_ledger_the_data_is_shown(tmp_path):
    """Of the instance asked about."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(COUNTER, "c", {"limit": 9})

    assert section(told(path, "explain", "c", *NOW), "data") == ["count = 0", "limit = 9"]


def test_what_is_open_is_said_with_its_time(stuck):
    """Timers with what they raise, parked commands, effects that nobody has done."""
    lines = stuck.lines("explain", "story.client/7", *NOW)

    assert lines[lines.index("accepts now") - 4 : lines.index("accepts now")] == [
        "timer stall at 2020-09-13T12:31:43Z, in 1m 43s: raises stalled",
        "to do since position 13: send_voucher total=3 (nobody acknowledges effects here)",
        "timer boredom of story.provider/7 at 2020-09-13T13:26:40Z, in 56m 40s: raises lapse",
        (
            "parked of story.provider/7: block, since position 9, 2020-09-13T12:26:41Z "
            "(3m 19s ago); it is accepted in: ongoing; "
            "given up at 2020-09-13T12:27:41Z, overdue by 2m 19s"
        ),
    ]


def test_overdue_timers_are_said_to_be(tmp_path):
    """By the clock and by height; a height that nobody has seen is said too."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(LEASE, "l")
        engine.send("test.lease/l", "take", {"until": 50})
    before = told(path, "explain", "l", *NOW)
    with open_tape(path) as engine:
        engine.observe("moon", 41)
    after = told(path, "explain", "l", *NOW)

    assert (
        "timer lapse at 2020-09-13T12:26:50Z, overdue by 3m 10s; it fires when the engine next "
        "runs: raises lapsed"
    ) in before
    assert "timer expiry at height 50 (no height of moon is known): raises expired" in before
    assert "timer expiry at height 50, 9 to go: raises expired" in after


def test_what_is_accepted_is_said_with_parameters_and_where_it_leads(stuck):
    """Types, defaults, conditions."""
    lines = stuck.lines("explain", "story.client/7", *NOW)
    last = lines[lines.index("accepts now") + 1 :]

    assert [line.strip() for line in last] == [
        "block total:uint → stays",
        "pay amount:attofil → stays",
        "check → checking",
        "complete → done",
        "stalled [refused:text?=none] → stays",
    ]


def test_conditions_of_rows_are_shown_in_order(tmp_path):
    """The first that holds is taken; entering the same state again is said."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(COUNTER, "c")
        engine.create(LEASE, "l")
        engine.send("test.lease/l", "take")

    assert "  add [by:int=1] → full if count + by >= limit; else stays" in told(
        path, "explain", "c"
    )
    assert "  renew → held again" in told(path, "explain", "l")


def test_who_ended_waits_for_nothing(tmp_path):
    """It says so, and by what it ended."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(COUNTER, "c")
        engine.send("test.counter/c", "add", {"by": 3}, by="me")
    lines = told(path, "explain", "c", *NOW)

    assert lines[0] == (
        "test.counter/c ended in full since position 4, 2020-09-13T12:26:40Z (3m 20s ago), "
        "by add of me"
    )
    assert "nothing is overdue, and nobody is awaited" in lines
    assert lines[-1] == "accepts nothing: it is over"


def test_who_rests_says_why(tmp_path):
    """And what would move it; who waits without a deadline says that too."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(HUB, "h", {"others": [hub("nobody")]})
        rests = told(path, "explain", "h")
        engine.send(hub("h"), "ask")

    assert rests[2] == "  at rest: it rests; what would move it: one of ask, close"
    assert "  not on this tape: story.hub/nobody (link others)" in rests
    assert told(path, "explain", "h")[2:6] == [
        "oldest unmet expectation: its own",
        "  next move: a reply",
        "  would leave waiting: close",
        "  no deadline: a reply takes its time",
    ]


def test_more_links_than_are_followed_are_said(tmp_path):
    """By `explain` and by `history`; few links say nothing."""
    path = tmp_path / "t.db"
    names = [f"n{number}" for number in range(70)]
    with open_tape(path) as engine:
        engine.create(HUB, "few", {"others": [hub("n1")]})
        engine.create(HUB, "many", {"others": [hub(name) for name in names]})
        engine.execute_many([Create(HUB, hub(name)) for name in names])

    said = "  and perhaps others: not all links were followed"
    for command in ("explain", "history"):
        assert said in told(path, command, "many")
        assert said not in told(path, command, "few")


def test_ages_are_counted_to_now_unless_another_time_is_given(stuck):
    """A time that is none is refused."""
    first = stuck.lines("explain", "story.client/7")[0]

    assert re.search(r"\(\d+d( \d+h)? ago\)", first)
    with pytest.raises(ValueInvalid):
        stuck("explain", "story.client/7", "--now", "yesterday")


def test_history_merges_what_is_linked_and_says_whose_each_entry_is(stuck):
    """In the order of the tape, labelled by machine; what caused or raised it is named."""
    lines = stuck.lines("history", "story.client/7")
    entries = [line for line in lines if re.match(r" +\d+  ", line)]

    assert lines[:4] == [
        "story.client/7",
        "  client    story.client/7",
        "  provider  story.provider/7  (link provider)",
        "  lane      story.lane/shared  (link lane)",
    ]
    assert [line.replace("2020-09-13T12:26:", "").strip() for line in entries] == [
        "3  40Z  lane      create  accepted   → ready",
        "5  40Z  client    create  accepted   → asked",
        "7  40Z  provider  create  accepted   → fresh",
        "8  41Z  client    complete  rejected  in asked  by node",
        "9  41Z  provider  block  deferred  in fresh  ← 8",
        "10  43Z  client    accepted  accepted  asked → ongoing",
        "11  43Z  client    block  accepted  in ongoing",
        "12  43Z  client    pay  rejected  in ongoing",
        "13  43Z  client    pay  accepted  in ongoing",
        "14  43Z  lane      voucher  accepted  in ready  ← 13 (raised)",
        "15  43Z  client    hello  rejected  in ongoing",
    ]
    assert "          raises: voucher to story.lane/shared" in lines


def test_history_alone_is_of_one_instance(stuck):
    """No labels, no legend: as of an instance that nothing is linked to."""
    lines = stuck.lines("history", "story.provider/7", "--alone")

    assert lines == [
        "story.provider/7",
        "       7  2020-09-13T12:26:40Z  create  accepted   → fresh",
        "          asked: peer=story.client/7",
        "          set: paid=0 FIL, peer=story.client/7, sent=0",
        "       9  2020-09-13T12:26:41Z  block  deferred  in fresh  ← 8",
        "          asked: total=5",
        "          it is accepted in: ongoing",
    ]


def test_history_tells_timers_and_offers_from_commands(tmp_path):
    """A fired timer, a parked command offered again, another given up."""
    path, clock = tmp_path / "t.db", Clock()
    with open_tape(path, clock) as engine:
        retrieval(engine)
        engine.send(client("7"), "accepted")
        engine.send(client("7"), "hi")
        engine.send(provider("7"), "block", {"total": 1})
        clock.forward(61)
        engine.tick()
        engine.send(provider("7"), "block", {"total": 2})
        engine.send(provider("7"), "accept")
        clock.forward(301)
        engine.tick()
    lines = told(path, "history", client("7"))
    entries = [" ".join(line.split()[2:]) for line in lines if re.match(r" +\d+  ", line)]

    assert entries[4:] == [
        "provider block deferred in fresh",
        "provider block (parked at 8, given up) rejected in fresh",
        "provider block deferred in fresh",
        "provider accept accepted fresh → ongoing",
        "provider block (parked at 10, offered again) accepted in ongoing",
        "provider timer pay: lapse accepted ongoing → finished",
        "client timer stall: stalled accepted in ongoing ← 7",
    ]


def test_history_as_json_has_the_exact_entries_and_whose_they_are(stuck):
    """Members as on the tape, and the instance's name and state."""
    entries = stuck.json("history", "story.client/7")
    alone = stuck.json("history", "story.client/7", "--alone")

    assert [entry["pos"] for entry in entries] == [3, 5, *range(7, 16)]
    voucher = entries[9]
    assert voucher.pop("instance_name") == lane("shared")
    assert voucher.pop("state") == "ready"
    assert voucher == {
        "at": 1_600_000_003_000_000,
        "event": "voucher",
        "instance": 3,
        "outcome": "accepted",
        "params": {"total": "3"},
        "pos": 14,
        "raised": 13,
        "seq": 2,
        "set": {"total": "3"},
    }
    assert alone == [one for one in entries if one.get("instance_name") == client("7")]


def test_history_of_a_name_that_never_became_an_instance(tmp_path):
    """Its refused commands; of a name that nobody ever used, an error."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(COUNTER, "c")
        engine.send("test.counter/d", "add")
    run = Inside(path)

    assert run.lines("history", "test.counter/d") == [
        "test.counter/d",
        "       4  2020-09-13T12:26:40Z  add  rejected",
        "          there is no such instance (unknown_instance)",
    ]
    [entry] = run.json("history", "test.counter/d")
    assert (entry["instance_name"], entry["state"]) == ("test.counter/d", None)
    with pytest.raises(InstanceUnknown):
        run("history", "test.counter/e")


def test_labels_tell_instances_of_one_machine_apart(tmp_path):
    """By their keys; long keys by their ends."""
    path = tmp_path / "t.db"
    keys = ["a", "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"]
    with open_tape(path) as engine:
        engine.create(HUB, "own", {"others": [hub(key) for key in keys]})
        for key in keys:
            engine.create(HUB, key)

    assert [line.split()[0] for line in told(path, "history", "own")[1:4]] == [
        "hub/own",
        "hub/a",
        "hub/…lgtqy55fbzdi",
    ]


def test_the_how_tos_transcript_is_what_is_printed(tmp_path):
    """Line by line; `make docs` writes it."""
    assert how_to(tmp_path) == HOW_TO.read_text()


def test_every_json_key_is_documented(stuck):
    """In the how-to's table, for the whole and for each part."""
    text = HOW_TO.read_text()
    whole = stuck.json("explain", "story.client/7")
    keys = set(whole)
    for one in whole["story"]:
        keys |= set(one)
        for part in ("ledger", "timers", "parked", "effects"):
            keys |= {key for item in one[part] for key in item}
    for event in whole["accepted"]:
        keys |= set(event) | {key for item in event["params"] + event["leads"] for key in item}

    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []

"""Which instances belong to one story: by declaration, by what was raised, by what was caused."""

from __future__ import annotations

import pytest
from statetape.engine.links import MEMBERS_MAX, MISSING_MAX

from .machines import COUNTER, open_tape
from .stories import (
    HUB,
    LANE,
    PROVIDER,
    client,
    hub,
    lane,
    provider,
    retrieval,
    story,
)


def tied(engine, key: str, *others: str, one: str = "", two: str = "") -> str:
    """Begin a hub that names others, in a list or alone; returns its name."""
    engine.create(HUB, key, {"others": list(others), "one": one, "two": two})
    return hub(key)


def vias(group) -> dict[str, str | None]:
    """Return what ties each instance of a story to it."""
    return {member.name: member.via for member in group.members}


def test_a_retrieval_is_one_story_from_whichever_end(tmp_path):
    """Client, provider and lane; the one asked about first, links in the order of the file."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(LANE, "shared")
        retrieval(engine)

    assert vias(story(path, client("7"))) == {
        client("7"): None,
        provider("7"): "link provider",
        lane("shared"): "link lane",
    }
    assert story(path, provider("7")).names == [provider("7"), client("7"), lane("shared")]


def test_an_instance_that_names_nobody_is_alone(tmp_path):
    """The control: no links, no causes, however many others there are."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        retrieval(engine)
        engine.create(PROVIDER, "alone")
        engine.create(COUNTER, "alone")

    for name in (provider("alone"), "test.counter/alone"):
        group = story(path, name)
        assert (group.names, group.missing, group.more) == ([name], (), False)


def test_a_namesake_that_links_here_belongs(tmp_path):
    """The same key under another machine, and it names this one; else a key is only a key."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(LANE, "7")
        tied(engine, "7", one=lane("7"))
        engine.create(LANE, "8")
        tied(engine, "8")

    assert vias(story(path, lane("7"))) == {lane("7"): None, hub("7"): "its link one"}
    assert story(path, lane("8")).names == [lane("8")]


def test_a_name_that_is_not_on_the_tape_is_said(tmp_path):
    """Named by a link, or handed an event; it stands beside those that are there."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        retrieval(engine)
        told = tied(engine, "a")
        engine.send(told, "tell", {"to": hub("nobody")})

    [missing] = story(path, client("7")).missing
    [untold] = story(path, told).missing
    assert (missing.name, missing.via, missing.why) == (
        lane("shared"),
        "link lane",
        "not on this tape",
    )
    assert (untold.name, untold.via) == (hub("nobody"), "tie raised at 8")


def test_cyclic_links_end(tmp_path):
    """Each is named once, however often it is reached; one that names itself is alone."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        tied(engine, "a", one=hub("b"), two=hub("a"))
        tied(engine, "b", one=hub("c"))
        tied(engine, "c", one=hub("a"), two=hub("b"))
        tied(engine, "d", hub("d"), one=hub("d"))

    assert story(path, hub("a")).names == [hub("a"), hub("b"), hub("c")]
    assert story(path, hub("c")).names == [hub("c"), hub("a"), hub("b")]
    assert story(path, hub("d")).names == [hub("d")]


def test_who_names_many_does_not_tie_them_to_each_other(tmp_path):
    """A list is followed from the one asked about; from another, only a link to one is."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        tied(engine, "hub", hub("a"), hub("b"), one=hub("its own"))
        tied(engine, "a", one=hub("hub"))
        tied(engine, "b", one=hub("hub"))
        tied(engine, "its own")

    assert story(path, hub("a")).names == [hub("a"), hub("hub"), hub("its own")]
    assert story(path, hub("hub")).names == [hub("hub"), hub("a"), hub("b"), hub("its own")]


def test_links_are_followed_as_they_are_now(tmp_path):
    """A link that the data does not hold any more ties nothing."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        tied(engine, "a", hub("b"))
        tied(engine, "b")
        tied(engine, "c")
        engine.send(hub("a"), "tie", {"others": [hub("c")]})

    assert story(path, hub("a")).names == [hub("a"), hub("c")]


def test_a_link_that_cannot_be_evaluated_ties_nothing(tmp_path):
    """It reads a height, and none is known; once one is, it ties."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        tied(engine, "a", one=hub("b"))
        tied(engine, "b")
        tied(engine, "high")
    before = story(path, hub("a"))
    with open_tape(path) as engine:
        engine.observe("moon", 6)

    assert before.names == [hub("a"), hub("b")]
    assert story(path, hub("a")).names == [hub("a"), hub("b"), hub("high")]


def test_what_was_raised_leads_both_ways(tmp_path):
    """From who raised an event to whom it was for, and back."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        tied(engine, "a")
        tied(engine, "b")
        engine.send(hub("a"), "tell", {"to": hub("b")})

    assert vias(story(path, hub("a")))[hub("b")] == "tie raised at 5"
    assert vias(story(path, hub("b")))[hub("a")] == "raised 6"


def test_a_shared_lane_does_not_tie_its_retrievals_to_each_other(tmp_path):
    """Each leads to the lane; the lane's own story has all of them."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(LANE, "shared")
        for key in "123":
            retrieval(engine, key)
            engine.send(client(key), "accepted")
            engine.send(client(key), "block", {"total": 10})
            engine.send(client(key), "pay", {"amount": 1})

    assert story(path, client("2")).names == [client("2"), provider("2"), lane("shared")]
    assert set(story(path, lane("shared")).names) == {
        lane("shared"),
        *(side(key) for key in "123" for side in (client, provider)),
    }


def test_a_cause_ties_and_a_creations_cause_goes_back_to_the_beginning(tmp_path):
    """a's entry caused b, b's entry caused c: each creation's parent counts with its own."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        tied(engine, "a")
        first = engine.send(hub("a"), "tie", {"others": []})
        engine.create(HUB, "b", cause=first.pos)
        second = engine.send(hub("b"), "tie", {"others": []})
        engine.create(HUB, "c", cause=second.pos)
        tied(engine, "apart")

    assert vias(story(path, hub("c"))) == {
        hub("c"): None,
        hub("b"): f"caused {second.pos + 1}",
        hub("a"): f"caused {first.pos + 1}",
    }
    assert story(path, hub("apart")).names == [hub("apart")]


def test_a_refused_entrys_cause_ties_too(tmp_path):
    """What was refused is part of the story."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        tied(engine, "a")
        cause = engine.send(hub("a"), "nonsense")
        tied(engine, "b")
        engine.send(hub("b"), "nonsense", cause=cause.pos)

    assert story(path, hub("b")).names == [hub("b"), hub("a")]


def test_causes_that_are_no_instances_tie_nothing(tmp_path):
    """A head, a machine's text, a command to nobody."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        tied(engine, "a")
        head = engine.observe("moon", 1)
        nobody = engine.send(hub("nobody"), "tie", {"others": []})
        for cause in (2, head.pos, nobody.pos):
            engine.send(hub("a"), "ask", cause=cause)

    group = story(path, hub("a"))
    assert (group.names, group.missing) == ([hub("a")], ())


def test_what_an_own_entry_caused_counts_with_what_that_led_to(tmp_path):
    """b is linked; its entry that a caused handed something to c: c belongs, b's other peer not."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        tied(engine, "a", hub("b"))
        for key in ("b", "c", "other"):
            tied(engine, key)
        cause = engine.send(hub("a"), "ask")
        engine.send(hub("b"), "tell", {"to": hub("other")})
        engine.send(hub("b"), "tell", {"to": hub("c")}, cause=cause.pos)

    assert story(path, hub("a")).names == [hub("a"), hub("b"), hub("c")]


@pytest.mark.parametrize(("count", "more"), [(MEMBERS_MAX - 1, False), (100, True)])
def test_a_hundred_links_are_bounded_and_said(tmp_path, count, more):
    """The first ones, in order, each time the same; that there are others is said."""
    path = tmp_path / "t.db"
    names = [hub(f"n{number}") for number in range(count)]
    with open_tape(path) as engine:
        tied(engine, "a", *names)
        for name in names:
            tied(engine, name.partition("/")[2])
    group = story(path, hub("a"))

    assert group.names == [hub("a"), *names[: MEMBERS_MAX - 1]]
    assert group.more is more
    assert story(path, hub("a")).names == group.names


def test_names_of_nobody_are_bounded_and_said(tmp_path):
    """A list of a thousand names is not looked up to its end."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        tied(engine, "a", *(hub(f"n{number}") for number in range(1000)))
    group = story(path, hub("a"))

    assert (len(group.missing), group.more) == (MISSING_MAX, True)

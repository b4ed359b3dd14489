"""Why an instance is where it is: who has waited longest, what was refused, what is open."""

from __future__ import annotations

from statetape.engine.commands import Send
from statetape.engine.explain import explain, way
from statetape.engine.inspect import Inspector
from statetape.engine.links import OWN_READ_MAX

from .machines import COUNTER, LEASE, START, Clock, open_tape
from .stories import (
    CLIENT,
    HUB,
    LANE,
    MINUTE,
    client,
    explained,
    hub,
    lane,
    provider,
    retrieval,
)


def oldest(path, name: str) -> str | None:
    """Name who has waited longest in the story of an instance."""
    found = explained(path, name).oldest
    return found.name if found else None


def test_the_entry_that_brought_it_there_is_named(tmp_path):
    """Not a later one that only moved data; and how long ago, against the `now` given."""
    path, clock = tmp_path / "t.db", Clock()
    with open_tape(path, clock) as engine:
        retrieval(engine)
        clock.forward(30)
        moved = engine.send(client("7"), "accepted")
        clock.forward(30)
        engine.send(client("7"), "block", {"total": 10})

    since = explained(path, client("7"), clock.now).place.since
    assert (since.entry.pos, since.entry.event, since.exact) == (moved.pos, "accepted", True)
    assert since.json(clock.now)["age_us"] == MINUTE // 2


def test_who_has_waited_longest_is_named_and_no_more_once_it_moved(tmp_path):
    """The provider first, created later; when it has its deal, the client."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        retrieval(engine)
        engine.send(client("7"), "accepted")
    before = [oldest(path, name) for name in (client("7"), provider("7"))]
    with open_tape(path) as engine:
        engine.send(provider("7"), "accept")
    after = [oldest(path, name) for name in (client("7"), provider("7"))]

    assert before == [provider("7")] * 2
    assert after == [client("7")] * 2


def test_a_final_instance_waits_for_nothing(tmp_path):
    """However long it is over; when all are, nobody is named."""
    path, clock = tmp_path / "t.db", Clock()
    with open_tape(path, clock) as engine:
        retrieval(engine)
        engine.send(provider("7"), "accept")
        engine.send(provider("7"), "finish")
        engine.send(client("7"), "accepted")
    first = oldest(path, provider("7"))
    with open_tape(path, clock) as engine:
        engine.send(client("7"), "complete")

    assert first == client("7")
    assert oldest(path, provider("7")) is None


def test_a_state_at_rest_is_no_expectation(tmp_path):
    """It says why it needs no deadline, and expects nothing."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(LANE, "shared")
        retrieval(engine)

    place = explained(path, lane("shared")).place
    assert (place.no_deadline, place.waits) == ("it is used when it is needed", False)
    assert oldest(path, lane("shared")) is None
    assert oldest(path, client("7")) == client("7")


def test_who_may_wait_for_long_comes_behind_who_may_not(tmp_path):
    """A state that says why it needs no deadline is named only where nobody else waits."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(HUB, "patient", {"one": client("7")})
        engine.send(hub("patient"), "ask")
        alone = oldest(path, hub("patient"))
        retrieval(engine)

    assert alone == hub("patient")
    assert oldest(path, hub("patient")) == client("7")


def test_without_a_word_of_its_state_an_instance_waits_for_what_moves_it(tmp_path):
    """The events that leave the state; what only a timer raises is nobody's move."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        retrieval(engine)
        engine.send(provider("7"), "accept")
        engine.create(LEASE, "l")
        engine.send("test.lease/l", "take")
    place = explained(path, provider("7")).place

    assert (place.expects, place.moves, place.leaving) == (None, ["finish"], ["finish", "lapse"])
    assert explained(path, "test.lease/l").place.moves == ["release"]


def test_what_came_too_early_and_would_be_taken_now_is_found(tmp_path):
    """The race of 6/27: Complete overtook, was refused, and is what everybody waits for."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        retrieval(engine)
        early = engine.send(client("7"), "complete")
        engine.send(client("7"), "block", {"total": 1})
        engine.send(client("7"), "block", {"total": 2})
        engine.send(client("7"), "nonsense")
        before = explained(path, client("7")).place
        engine.send(client("7"), "accepted")
        late = explained(path, client("7")).place

    assert before.missed == []
    assert [entry.event for entry in before.refused] == ["nonsense", "block", "block", "complete"]
    assert [(one.event, one.pos) for one in late.missed] == [("complete", early.pos), ("block", 8)]
    assert (late.refused, late.refused_count) == ([], 0)


def test_what_was_refused_ignored_or_parked_since_is_told_newest_first(tmp_path):
    """And not what was accepted, nor what was refused in an earlier state."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        retrieval(engine)
        told = [
            engine.send(provider("7"), "finish"),
            engine.send(provider("7"), "block", {"total": 1}),
            engine.send(provider("7"), "hello"),
        ]
        place = explained(path, provider("7")).place
        engine.send(provider("7"), "accept")

    assert [one.outcome for one in told] == ["rejected", "deferred", "ignored"]
    assert [entry.pos for entry in place.refused] == [one.pos for one in reversed(told)]
    assert explained(path, provider("7")).place.refused == []


def test_the_way_to_a_state_that_takes_it_is_the_shortest(tmp_path):
    """What would have had to happen first; none where no event leads there."""
    assert way(CLIENT, "asked", ["checking"]) == [("accepted", "ongoing"), ("check", "checking")]
    assert way(CLIENT, "ongoing", ["asked"]) == []


def test_ledgers_are_computed_from_the_data_as_it_is(tmp_path):
    """Of each instance that declares one, exact; one that cannot be computed says why."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(LANE, "shared")
        retrieval(engine)
        engine.send(client("7"), "accepted")
        engine.send(client("7"), "block", {"total": 10**30})
        engine.send(client("7"), "pay", {"amount": 5})
    places = explained(path, client("7")).places

    assert [(one.name, one.type, one.value) for one in places[0].ledger] == [
        ("bytes", "uint", str(10**30)),
        ("paid", "attofil", "5"),
        ("amount_due", "attofil", str(2 * 10**30 - 5)),
    ]
    assert [one.shown for one in places[2].ledger] == ["5 attofil"]


def test_timers_say_what_they_raise_and_when(tmp_path):
    """By wall clock and by height; overdue ones too, and a height that nobody knows."""
    path, clock = tmp_path / "t.db", Clock()
    with open_tape(path, clock) as engine:
        engine.create(LEASE, "l")
        engine.send("test.lease/l", "take", {"until": 50})
    unknown = explained(path, "test.lease/l", START).place.timers
    with open_tape(path, clock) as engine:
        engine.observe("moon", 41)
    early, late = (explained(path, "test.lease/l", START + s * 10**6).place.timers for s in (4, 12))

    assert [(one.name, one.event, one.left) for one in unknown] == [
        ("lapse", "lapsed", 10_000_000),
        ("expiry", "expired", None),
    ]
    assert [(one.left, one.overdue) for one in early] == [(6_000_000, False), (9, False)]
    assert [(one.left, one.overdue) for one in late] == [(-2_000_000, True), (9, False)]


def test_a_stalled_instance_names_what_was_refused_last(tmp_path):
    """Its watchdog's entry is of the story, and names its cause."""
    path, clock = tmp_path / "t.db", Clock()
    with open_tape(path, clock) as engine:
        retrieval(engine)
        engine.send(client("7"), "accepted")
        refused = engine.send(client("7"), "nonsense")
        clock.forward(301)
        engine.tick()
    with Inspector.open(path) as inspector:
        [stalled] = [one for one in inspector.history(client("7")) if one.event == "stalled"]
        place = explain(inspector, client("7"), clock.now).place

    assert (stalled.cause, stalled.params) == (refused.pos, {"refused": "nonsense"})
    assert [entry.pos for entry in place.refused] == [refused.pos]
    assert place.timers == []


def test_a_parked_command_says_who_takes_it_and_when_it_is_given_up(tmp_path):
    """Once it was offered again there is nothing to say."""
    path, clock = tmp_path / "t.db", Clock()
    with open_tape(path, clock) as engine:
        retrieval(engine)
        parked = engine.send(provider("7"), "block", {"total": 1})
        [one] = explained(path, provider("7")).place.parked
        [timer] = explained(path, provider("7")).place.timers
        engine.send(provider("7"), "accept")

    assert (one.entry.pos, one.accepted_in, one.expires) == (
        parked.pos,
        ["ongoing"],
        START + MINUTE,
    )
    assert timer.name == "boredom"
    assert explained(path, provider("7")).place.parked == []


def test_effects_are_open_until_every_consumer_has_acknowledged_them(tmp_path):
    """Without a consumer they are nobody's; what was done earlier is not told."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(LANE, "shared")
        retrieval(engine)
        engine.send(client("7"), "accepted")
        engine.send(client("7"), "block", {"total": 10})
        paid = engine.send(client("7"), "pay", {"amount": 3})
        nobody = explained(path, client("7")).place.effects
        engine.acknowledge("sender", paid.pos - 1)
        behind = explained(path, client("7")).place.effects
        engine.acknowledge("sender", paid.pos)
        done = explained(path, client("7")).place.effects

    effect = {"do": "send_voucher", "total": "3"}
    assert [(one.pos, one.effect, one.behind) for one in nobody] == [(paid.pos, effect, [])]
    assert [one.behind for one in behind] == [["sender"]]
    assert done == []


def test_a_very_long_life_is_told_from_its_end(tmp_path):
    """The entry that it came by lies too far back: it says since before when, and that it is so."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(COUNTER, "c", {"limit": 10**9})
        refused = engine.send("test.counter/c", "nonsense")
        engine.execute_many([Send("test.counter/c", "add")] * OWN_READ_MAX)
    place = explained(path, "test.counter/c").place

    assert (place.since.exact, place.since.entry.seq) == (False, 3)
    assert [entry.pos for entry in place.refused] == [refused.pos]
    assert place.refused_count == 1


def test_json_has_the_whole_story(tmp_path):
    """Of the instance what `show` has, then each instance of the story."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        retrieval(engine)
        engine.send(client("7"), "complete")
    told = explained(path, client("7"), START + MINUTE).json()

    assert told["oldest_unmet"] == client("7")
    assert [one["instance"] for one in told["story"]] == [client("7"), provider("7")]
    assert [one["expects"] for one in told["story"]] == [
        "the provider's acceptance",
        "the client's deal",
    ]
    assert told["missing"] == [
        {"instance": lane("shared"), "via": "link lane", "why": "not on this tape"}
    ]
    assert told["since"] == {
        "pos": 3,
        "at": START,
        "age_us": MINUTE,
        "exact": True,
        "event": "create",
    }
    [refused] = told["refused"]
    assert refused["reason"]["accepted_in"] == ["ongoing", "checking"]
    assert told["accepted"][0] == {
        "event": "accepted",
        "params": [],
        "leads": [{"to": "ongoing", "when": None}],
    }

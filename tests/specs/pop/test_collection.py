"""Garbage collection by replay: what is alive follows from the tape, and nothing alive goes."""

from __future__ import annotations

import re
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from statetape.specs.pop.collection import BLOCKS_MAX, Collection, wrongly_collected

from .node import Node

INDEX = "index/main"
LINK = "pop.index/main"
EXPLANATION = Path(__file__).resolve().parents[3] / "docs/explanation/a-delivery-node.md"


def add(node, name, *blocks, **params):
    """Index a root of these blocks."""
    node.new(f"ref/{name}", **({"size": 1, "index": LINK, "blocks": list(blocks)} | params))


def drop(node, name):
    """Drop a root."""
    node.ok(f"ref/{name}", "Tagged", reason="not wanted")


def folded(node):
    """Return the fold of the whole tape."""
    return Collection().apply_all(node.entries())


def sweep(node, run="gc-1"):
    """Run a collection as a host would: fold, begin, take batch by batch, finish."""
    plan = folded(node)
    node.ok(INDEX, "GcStarted", run=run, reason="after commit", upto=plan.upto)
    for batch in plan.plan():
        node.ok(INDEX, "BlocksCollected", **batch.params())
    node.ok(INDEX, "GcFinished")


def deleted(node):
    """Return the blocks that the outside was told to delete, in order."""
    return [block for effect in node.effects("DeleteBlocks") for block in effect["blocks"]]


def test_a_block_of_two_dags_stays_until_both_are_gone(node):
    """pop deleted it with the first, and the second was broken."""
    node.new(INDEX)
    add(node, "a", "shared", "only-a")
    add(node, "b", "shared", "only-b")
    drop(node, "a")
    sweep(node)
    assert deleted(node) == ["only-a"]
    node.crash()
    drop(node, "b")
    sweep(node, "gc-2")

    assert deleted(node) == ["only-a", "shared", "only-b"]
    assert wrongly_collected(node.entries()) == []


def test_the_tape_says_what_went_what_stayed_and_why(node):
    """The run, its reason, each block, and for each that stays the root that holds it."""
    node.new("node/n", index=LINK)
    node.new(INDEX, node="pop.node/n")
    add(node, "a", "shared", "only-a")
    add(node, "b", "shared")
    drop(node, "a")
    sweep(node)

    [entry] = [one for one in node.entries() if one.get("event") == "BlocksCollected"]
    assert (entry["params"]["blocks"], entry["params"]["kept"]) == (["only-a"], {"shared": "b"})
    assert (node.state("ref/a"), node.data("ref/a")["run"]) == ("Collected", "gc-1")
    last = node.data("node/n")["last_sweep"]
    assert {name: last[name] for name in ("run", "reason", "refs", "blocks", "kept")} == {
        "run": "gc-1",
        "reason": "after commit",
        "refs": 1,
        "blocks": 1,
        "kept": 1,
    }


def test_the_collection_in_the_explanation_works(node):
    """The program of docs/explanation/a-delivery-node.md, as it stands there."""
    [program] = re.findall(
        r"^```python\n(.*?)^```$", EXPLANATION.read_text(), re.MULTILINE | re.DOTALL
    )
    node.new(INDEX)
    add(node, "a", "shared", "only-a")
    add(node, "b", "shared")
    drop(node, "a")
    exec(program, {"engine": node.engine})

    assert (deleted(node), node.state("ref/a")) == (["only-a"], "Collected")


def test_a_collection_that_takes_a_shared_block_is_found_out(node):
    """The control: a host that folded nothing, and says that nobody holds it."""
    node.new(INDEX)
    add(node, "a", "shared")
    add(node, "b", "shared")
    drop(node, "a")
    node.ok(INDEX, "GcStarted", run="gc-1", reason="careless", upto=0)
    node.ok(INDEX, "BlocksCollected", ref="pop.ref/a", root="a", blocks=["shared"])

    [wrong] = wrongly_collected(node.entries())
    assert (wrong.block, wrong.why) == ("shared", "collected, and b holds it")


def test_a_block_that_is_kept_for_nobody_is_found_out_too(node):
    """It would fill the disk without a reason."""
    node.new(INDEX)
    add(node, "a", "only-a")
    add(node, "b", "only-b")
    drop(node, "a")
    node.ok(INDEX, "GcStarted", run="gc-1", reason="lazy", upto=0)
    kept = {"only-a": "b"}
    node.ok(INDEX, "BlocksCollected", ref="pop.ref/a", root="a", blocks=[], kept=kept)

    assert [wrong.why for wrong in wrongly_collected(node.entries())] == [
        "kept for b, and nobody holds it"
    ]


def test_nothing_is_collected_while_a_root_is_being_listed(node):
    """Its further blocks may be those of the one that left."""
    node.new(INDEX)
    add(node, "a", "x")
    add(node, "b", "y", more=1)
    drop(node, "a")
    assert node.refused(INDEX, "GcStarted", run="gc-1", reason="r", upto=9) == "REF_BEING_LISTED"
    node.ok("ref/b", "BlocksAdded", part=1, blocks=["x"])
    sweep(node)

    assert deleted(node) == []


def test_a_plan_is_void_when_the_index_moved(node):
    """A root with the same block came between the plan and the sweep: nothing goes."""
    node.new(INDEX)
    add(node, "a", "x")
    drop(node, "a")
    plan = list(folded(node).plan())
    node.ok(INDEX, "GcStarted", run="gc-1", reason="r", upto=0)
    add(node, "b", "x")
    assert node.refused(INDEX, "BlocksCollected", **plan[0].params()) == "INDEX_MOVED"
    node.ok(INDEX, "GcAborted", reason="planned anew")
    sweep(node, "gc-2")

    assert (deleted(node), node.state("ref/a")) == ([], "Collected")


def test_a_collection_that_goes_silent_is_over_and_the_next_one_takes_the_rest(node):
    """The node died in the middle: what was told to be deleted stays told, and is told once."""
    node.new(INDEX)
    for name in ("a", "b"):
        add(node, name, f"only-{name}")
    for name in ("a", "b"):
        drop(node, name)
    first, _ = folded(node).plan()
    node.ok(INDEX, "GcStarted", run="gc-1", reason="r", upto=0)
    node.ok(INDEX, "BlocksCollected", **first.params())
    node.crash()
    node.forward(600)
    assert node.state(INDEX) == "Ready"
    sweep(node, "gc-2")

    assert deleted(node) == ["only-a", "only-b"]


def test_a_busy_index_does_not_hide_that_its_collection_is_silent(node):
    """What is used meanwhile is no word of the collection."""
    node.new(INDEX)
    add(node, "a", "x")
    node.ok(INDEX, "GcStarted", run="gc-1", reason="r", upto=0)
    for _ in range(10):
        node.forward(60)
        if node.state(INDEX) == "Sweeping":
            node.ok("ref/a", "Used")

    assert node.state(INDEX) == "Ready"


def test_a_root_that_is_indexed_is_not_collected(node):
    """Nor is one held for a root that is not: the refusals of a wrong host."""
    node.new(INDEX)
    add(node, "a", "x")
    add(node, "b", "y")
    drop(node, "b")
    node.ok(INDEX, "GcStarted", run="gc-1", reason="r", upto=0)
    mine = {"ref": "pop.ref/a", "root": "a", "blocks": ["x"]}
    gone = {"ref": "pop.ref/b", "root": "b"}

    assert node.refused(INDEX, "BlocksCollected", **mine) == "STILL_INDEXED"
    both = {"blocks": ["y"], "kept": {"y": "a"}}
    assert node.refused(INDEX, "BlocksCollected", **gone, **both) == "BLOCK_IS_SHARED"
    nobody = {"blocks": [], "kept": {"y": "c"}}
    assert node.refused(INDEX, "BlocksCollected", **gone, **nobody) == "HOLDER_NOT_INDEXED"


def test_blocks_come_in_lists_that_fit_into_an_entry(node):
    """A DAG of 1100 blocks leaves in three entries; its last one ends it."""
    node.new(INDEX)
    blocks = [f"block-{number:04}" for number in range(1100)]
    add(node, "a", *blocks[:500], more=600)
    node.ok("ref/a", "BlocksAdded", part=1, blocks=blocks[500:1000])
    node.ok("ref/a", "BlocksAdded", part=2, blocks=blocks[1000:])
    drop(node, "a")
    batches = [(len(batch.blocks), batch.last) for batch in folded(node).plan()]
    sweep(node)

    assert batches == [(BLOCKS_MAX, False), (BLOCKS_MAX, False), (76, True)]
    assert (deleted(node), node.state("ref/a")) == (blocks, "Collected")


def test_what_waits_too_long_for_a_collection_asks_for_one(node):
    """After an hour, and then ever more rarely."""
    node.new(INDEX)
    add(node, "a", "x")
    drop(node, "a")
    asked = []
    for hours in (1, 1, 1):
        node.forward(3600 * hours)
        asked.append(len(node.effects("CollectGarbage")))

    assert asked == [1, 1, 2]


moves = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.sets(st.integers(0, 7), min_size=1, max_size=4)),
        st.tuples(st.just("drop"), st.integers(0, 9)),
        st.tuples(st.just("sweep"), st.none()),
        st.tuples(st.just("crash"), st.none()),
    ),
    max_size=18,
)


@settings(max_examples=12, deadline=None)
@given(moves)
def test_the_disk_holds_exactly_what_the_roots_need(tmp_path_factory, moves):
    """The oracle is a set of blocks on disk, and a dict of roots; it knows no tape."""
    node = Node(tmp_path_factory.mktemp("gc"))
    node.new(INDEX)
    disk: set[str] = set()
    roots: dict[int, set[str]] = {}
    for number, (move, what) in enumerate(moves):
        if move == "add":
            roots[number] = {f"b{block}" for block in what}
            disk |= roots[number]
            add(node, f"r{number}", *sorted(roots[number]))
        elif move == "drop" and roots:
            victim = sorted(roots)[what % len(roots)]
            del roots[victim]
            drop(node, f"r{victim}")
        elif move == "sweep":
            before = len(deleted(node))
            sweep(node, f"gc-{number}")
            disk -= set(deleted(node)[before:])
            assert disk == set().union(*roots.values())
        elif move == "crash":
            node.crash()

    fold = folded(node)
    node.close()
    assert fold.live() == frozenset(set().union(*roots.values()))
    assert fold.wrong == []


@settings(max_examples=5, deadline=None)
@given(moves, st.integers(0, 60))
def test_a_fold_may_stop_and_go_on(tmp_path_factory, moves, at):
    """Half the tape now and the rest later is the whole tape."""
    node = Node(tmp_path_factory.mktemp("gc"))
    node.new(INDEX)
    for number, (move, what) in enumerate(moves):
        if move == "add":
            add(node, f"r{number}", *(f"b{block}" for block in sorted(what)))
            if number % 3 == 0:
                drop(node, f"r{number}")
        elif move == "sweep":
            sweep(node, f"gc-{number}")
    entries = node.entries()
    halves = Collection().apply_all(entries[:at]).apply_all(entries[at:])
    whole = Collection().apply_all(entries)
    node.close()

    assert (halves.live(), list(halves.plan())) == (whole.live(), list(whole.plan()))

"""The dispatch machine and its other side: whom it asks, whom it believes, who may pull."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.specs.pop.caching_proof import proof_of_blocks
from statetape.specs.pop.replicas import chosen_peers

D = "dispatch/d1"
BLOCKS = {b"\x01": b"one", b"\x02": b"two"}
ROOT = b"\x01"
DAY = 86_400


def begin(node, **params):
    """Begin the dispatch of a root to two peers."""
    node.new(D, **({"root": "bafyroot", "factor": 2, "attempts": 1} | params))


def ask(node, *peers):
    """Say who is connected; returns who was asked in this round."""
    sent = len(node.effects("SendRequests"))
    node.ok(D, "PeersSelected", peers=list(peers))
    return [peer for effect in node.effects("SendRequests")[sent:] for peer in effect["peers"]]


def challenge(node, peer, number=0):
    """Ask a peer for its proof; returns its seed, and the proof over our own blocks."""
    seed = bytes([number]) * 16
    proof = proof_of_blocks(ROOT, seed, BLOCKS)
    node.ok(D, "ProofRequested", peer=peer, seed=seed.hex(), expected=proof.hex())
    return seed, proof


# whom it asks


def test_listed_peers_come_first_and_nobody_twice(node):
    """The second round asks who is left; a listed peer that is not connected is not asked."""
    begin(node, peers=["p4", "p9", "p2"], factor=3)
    assert ask(node, "p1", "p2", "p3", "p2", "p4") == ["p4", "p2", "p1"]
    node.forward(5)

    assert ask(node, "p1", "p2", "p3", "p4") == ["p3"]


def test_only_as_many_are_asked_as_copies_are_missing(node):
    """One has confirmed of two wanted: the next round asks one."""
    begin(node)
    ask(node, "p1", "p2")
    node.ok(D, "TransferCompleted", peer="p1")
    node.forward(5)

    assert node.data(D)["attempt"] == 1
    assert ask(node, "p3", "p4") == ["p3"]


@given(st.lists(st.integers(0, 9)), st.lists(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_the_choice_of_peers_holds_its_rules(listed, candidates, asked):
    """Connected, each once, never asked before, listed ones before all others."""
    names = [[str(one) for one in part] for part in (listed, candidates, sorted(asked))]
    chosen = chosen_peers(names[0], names[1], names[2], 3)
    open_ones = {one for one in names[1] if one not in names[2]}
    first = [peer for peer in chosen if peer in names[0]]

    assert len(chosen) == len(set(chosen)) == min(3, len(open_ones))
    assert set(chosen) <= open_ones
    assert list(chosen[: len(first)]) == first
    assert len(first) == min(3, len(open_ones & set(names[0])))


def test_rounds_back_off_and_end(node):
    """5 s, 10 s, 20 s; then the attempts are used up, with nobody asked in the last one."""
    begin(node, attempts=2, factor=1)
    ends = []
    for peers in (["p1"], ["p2"], []):
        ask(node, *peers)
        before = node.clock.now
        while node.state(D) == "RequestSent":
            node.forward(1)
        ends.append((node.clock.now - before) // 1_000_000)

    assert ends == [5, 10, 20]
    assert node.state(D) == "Exhausted"


def test_the_backoff_grows_to_an_hour_and_no_further(node):
    """The minimum doubles each round."""
    begin(node, attempts=100, factor=200, backoffMin=1_800_000_000)
    waits = []
    for _ in range(3):
        ask(node)
        waits.append((node.data(D)["round_ends"] - node.clock.now) // 1_000_000)
        node.forward(3600)

    assert waits == [1800, 3600, 3600]


def test_no_attempts_are_a_single_round(node):
    """The command line's commit has 0."""
    begin(node, attempts=0)
    ask(node, "p1")
    node.ok(D, "RequestsSent")
    node.forward(5)

    assert (node.state(D), node.refusals()) == ("Exhausted", [])


def test_a_round_does_not_end_early(node):
    """Nor are attempts used up, or the factor reached, because somebody says so."""
    begin(node)
    assert node.refused(D, "AttemptsExhausted") == "ROUNDS_ARE_LEFT"
    ask(node, "p1")

    assert node.refused(D, "BackoffElapsed") == "ROUND_NOT_OVER"
    assert node.refused(D, "FactorReached") == "COPIES_ARE_MISSING"


def test_nobody_who_selects_ends_it(node):
    """Ten minutes without a word about the peers, with an order and without one."""
    begin(node)
    node.new("dispatch/idle")
    assert node.refused("dispatch/idle", "PeersSelected", peers=["p1"]) == "NOT_ORDERED"
    node.forward(600)

    assert node.data(D)["reason"] == "nobody said which peers are connected"
    assert node.data("dispatch/idle")["reason"] == "no order came"


def test_it_is_ordered_once(node):
    """A second order, or one for nothing, is refused."""
    node.new(D)
    order = {"size": 1, "factor": 1, "attempts": 0, "backoffMin": 1}

    assert node.refused(D, "Ordered", root="", **order) == "ROOT_UNKNOWN"
    node.ok(D, "Ordered", root="bafyroot", **order)
    assert node.refused(D, "Ordered", root="bafyother", **order) == "ORDERED_BEFORE"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"factor": 257}, "FACTOR_TOO_LARGE"),
        ({"attempts": 101}, "TOO_MANY_ATTEMPTS"),
        ({"peers": ["p"] * 257}, "TOO_MANY_PEERS"),
        ({"tx": "pop.node/a"}, "LINK_INVALID"),
    ],
)
def test_a_dispatch_has_bounds(node, params, reason):
    """Whatever is beyond them is refused before it begins."""
    assert node.begin(D, root="bafyroot", **params).reason["reason"] == reason


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"factor": 257}, "FACTOR_TOO_LARGE"),
        ({"attempts": 101}, "TOO_MANY_ATTEMPTS"),
        ({"tx": "pop.node/a"}, "LINK_INVALID"),
    ],
)
def test_an_order_has_the_same_bounds(node, params, reason):
    """It waits for another one."""
    node.new(D)
    order = {"root": "bafyroot", "size": 1, "factor": 1, "attempts": 0, "backoffMin": 1}

    assert node.refused(D, "Ordered", **(order | params)) == reason


def test_nobody_names_thousands_of_candidates(node):
    """256 are more than enough to choose from."""
    begin(node)
    too_many = [f"p{number}" for number in range(257)]

    assert node.refused(D, "PeersSelected", peers=too_many) == "TOO_MANY_CANDIDATES"
    assert ask(node, *too_many[1:]) == ["p1", "p2"]


def test_a_dispatch_that_has_all_it_wants_wants_no_more(node):
    """Found in mid-life with its copies made and its rounds over, it takes neither."""
    later = node.clock.now + 60_000_000
    asked = {peer: {"round": 0, "at": 0} for peer in ("p1", "p2")}
    seed, proof = "00" * 16, "00" * 32
    fields = {
        "ordered": True,
        "factor": 1,
        "round_ends": later,
        "asked": asked,
        "confirmed": {"p1": "transfer"},
        "challenges": {"p2": {"seed": seed, "expected": proof}},
    }
    node.engine.create("pop.dispatch", "full", fields, state="BackingOff")
    node.engine.create("pop.dispatch", "over", {"ordered": True, "attempt": 1}, state="Requested")
    other = {"seed": "01" * 16, "expected": proof}

    full = "dispatch/full"
    assert node.refused(full, "TransferCompleted", peer="p2") == "COPIES_ARE_ENOUGH"
    assert node.refused(full, "ProofReceived", peer="p2", proof=proof) == "COPIES_ARE_ENOUGH"
    assert node.refused(full, "ProofRequested", peer="p1", **other) == "CONFIRMED_BEFORE"
    assert node.refused("dispatch/over", "PeersSelected", peers=["p1"]) == "ROUNDS_ARE_OVER"


# whom it believes


def test_a_true_proof_counts(node):
    """The same digest that was computed over our own blocks when the seed was drawn."""
    begin(node, factor=1)
    ask(node, "p1")
    seed, proof = challenge(node, "p1")
    [question] = node.effects("AskForProof")
    node.ok(D, "ProofReceived", peer="p1", proof=proof_of_blocks(ROOT, seed, BLOCKS).hex())

    assert (question["peer"], question["seed"]) == ("p1", seed.hex())
    assert proof.hex() not in str(question)
    assert (node.state(D), node.data(D)["confirmed"]) == ("Fulfilled", {"p1": "proof"})


@pytest.mark.parametrize(
    "lie",
    [
        proof_of_blocks(ROOT, bytes(16), {b"\x01": b"one", b"\x02": b"twO"}),
        proof_of_blocks(ROOT, bytes(16), dict.fromkeys(BLOCKS, b"")),
        proof_of_blocks(ROOT, b"\x07" * 16, BLOCKS),
        bytes(32),
        b"",
    ],
    ids=["another block", "no blocks", "another seed", "nothing", "empty"],
)
def test_a_lie_is_refused_recorded_and_does_not_count(node, lie):
    """The refusal has the proof that came and the one that was due; the peer counts for nothing."""
    begin(node, factor=1)
    ask(node, "p1")
    _, proof = challenge(node, "p1")
    receipt = node.send(D, "ProofReceived", peer="p1", proof=lie.hex())

    assert receipt.reason["reason"] == "PROOF_INVALID"
    assert receipt.reason["saw"]["expected"] == proof.hex()
    assert node.entries()[-1]["params"] == {"peer": "p1", "proof": lie.hex()}
    assert (node.state(D), node.data(D)["confirmed"]) == ("RequestSent", {})


def test_an_answer_is_not_copied_from_another_peer(node):
    """Each has a seed of its own; one that was used is refused."""
    begin(node)
    ask(node, "p1", "p2")
    seed, proof = challenge(node, "p1")
    repeated = node.refused(D, "ProofRequested", peer="p2", seed=seed.hex(), expected=proof.hex())
    challenge(node, "p2", number=1)
    node.ok(D, "ProofReceived", peer="p1", proof=proof.hex())

    assert repeated == "SEED_USED"
    assert node.refused(D, "ProofReceived", peer="p2", proof=proof.hex()) == "PROOF_INVALID"
    assert node.refused(D, "ProofReceived", peer="p1", proof=proof.hex()) == "CONFIRMED_BEFORE"


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"peer": "p9", "seed": "00" * 16, "expected": "00" * 32}, "PEER_NOT_ASKED"),
        ({"peer": "p1", "seed": "00" * 15, "expected": "00" * 32}, "SEED_NOT_16_BYTES"),
        ({"peer": "p1", "seed": "00" * 16, "expected": "00" * 31}, "PROOF_NOT_32_BYTES"),
    ],
)
def test_a_question_has_a_peer_that_was_asked_a_seed_and_an_answer(node, params, reason):
    """Anything else is refused, and nobody is asked."""
    begin(node)
    ask(node, "p1")

    assert node.refused(D, "ProofRequested", **params) == reason
    assert node.effects("AskForProof") == []


def test_a_proof_that_nobody_asked_for_is_refused(node):
    """From a stranger, and from a peer without a question."""
    begin(node)
    ask(node, "p1")

    assert node.refused(D, "ProofReceived", peer="p9", proof="00") == "PEER_NOT_ASKED"
    assert node.refused(D, "ProofReceived", peer="p1", proof="00") == "NO_PROOF_WAS_REQUESTED"


def test_a_proof_between_two_rounds_is_parked_and_counts_in_the_next(node):
    """It came while the peers of the next round were being looked for."""
    begin(node)
    ask(node, "p1")
    _, proof = challenge(node, "p1")
    node.forward(5)
    parked = node.send(D, "ProofReceived", peer="p1", proof=proof.hex())
    node.crash()
    ask(node, "p2")

    assert parked.outcome == "deferred"
    assert list(node.data(D)["confirmed"]) == ["p1"]


def test_a_failed_transfer_is_noted_and_its_peer_not_asked_again(node):
    """It may still finish later: then it counts."""
    begin(node)
    ask(node, "p1")
    node.ok(D, "TransferFailed", peer="p1", reason="hung up")
    node.forward(5)
    assert ask(node, "p1") == []
    node.ok(D, "TransferCompleted", peer="p1")

    assert node.refused(D, "TransferFailed", peer="p1") == "CONFIRMED_BEFORE"
    assert node.refused(D, "TransferCompleted", peer="p9") == "PEER_NOT_ASKED"
    assert list(node.data(D)["confirmed"]) == ["p1"]


# who may pull


def test_who_was_asked_may_pull_this_root_also_after_a_crash(node):
    """pop forgot, and refused its own guests as strangers."""
    begin(node)
    ask(node, "p1", "p2")
    node.crash()
    node.ok(D, "PullRequested", peer="p1", cid="bafyroot")

    assert node.effects("AcceptPull") == [{"do": "AcceptPull", "peer": "p1", "root": "bafyroot"}]


def test_a_stranger_may_not_pull_and_nobody_another_root(node):
    """The control: the same words of a peer that was not asked, and for what was not offered."""
    begin(node)
    ask(node, "p1")

    assert node.refused(D, "PullRequested", peer="p9", cid="bafyroot") == "PULL_NOT_AUTHORISED"
    assert node.refused(D, "PullRequested", peer="p1", cid="bafyother") == "ANOTHER_ROOT"
    assert node.refused(D, "PullAuthorized", peer="p9") == "PEER_NOT_ASKED"
    assert node.effects("AcceptPull") == []


def test_a_permission_to_pull_ends(node):
    """One microsecond before its end it holds; at its end it does not; a new one holds again."""
    begin(node, backoffMin=3_600_000_000, attempts=100, authorised_for=60_000_000)
    ask(node, "p1")
    node.forward(59.999999)
    node.ok(D, "PullRequested", peer="p1", cid="bafyroot")
    node.forward(0.000001)

    refused = node.send(D, "PullRequested", peer="p1", cid="bafyroot").reason
    assert (refused["reason"], sorted(refused["saw"])) == (
        "PULL_AUTHORISATION_EXPIRED",
        ["now", "until"],
    )
    node.ok(D, "PullAuthorized", peer="p1", lasts=1_000_000)
    node.ok(D, "PullRequested", peer="p1", cid="bafyroot")


# the other side


def test_a_cache_that_holds_the_content_proves_it_to_the_dispatcher(node):
    """Both sides, on one tape: the seed goes over, the proof comes back, and it is believed."""
    begin(node, factor=1)
    ask(node, "p1")
    seed, _ = challenge(node, "p1")
    [question] = node.effects("AskForProof")
    node.new("pull/r1", root="bafyroot", size=6, peer="dispatcher", seed=question["seed"])
    proof = proof_of_blocks(ROOT, seed, BLOCKS)
    node.ok("pull/r1", "AlreadyHeld", proof=proof.hex())
    [answer] = node.effects("AnswerDispatch")
    node.ok(D, "ProofReceived", peer="p1", proof=answer["proof"])

    assert (node.state("pull/r1"), node.state(D)) == ("Proved", "Fulfilled")


def test_a_cache_that_lacks_the_content_pulls_it(node):
    """If there is room; what came so far never shrinks; the end is a new index entry."""
    asked = {"root": "bafyroot", "size": 10, "peer": "p1", "seed": "00" * 16}
    node.new("pull/full", **asked, space=9)
    node.new("pull/r1", **asked, space=10)
    assert node.refused("pull/full", "PullStarted") == "NO_SPACE"
    node.ok("pull/r1", "PullStarted", channel="filecoin.dt_channel/c1")
    node.ok("pull/r1", "BytesReceived", total=6)
    assert node.refused("pull/r1", "BytesReceived", total=5) == "FEWER_THAN_BEFORE"
    node.ok("pull/r1", "PullCompleted")

    assert node.state("pull/r1") == "Stored"
    assert node.effects("SetRef") == [{"do": "SetRef", "root": "bafyroot", "size": 10}]


@pytest.mark.parametrize("proof", ["", "00" * 31])
def test_a_cache_does_not_answer_a_seed_without_a_proof(node, proof):
    """The old answer, the content's own CID, proves nothing."""
    node.new("pull/r1", root="bafyroot", size=6, peer="p1", seed="00" * 16)

    refused = node.refused("pull/r1", "AlreadyHeld", proof=proof)
    assert refused == "NOT_A_PROOF_FOR_THE_SEED"


def test_a_pull_that_goes_silent_fails(node):
    """Ten minutes after the last byte, and its store is dropped."""
    node.new("pull/r1", root="bafyroot", size=6, peer="p1")
    node.ok("pull/r1", "PullStarted")
    node.forward(599)
    node.ok("pull/r1", "BytesReceived", total=1)
    node.forward(599)
    assert node.state("pull/r1") == "Pulling"
    node.forward(1)

    assert (node.state("pull/r1"), len(node.effects("DropStore"))) == ("Failed", 1)

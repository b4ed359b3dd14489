"""The whole life of content on one tape: published, served, retrieved, evicted, collected.

The same commands are run twice, once with a crash after each of them: the tapes have to be the same
to the byte, whatever was handed over between machines when the node died.
"""

from __future__ import annotations

from statetape.specs.pop.caching_proof import proof_of_blocks
from statetape.specs.pop.collection import Collection, wrongly_collected

from .node import Node, offer

BLOCKS = {b"\x01": b"one", b"\x02": b"two"}


def publish(step):
    """Put, commit to two caches: one proves that it has the content, one pulls it."""
    step("tx/put", None)
    step("tx/put", "Put", name="film", cid="bafyfilm", size=60, root="bafyroot")
    step("dispatch/d1", None)
    step("tx/put", "CommitRequested", rf=2, dispatch="pop.dispatch/d1", peers=["p2"])
    step("dispatch/d1", "PeersSelected", peers=["p1", "p2", "p3"])
    seed = bytes(16)
    proof = proof_of_blocks(b"\x01", seed, BLOCKS).hex()
    step("dispatch/d1", "ProofRequested", peer="p2", seed=seed.hex(), expected=proof)
    step("dispatch/d1", "ProofReceived", peer="p2", proof="00" * 32)
    step("dispatch/d1", "ProofReceived", peer="p2", proof=proof)
    step("dispatch/d1", "PullRequested", peer="p9", cid="bafyroot")
    step("dispatch/d1", "PullRequested", peer="p1", cid="bafyroot")
    step("dispatch/d1", "TransferCompleted", peer="p1")
    step("ref/film", None, size=60, index="pop.index/main", blocks=["shared", "film"])
    step("tx/put", "Close")


def serve(step):
    """Answer a query for it, and take one of two proposals."""
    step("query_provider/q1", None, root="film", selector="all", ref="pop.ref/film")
    step("query_provider/q1", "OfferMade", size=60, price="2", pay_to="f01", balance=str(10**17))
    step("query_provider/q1", "ProposalReceived", deal="p5/1", price="1")
    step("query_provider/q1", "ProposalReceived", deal="p5/2", price="2")


def retrieve(step):
    """Retrieve something else: the first offer fails, the second serves; it evicts the film."""
    step("offer/bafyother", None)
    step("tx/get", None, root="bafyother")
    query = {"strategy": "SelectCheapest", "count": 2, "balance": "100"}
    step("tx/get", "QueryStarted", **query, offer_book="pop.offer/bafyother")
    for name, price in (("o1", 2), ("o2", 1)):
        step("tx/get", "OfferReceived", offer=offer(name, price, root="bafyother"))
    step("payment_channel/c1", None, Control="f1us", Target="f01")
    step("payment_channel/c1", "FundsRequested", amount="10")
    step("payment_channel/c1", "CreateSubmitted", msgCID="m1")
    step("tx/get", "DealStarted", dealID=1)
    step("payment_channel/c1", "Reattach")
    step("payment_channel/c1", "CreateConfirmed", channel="f2c")
    step("tx/get", "DealFailed", dealID=1, status="DealStatusRejected", reason="busy")
    step("tx/get", "DealStarted", dealID=2)
    step("tx/get", "DealFinished", dealID=2, size=10, spent="20")
    step("ref/other", None, size=50, index="pop.index/main", blocks=["shared", "other"])
    step("tx/get", "Close")


def collect(step, node):
    """Collect what left, but the block that what came holds as well."""
    plan = Collection().apply_all(node.entries())
    step("index/main", "GcStarted", run="gc-1", reason="after commit", upto=plan.upto)
    for batch in plan.plan():
        step("index/main", "BlocksCollected", **batch.params())
    step("index/main", "GcFinished")
    step("node/n", "ShutdownRequested")
    step("node/n", "Drained")


def life(folder, *, crashing):
    """Run the whole story; returns the node at its end."""
    node = Node(folder)

    def step(name, event, /, **params):
        if event is None:
            node.new(name, **params)
        else:
            node.send(name, event, **params)
        if crashing:
            node.crash()

    step("node/n", None, index="pop.index/main", capacity=100)
    step("node/n", "Started", release="1.0")
    step("index/main", None, upper=100, node="pop.node/n")
    for chapter in (publish, serve, retrieve):
        chapter(step)
        node.clock.forward(1)
    collect(step, node)
    return node


def test_a_life_with_a_crash_after_every_command_is_the_same_tape(tmp_path):
    """Nothing is lost, nothing is done twice: byte for byte."""
    (tmp_path / "calm").mkdir()
    (tmp_path / "crashing").mkdir()
    calm = life(tmp_path / "calm", crashing=False)
    crashing = life(tmp_path / "crashing", crashing=True)
    tapes = [list(one.engine.tape.read()) for one in (calm, crashing)]
    calm.close()
    crashing.close()

    assert tapes[0] == tapes[1]


def test_the_story_ends_as_it_should(tmp_path):
    """Every machine at its end, the shared block alive, and only what was wrong refused."""
    node = life(tmp_path, crashing=False)
    ends = {
        name: node.state(name)
        for name in ("tx/put", "dispatch/d1", "tx/get", "offer/bafyother", "ref/film", "ref/other")
    }
    refusals = node.refusals()
    fold = Collection().apply_all(node.entries())
    [gone] = node.effects("DeleteBlocks")
    sweep = node.data("node/n")["last_sweep"]
    wrong = wrongly_collected(node.entries())
    node.close()

    assert ends == {
        "tx/put": "Closed",
        "dispatch/d1": "Fulfilled",
        "tx/get": "Closed",
        "offer/bafyother": "Kept",
        "ref/film": "Collected",
        "ref/other": "Indexed",
    }
    assert refusals == [
        ("ProofReceived", "PROOF_INVALID"),
        ("PullRequested", "PULL_NOT_AUTHORISED"),
    ]
    assert (gone["blocks"], fold.live(), wrong) == (["film"], {"shared", "other"}, [])
    assert (sweep["blocks"], sweep["kept"]) == (1, 1)

"""The sums that run along over height, against each height computed anew."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from statetape.specs.filecoin.audit_chain import Chain, Message
from statetape.specs.filecoin.audit_quantities import (
    Candidate,
    Promise,
    attained,
    deadline_of,
    feasible,
    quantities,
    value_at,
)
from statetape.specs.filecoin.audit_recheck import Lane, State
from statetape.specs.filecoin.voucher import SignedVoucher

END = 40
HEIGHTS = st.integers(1, END)


def terms(lane, nonce, amount, first, last):
    """Return a voucher's terms."""
    return SignedVoucher("f0102", first, last, b"", None, lane, nonce, amount, 0, (), None)


CANDIDATES = st.lists(
    st.builds(
        lambda name, lane, nonce, amount, held, locks, wait, proven: Candidate(
            str(name), terms(lane, nonce, amount, *locks), held, wait and held + wait, proven
        ),
        st.integers(0, 10**6),
        st.integers(0, 2),
        st.integers(1, 4),
        st.integers(0, 30),
        HEIGHTS,
        st.tuples(st.sampled_from([0, 0, 10, 25, 39]), st.sampled_from([0, 0, 12, 30])),
        st.sampled_from([0, 0, 5, None]),
        st.sampled_from([True, True, False]),
    ),
    max_size=8,
)
STEPS = st.lists(
    st.tuples(
        HEIGHTS,
        st.sampled_from(["redeem", "send", "settle", "push"]),
        st.integers(0, 2),
        st.integers(1, 15),
    ),
    max_size=6,
)


def lived(steps):
    """Return a chain that went through these steps, at rising heights."""
    chain = Chain("ours")
    state = State("open", "f0102", "f0100", "f0101", 60, 0, 0, deposited=60)
    add(chain, 0, "constructor", State(), state)
    for height, what, lane, amount in sorted(steps):
        before, state = state, after(chain, state, height, what, amount)
        if what == "redeem" and not (state.settling_at and height >= state.settling_at):
            old = chain.lane(lane) or Lane(0, 0)
            state = state._replace(to_send=state.to_send + amount)
            chain.put_lane(len(chain.messages), lane, Lane(old.redeemed + amount, old.nonce + 1))
        add(chain, height, what, before, state)
    return chain


def after(chain, state, height, what, amount):
    """Return what a step other than a redemption leaves."""
    if what == "send":
        return state._replace(balance=state.balance + amount)
    if what == "settle" and not state.settling_at:
        return state._replace(settling_at=height + 10)
    if what == "push" and state.settling_at > height:
        return state._replace(settling_at=state.settling_at + amount)
    return state


def add(chain, height, event, before, now):
    """Append a message to a chain."""
    number = len(chain.messages)
    told = ("", "", {}, True, 0, "", None)
    chain.add(Message("ours", number, number + 1, 0, height, event, *told, before, now))


@settings(max_examples=300, deadline=None)
@given(CANDIDATES, STEPS)
def test_running_sums_are_those_of_each_height_alone(candidates, steps):
    """Attainable, best and promised at every height; a row changes wherever they do."""
    candidates = list({one.voucher: one for one in candidates}.values())
    chain = lived(steps)
    promises = [Promise(one.held, one.terms.lane, one.terms.amount) for one in candidates]

    rows = quantities(chain, candidates, promises, END)

    for height in range(END + 1):
        state, number = chain.state_at(height), sum(one <= height for one in chain.heights)
        lanes, deadline = chain.lanes(number), deadline_of(state)
        values = value_at(rows, height)
        highest = {}
        for one in promises:
            if one.height <= height:
                highest[one.lane] = max(one.amount, highest.get(one.lane, 0))
        assert values["promised"] == str(sum(highest.values()))
        held = list(feasible(candidates, lanes.get, height, deadline))
        over = deadline is not None and height > deadline
        found = attained(state, lanes, [] if over else held, height)
        assert values["attainable"] == str(found.least), height
        assert int(values["attainable_at_most"]) >= found.most
        gains = {}
        for one in held if not over else []:
            redeemed = lanes.get(one.terms.lane, Lane(0, 0)).redeemed
            gain = one.terms.amount - redeemed
            gains[one.terms.lane] = max(gain, gains.get(one.terms.lane, 0))
        assert values["best"] == str(state.to_send + sum(gains.values()))


def test_the_control_rows_that_are_wrong_would_be_noticed():
    """A candidate that the rows do not know of makes the two differ."""
    one = Candidate("v", terms(0, 1, 20, 0, 0), 5, 5, True)
    chain = lived([])

    assert value_at(quantities(chain, [one], [], END), 5)["attainable"] == "20"
    assert value_at(quantities(chain, [], [], END), 5)["attainable"] == "0"
    assert value_at(quantities(chain, [one], [], END), 4)["attainable"] == "0"

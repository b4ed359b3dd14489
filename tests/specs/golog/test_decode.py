"""Which machine wrote a line: the quoted errors, and that no other machine is ever named."""

from __future__ import annotations

import itertools

import pytest
from statetape.engine import catalogue
from statetape.fsm.moments import parse_time
from statetape.specs.golog.decode import EXCLUDED, POSSIBLE, UNLIKELY, Decoder
from statetape.specs.golog.rules import JULY, JUNE, POP, RULES, UPSTREAM

DECODER = Decoder(catalogue.machine)
decode = DECODER.decode


def read(state, event, when=None, program=None):
    """Return what is left of a pair: machine, state and event of each candidate, best first."""
    at = None if when is None else parse_time(when)
    found = decode(state, event, at, program)
    return [(one.machine, one.state, one.event) for one in found if one.verdict != EXCLUDED]


@pytest.mark.parametrize("program", [POP, None])
@pytest.mark.parametrize(
    ("state", "event", "when", "meant"),
    [
        (
            13,
            10,
            "2021-06-11T18:08:46.937Z",
            ("provider_before_b74d8aa", "DealStatusOngoing", "ProviderEventComplete"),
        ),
        (
            0,
            4,
            "2021-06-17T15:19:10.488Z",
            ("provider", "DealStatusNew", "ProviderEventBlockSent"),
        ),
        (
            0,
            4,
            "2021-07-13T09:13:20.035Z",
            ("provider", "DealStatusNew", "ProviderEventBlockSent"),
        ),
        (
            6,
            27,
            "2021-07-13T09:13:20.053Z",
            ("client_at_seed_issues", "DealStatusAccepted", "ClientEventComplete"),
        ),
    ],
    ids=["13/10", "0/4 in June", "0/4 in July", "6/27"],
)
def test_the_quoted_errors_are_decoded(state, event, when, meant, program):
    """As the tables exclude everything else; what wrote the log need not be known."""
    machine, *pair = meant

    assert read(state, event, when, program)[0] == (f"pop.retrieval_{machine}", *pair)


def test_of_a_pops_log_hardly_anything_else_is_left():
    """Where it is known that pop wrote it, only a storage client could be meant instead."""
    left = read(13, 10, "2021-06-11T18:08:46Z", POP)

    assert [machine for machine, _, _ in left[1:]] == [
        JUNE,
        "filecoin.gfm_storage_client_pinned",
    ]
    assert [machine for machine, _, _ in read(6, 27, "2021-07-13T09:13:20Z", POP)] == [JULY]


def why_not(state, event, when, machine, program=None):
    """Return verdict and reasons of one candidate."""
    [found] = [
        one for one in decode(state, event, parse_time(when), program) if one.machine == machine
    ]
    return found.verdict, "; ".join(found.why)


@pytest.mark.parametrize(
    ("state", "event", "machine", "verdict", "reason"),
    [
        (13, 10, "filecoin.dt_channel_v1_7_0", EXCLUDED, "it accepts that"),
        (13, 10, JUNE, UNLIKELY, "only the entry of DealStatusAccepted raises it"),
        (0, 4, "filecoin.dt_channel_v1_7_0", EXCLUDED, "it accepts that"),
        (0, 4, JUNE, EXCLUDED, "never answers this"),
        (6, 27, "filecoin.dt_channel_v1_7_0", EXCLUDED, "terminated"),
        (6, 27, "filecoin.gfm_retrieval_client_pinned", EXCLUDED, "printed by name"),
        (13, 10, "pop.retrieval_provider", EXCLUDED, "it ran from 2021-06-11T21:24:00Z on"),
    ],
)
def test_each_other_candidate_says_why_it_is_none(state, event, machine, verdict, reason):
    """The reasons that people gave by hand."""
    found, why = why_not(state, event, "2021-06-11T18:08:46Z", machine)

    assert found == verdict
    assert reason in why


def test_a_fixed_table_cannot_have_refused_what_it_takes():
    """6/27 is accepted since 511a967, so a later line is something else."""
    machine = "pop.retrieval_client"
    later = "2021-09-13T09:13:20Z"

    assert read(6, 27, later, POP) == []
    assert "it accepts that: to DealStatusCheckComplete" in why_not(6, 27, later, machine)[1]


def test_upstreams_names_are_upstreams():
    """lotus and boost print states by name, pop never does."""
    left = read("DealStatusCancelling", "12", "2023-01-15T00:00:00Z")

    assert left[0] == (
        "filecoin.gfm_retrieval_provider",
        "DealStatusCancelling",
        "ProviderEventUnsealComplete",
    )
    assert all(machine.startswith("filecoin.gfm_retrieval") for machine, _, _ in left)


def test_a_name_that_is_printed_otherwise_is_known():
    """One status of the client is not printed as it is called."""
    left = read("DealStatusWaitingForLastBlocks", 24, "2023-01-15T00:00:00Z")

    assert left[0][1] == "DealStatusClientWaitingForLastBlocks"


@pytest.mark.parametrize("pair", [(99, 0), (0, 99), (-1, 3), ("", ""), ("DealStatusNew", "x" * 99)])
def test_what_no_table_knows_is_no_machines(pair):
    """Nothing is guessed."""
    assert read(*pair) == []


def accepts(machine, state, event):
    """Whether the exact machine, as the engine runs it, takes an event in a state."""
    if machine == JUNE:
        if (state, event) == ("DealStatusAccepted", "ClientEventPaymentChannelReady"):
            return False
        machine = JULY
    return event in catalogue.machine(machine).table[state]


MOMENTS = [None, *map(parse_time, ("2021-06-11T18:00:00Z", "2021-08-25T12:00:00Z"))]


def named_wrongly(pairs, when, programs):
    """Return how many candidates were named for pairs, and those that take the pair."""
    named, wrong = 0, []
    for state, event in pairs:
        for program in programs:
            for one in decode(state, event, when, program):
                if one.verdict in (POSSIBLE, UNLIKELY):
                    named += 1
                    if accepts(one.machine, one.state, one.event):
                        wrong.append((one.machine, one.state, one.event, when, program))
    return named, wrong


@pytest.mark.parametrize("when", MOMENTS)
def test_no_machine_that_takes_a_pair_is_ever_named(when):
    """Over all numbers of all tables: it cannot have refused what it accepts."""
    pairs = itertools.product(range(36), range(44))
    named, wrong = named_wrongly(pairs, when, (None, POP, UPSTREAM))

    assert wrong == []
    assert named > 1000


def test_no_machine_that_takes_a_named_pair_is_ever_named():
    """The same over all names that upstream prints."""
    named, wrong = 0, []
    for rule in RULES:
        if rule.named:
            table = DECODER.table(rule.machine)
            pairs = itertools.product(table.states.values(), table.events)
            found = named_wrongly(pairs, None, (UPSTREAM,))
            named, wrong = named + found[0], wrong + found[1]

    assert wrong == []
    assert named > 1000


def test_the_exact_machines_do_accept_things():
    """The control: what the property asks of them is not always no."""
    assert accepts("pop.retrieval_provider", "DealStatusOngoing", "ProviderEventBlockSent")
    assert accepts(JULY, "DealStatusAccepted", "ClientEventPaymentChannelReady")

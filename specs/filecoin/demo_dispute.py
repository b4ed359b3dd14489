"""A settlement that ends in a dispute: lotus's own end-to-end story, told on both sides' tapes.

7000 are deposited. Lanes 0 to 2 get vouchers for 1000 and then 2000. The payer settles; the
payee's node, told of it, redeems the best of each lane, once. Then a voucher for 1000 on lane 3
arrives; the payee's node takes it, since lotus never asks whether a channel is settling, and
nothing redeems it any more. Collecting pays 6000. In the other telling the payee's node looks once
more in time.

Signatures are real, by keys that anybody can compute; the clock and the chain are the story's own,
so it always goes the same way. Both nodes see the same chain: what is performed here (`outside`) is
the wallet that signs, the wire between the two, and the chain that includes a message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

from ...fsm import story
from ...fsm.driving import Act, Begin, Effect, Event, Look
from ...fsm.story import Drama, Drive, Figure, Happened, Height, Line, Say, Scene, Tale, TapeOf
from .address import from_actor_data
from .keys import address_of, sign
from .voucher import parse

PAYER, PAYEE = "payer", "payee"
NODES = (PAYER, PAYEE)
CHAIN = "filecoin"
CHANNEL_MACHINE = "filecoin.payment_channel"
ACCOUNT_MACHINE = "filecoin.channel_account"
VOUCHER_MACHINE = "filecoin.voucher"

STARTS_AT = 1_606_780_800_000_000
"""2020-12-01T00:00:00Z."""
STEP_US = 1_000_000
BLOCK_US = 30_000_000

PAID_AT = 120, 140
OPENED_AT, SETTLED_AT, REDEEMED_AT, LATE_AT, AGAIN_AT, COLLECTED_AT = 100, 160, 166, 170, 900, 1605
SETTLING_AT = SETTLED_AT + 1440
DEPOSIT = 7000
SETTLED, COLLECTED, OPENED = "bafy2-settle", "bafy2-collect", "bafy2-create"


def _secret(node: str) -> bytes:
    """Return a key that anybody can compute: nothing of value belongs to it."""
    return blake2b(f"statetape demo: the {node}'s wallet".encode(), digest_size=32).digest()


SECRETS = {node: _secret(node) for node in NODES}
ADDRESSES = {node: address_of(secret) for node, secret in SECRETS.items()}
ACTORS = {PAYER: "f0100", PAYEE: "f0101"}
KEY = from_actor_data(b"statetape demo: the disputed channel")
CHANNEL = f"{CHANNEL_MACHINE}/{KEY}"
ACCOUNT = f"{ACCOUNT_MACHINE}/{KEY}"


def outside(effect: Effect, look: Look) -> Sequence[Act]:
    """Return what an effect leads to: in a wallet, on the wire, on the chain that both see."""
    if effect.do == "SignVoucher":
        return _signed(str(effect.params["sv"]))
    if effect.do == "SubmitVouchers":
        items: Any = effect.params["vouchers"]
        return [
            Event(PAYEE, _record(one["id"]), "submitted", {"message": f"bafy2-{one['id'][:12]}"})
            for one in items
        ]
    if effect.do == "WaitMessage":
        return list(_included(effect, str(effect.params["message"]), look))
    return []


def _record(identifier: str) -> str:
    return f"{VOUCHER_MACHINE}/{KEY}/{identifier}"


def _signed(draft: str) -> list[Act]:
    """The payer signs a voucher, keeps it, and hands it over; the payee notes that it came."""
    unsigned = parse(draft)
    signature = sign(SECRETS[PAYER], unsigned.signing_bytes())
    text = unsigned._replace(signature=signature).text()
    key = f"{KEY}/{unsigned.id_hex}"
    return [
        Begin(PAYER, VOUCHER_MACHINE, key, {"sv": text, "role": "issued"}),
        Event(PAYER, f"{VOUCHER_MACHINE}/{key}", "sent"),
        Begin(PAYEE, VOUCHER_MACHINE, key, {"sv": text, "role": "received"}),
    ]


def _included(effect: Effect, message: str, look: Look) -> Iterator[Act]:
    """A message is included and succeeds: both nodes see the chain, its sender also its receipt."""
    receipt = {"message": message, "exit": 0}
    if message == OPENED:
        yield from _opened(receipt)
    elif message == SETTLED:
        for node in NODES:
            yield Event(node, CHANNEL, "settle", {"caller": ACTORS[PAYER], **receipt})
        yield Event(
            PAYER, ACCOUNT, "settle_confirmed", {"settling_at": SETTLING_AT, "message": message}
        )
        seen = {"to": KEY, "settling_at": SETTLING_AT, "message": message}
        yield Event(PAYEE, ACCOUNT, "settle_seen", seen)
    elif message == COLLECTED:
        for node in NODES:
            yield Event(node, CHANNEL, "collect", {"caller": ACTORS[PAYER], **receipt})
        yield Event(PAYER, ACCOUNT, "collect_confirmed", {"message": message})
        yield Event(PAYEE, ACCOUNT, "chain_seen", {"present": False, "settling_at": SETTLING_AT})
    else:
        voucher = look(effect.instance)
        if voucher is not None:
            for node in NODES:
                params = {"caller": ACTORS[PAYEE], "sv": voucher.data["sv"], **receipt}
                yield Event(node, CHANNEL, "update_channel_state", params)
            yield Event(PAYEE, effect.instance, "applied", {"message": message})


def _opened(receipt: Mapping[str, Any]) -> Iterator[Act]:
    addresses = {ADDRESSES[node]: ACTORS[node] for node in NODES}
    params = {
        "id": "f0102",
        "from": ADDRESSES[PAYER],
        "to": ADDRESSES[PAYEE],
        "value": DEPOSIT,
        "addresses": addresses,
        **receipt,
    }
    for node in NODES:
        yield Begin(node, CHANNEL_MACHINE, KEY, params)
    yield Event(PAYER, ACCOUNT, "create_confirmed", {"channel": KEY, "id": "f0102"})
    known = {"direction": 1, "control": ADDRESSES[PAYEE], "target": ADDRESSES[PAYER]}
    yield Begin(PAYEE, ACCOUNT_MACHINE, KEY, known)
    yield Event(PAYEE, ACCOUNT, "chain_seen", {"balance": DEPOSIT, "id": "f0102"})


# what is told


def lines(happened: Sequence[Happened]) -> list[Line]:
    """Return what happened, in its order: a voucher's way in one line, the chain once for both."""
    found: list[Line] = []
    for one in happened:
        line = _line(one)
        if line is None:
            continue
        last = found[-1] if found else None
        if last is not None and last[:2] == line[:2]:
            found[-1] = last._replace(how=f"{last.how}, {line.how}")
        elif last is not None and last[1:] == line[1:] == ("chain", line.how):
            found[-1] = last._replace(node="both")
        else:
            found.append(line)
    return found


def _line(one: Happened) -> Line | None:
    """Return the line of an entry, if it is worth one."""
    entry, machine = one.entry, one.instance.partition("/")[0]
    params: Any = entry.params or {}
    if machine == VOUCHER_MACHINE:
        what = f"voucher {one.instance.rpartition('/')[2][:8]}"
        if entry.create is not None:
            terms = parse(params["sv"])
            of = f"lane {terms.lane}, nonce {terms.nonce}, {terms.amount} attofil"
            return Line(one.node, what, f"{of}: {params['role']}")
        told = {"accepted": "accepted", "refused": f"refused: {params.get('reason')}"}
        if entry.event in ("sent", "submitted", "applied", *told):
            return Line(one.node, what, told.get(entry.event, entry.event))
    elif machine == CHANNEL_MACHINE:
        event = "created" if entry.create is not None else entry.event or ""
        if event == "update_channel_state":
            terms = parse(params["sv"])
            event = f"lane {terms.lane} redeems {terms.amount} attofil"
        return Line(one.node, "chain", f"{event}, refused" if entry.outcome else event)
    return None


# the scenes


def _wanted(lane: int, amount: int) -> tuple[Scene, ...]:
    params = {"lane": str(lane), "amount": f"{amount} attofil"}
    return story.Event(ACCOUNT, "voucher_wanted", params, node=PAYER), Drive()


def _head(height: int) -> Height:
    return Height(CHAIN, height, BLOCK_US)


_AUDIT = ("audit", KEY, "--counterparty", TapeOf(PAYER))
_BEGINNING: tuple[Scene, ...] = (
    Say("A payer opens a channel with 7000 attofil; its node follows it in an account of its own."),
    _head(OPENED_AT),
    story.Begin(
        ACCOUNT_MACHINE,
        KEY,
        {"direction": "2", "control": ADDRESSES[PAYER], "target": ADDRESSES[PAYEE]},
        node=PAYER,
    ),
    story.Event(
        ACCOUNT,
        "create_pushed",
        {"message": OPENED, "amount": f"{DEPOSIT} attofil"},
        node=PAYER,
    ),
    Drive(),
    Say("Three lanes, each paid 1000 and then 2000 altogether: six vouchers, signed and accepted."),
    _head(PAID_AT[0]),
    *(scene for lane in range(3) for scene in _wanted(lane, 1000)),
    _head(PAID_AT[1]),
    *(scene for lane in range(3) for scene in _wanted(lane, 2000)),
    Say("The payer settles. From height 1600 on whoever likes can collect."),
    _head(SETTLED_AT),
    story.Event(ACCOUNT, "settle_pushed", {"message": SETTLED}, node=PAYER),
    Drive(),
    Say("Six epochs later the payee's node redeems the best of each lane, once, as lotus does."),
    _head(REDEEMED_AT),
    story.Event(ACCOUNT, "redeem_due", {}, node=PAYEE),
    Drive(),
    Say(
        "A voucher on lane 3 arrives after that. It is accepted: nobody asks whether the channel "
        "is settling. One on lane 4 would be 1000 short of funds, so none is made."
    ),
    _head(LATE_AT),
    *_wanted(3, 1000),
    *_wanted(4, 1000),
)
_COLLECTED: tuple[Scene, ...] = (
    _head(COLLECTED_AT),
    story.Event(ACCOUNT, "collect_pushed", {"message": COLLECTED}, node=PAYER),
    Drive(),
)
_ENDS = {(node, name): "collected" for node in NODES for name in (ACCOUNT, CHANNEL)}
_NEXT = (
    story.Look(PAYEE, _AUDIT),
    story.Look(PAYEE, (*_AUDIT, "--html", "dispute.html")),
    story.Look(PAYER, ("audit", KEY, "--counterparty", TapeOf(PAYEE), "--all")),
    story.Look(PAYEE, ("bundle", "export", CHANNEL, "--output", "dispute.bundle")),
    story.Look(PAYEE, ("history", CHANNEL, "--alone")),
)

LATE_VOUCHER = Tale(
    "a voucher arrives after the payee's node has redeemed, and is never redeemed",
    (
        *_BEGINNING,
        Say("Nothing redeems the late voucher. The payer collects: 6000 for the payee, 1000 back."),
        *_COLLECTED,
        Say("Who lost what, and whose fault was it? The payee compares both tapes."),
        story.Look(PAYEE, _AUDIT, until="1. "),
    ),
    outside,
    _ENDS,
    next_steps=_NEXT,
)
NONE = Tale(
    "the payee's node looks once more before the deadline, and redeems the late voucher too",
    (
        *_BEGINNING,
        Say("Before the deadline the payee's node looks once more what can be redeemed."),
        _head(AGAIN_AT),
        story.Event(ACCOUNT, "redeem_due", {}, node=PAYEE),
        Drive(),
        *_COLLECTED,
        Say("Did anybody lose anything?"),
        story.Look(PAYEE, _AUDIT, until="1. "),
    ),
    outside,
    _ENDS,
    next_steps=_NEXT,
)

DISPUTE = Drama(
    title="A settlement that is disputed, on the payer's and the payee's tape",
    nodes=NODES,
    tales={"late-voucher": LATE_VOUCHER, "none": NONE},
    starts_at=STARTS_AT,
    step_us=STEP_US,
    tell=lines,
    figures={
        "promised": (Figure(PAYER, ACCOUNT, "promised"), Figure(PAYEE, ACCOUNT, "promised")),
        "the payee got": (
            Figure(PAYER, CHANNEL, "owed_to_payee"),
            Figure(PAYEE, CHANNEL, "owed_to_payee"),
        ),
        "vouchers": (Figure(PAYER, ACCOUNT, "vouchers"), Figure(PAYEE, ACCOUNT, "vouchers")),
    },
)

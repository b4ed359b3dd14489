"""What the outside of a delivery node does: the network, the wallet, the chain, the block store.

Theory of operation. A tape says what is to be done, as effects; `Outside` says what that leads to,
as commands for this node and for the other one (fsm/driving.py). What an entry action of a deal
emits is decided by filecoin/entry_actions.py, what a provider counts by the serving machine; here
is only the world around them. Everything is a function of the effect and of its node as it was at
the effect's entry: asked again, after a crash, it answers the same, down to a voucher's bytes.

One client and one provider: a deal, a transfer, a lane has the same number on both tapes. Two
things stand in for what no file holds: the chain confirms every message at once and shows the
result to both, and a query is looked up by whoever receives it. Secret keys are in no command.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from ...fsm.driving import Act, Begin, Effect, Event, Look, Then
from ...fsm.errors import CallerError
from ..filecoin import address
from ..filecoin.entry_actions import run, total_due
from ..filecoin.keys import address_of
from ..filecoin.voucher import parse
from .vouchers import signed, trouble

CLIENT_DEAL = "pop.deal_client"
PROVIDER_DEAL = "pop.deal_provider"
TRANSFER = "filecoin.dt_channel_v1_11_5"
CHANNEL = "pop.payment_channel"
QUERY = "pop.query_provider"
SERVING = "pop.serving"
TX = "pop.tx"

PAYMENT = "RetrievalDealPayment/1"
RESPONSE = "RetrievalDealResponse/1"
PROPOSED = ("DealID", "PricePerByte", "PaymentInterval", "PaymentIntervalIncrease", "UnsealPrice")
CLOSING = ("Cancelling", "Cancelled", "Failing", "Failed", "Completing", "Completed")


class EffectUnknown(CallerError):
    """Nobody has said how an effect of this name is performed. It stays to be done."""

    code = "effect-unknown"


@dataclass(frozen=True)
class Terms:
    """What a provider offers: attofil per byte and for unsealing, bytes for the intervals."""

    price: int
    unseal: int
    payment_interval: int
    interval_increase: int


@dataclass(frozen=True)
class Outside:
    """The world of a client and a provider.

    `contents`: the provider's DAGs, root → bytes of each block in the order they are sent.
    `secrets`: node → its wallet's key. `balances`: node → what its wallet holds.
    `apart`: the provider's deal hears of its transfer by messages of their own, as in the original,
    and not in the transfer's commits; so they may come late.
    """

    contents: Mapping[str, Sequence[int]]
    terms: Terms
    secrets: Mapping[str, bytes] = field(repr=False)
    balances: Mapping[str, int]
    client: str = "client"
    provider: str = "provider"
    apart: bool = False

    def __call__(self, effect: Effect, look: Look) -> Sequence[Act]:
        """Return what an effect leads to. Raises EffectUnknown."""
        machine = effect.instance.partition("/")[0]
        perform = _PERFORM.get((machine, effect.do))
        if perform is None:
            raise EffectUnknown(f"how is {effect.do} of {machine} performed?")
        return perform(_Task(self, effect, look))

    def wallet(self, node: str) -> str:
        """Return the address of a node's wallet."""
        return address_of(self.secrets[node])

    def transfer(self, deal: str) -> str:
        """Return the name of a transfer on both tapes; `deal`: the key of the client's deal."""
        return f"{TRANSFER}/{self.client}-{self.provider}-{deal}"

    def at_provider(self, deal: str) -> str:
        """Return the key of the provider's side of a deal: whose it is, and its key there."""
        return f"{self.client}/{deal}"


def message_id(channel: str, request: int) -> str:
    """Return the id of the chain message that brings the funds of requests up to this one."""
    digest = blake2b(f"{channel} {request}".encode(), digest_size=32).digest()
    return "bafy2bzace" + base64.b32encode(digest).decode("ascii").rstrip("=").lower()


@dataclass(frozen=True)
class _Task:
    """One effect to perform, in its world."""

    outside: Outside
    effect: Effect
    look: Look

    @property
    def params(self) -> Mapping[str, Any]:
        return self.effect.params

    def own(self) -> Then:
        """Return the effect's instance."""
        return self.there(self.effect.instance)

    def there(self, name: str) -> Then:
        """Return an instance that has to be there."""
        found = self.look(name)
        if found is None:
            raise EffectUnknown(f"{self.effect.do}: there is no {name} on this tape")
        return found

    def tell(self, event: str, **params: Any) -> Event:
        """Return an event for the effect's own instance."""
        return Event(self.effect.node, self.effect.instance, event, params)

    def here(self, instance: str, event: str, **params: Any) -> Event:
        """Return an event for another instance on the same tape."""
        return Event(self.effect.node, instance, event, params)

    def to_client(self, instance: str, event: str, **params: Any) -> Event:
        """Return what the client hears."""
        return Event(self.outside.client, instance, event, params)

    def to_provider(self, instance: str, event: str, **params: Any) -> Event:
        """Return what the provider hears."""
        return Event(self.outside.provider, instance, event, params)

    @property
    def key(self) -> str:
        """The key of the effect's instance."""
        return self.effect.instance.partition("/")[2]

    def act(self, **env: Any) -> list[Act]:
        """Run the entry action that the effect names; `env` is how the outside answered it."""
        own = self.own()
        machine = own.name.partition("/")[0]
        emitted = run(machine, self.effect.do, own.state, own.data, env).emitted
        return [self.tell(one.event, **one.params) for one in emitted]


# the transaction, and the query


def _query(task: _Task) -> list[Act]:
    """Ask the provider. It looks the content up, and offers it if it is there."""
    outside = task.outside
    request = task.params["request"]
    root = task.params["root"]
    asked = {"root": root, "selector": task.params["selector"], "peer": outside.client}
    begin = Begin(outside.provider, QUERY, request, asked)
    sizes = outside.contents.get(root)
    if sizes is None:
        return [begin, task.to_provider(begin.instance, "NotFound")]
    offer = {**vars(outside.terms), "size": sum(sizes), "pay_to": outside.wallet(outside.provider)}
    balance = outside.balances[outside.provider]
    return [begin, task.to_provider(begin.instance, "OfferMade", **offer, balance=balance)]


def _send_offer(task: _Task) -> list[Act]:
    names = ("request", "root", "size", "price", "unseal", "payment_interval", "interval_increase")
    offer = {name: task.params[name] for name in (*names, "pay_to")}
    provider = task.effect.node
    offer |= {"id": f"{provider}/{task.params['request']}", "provider": provider}
    return [task.to_client(f"{TX}/{task.params['request']}", "OfferReceived", offer=offer)]


def _execute(task: _Task) -> list[Act]:
    """Begin a deal about the chosen offer. Its number is the position that asked for it."""
    outside, tx = task.outside, task.own()
    offer = tx.data["offers"][task.params["offer"]]
    key = f"{task.key}-{len(tx.data['deals']) + 1}"
    funds = int(task.params["funds"])
    lane = f"{CHANNEL}/{offer['provider']}" if funds > 0 else ""
    wallet = outside.wallet(task.effect.node)
    terms = {
        "DealID": task.effect.pos,
        "PayloadCID": offer["root"],
        "Sender": offer["provider"],
        "ClientWallet": wallet,
        "MinerWallet": offer["pay_to"],
        "TotalFunds": funds,
        "PricePerByte": offer["price"],
        "PaymentInterval": offer["payment_interval"],
        "PaymentIntervalIncrease": offer["interval_increase"],
        "UnsealPrice": offer["unseal"],
    }
    links = {"transfer": outside.transfer(key), "lane": lane, "tx": tx.name}
    acts: list[Act] = []
    if lane and task.look(lane) is None:
        ends = {"Control": wallet, "Target": offer["pay_to"]}
        acts.append(Begin(task.effect.node, CHANNEL, offer["provider"], ends))
    deal = Begin(task.effect.node, CLIENT_DEAL, key, terms | links)
    started = {"dealID": task.effect.pos, "offer": offer["id"], "instance": deal.instance}
    return [*acts, task.tell("DealStarted", **started), deal]


def _cancel_deals(task: _Task) -> list[Act]:
    deals = task.own().data["deals"]
    named = [deals[int(one)]["instance"] for one in task.params["deals"]]
    return [task.here(name, "ClientEventCancel") for name in named if name]


# the client's deal


def _propose_deal(task: _Task) -> list[Act]:
    """Open the transfer, and have the proposal go with it."""
    outside, deal = task.outside, task.own()
    data = deal.data
    channel = data["transfer"].partition("/")[2]
    opened = {
        "TransferID": data["DealID"],
        "BaseCID": data["PayloadCID"],
        "Initiator": task.effect.node,
        "Responder": data["Sender"],
        "deal": deal.name,
        "side": "recipient",
    }
    query = f"{QUERY}/{task.there(data['tx']).data['request']}"
    asked = {"peer": task.effect.node, "request": query, "root": data["PayloadCID"]}
    asked |= {name: data[name] for name in PROPOSED}
    key = outside.at_provider(task.key)
    proposed = {
        "deal": f"{PROVIDER_DEAL}/{key}",
        "price": data["PricePerByte"],
        "unseal": data["UnsealPrice"],
        "payment_interval": data["PaymentInterval"],
        "interval_increase": data["PaymentIntervalIncrease"],
    }
    return [
        Begin(task.effect.node, TRANSFER, channel, opened),
        Begin(data["Sender"], SERVING, key, asked),
        Event(data["Sender"], query, "ProposalReceived", proposed),
        *task.act(channel_id=channel),
    ]


def _setup_payment_channel(task: _Task) -> list[Act]:
    """Take the payment channel as it is; where there is none, ask for one."""
    deal = task.own()
    lane = task.look(deal.data["lane"]) if deal.data["lane"] else None
    if lane is None:
        return task.act(channel_error=None if deal.data["TotalFunds"] == 0 else "no channel")
    if lane.data["Channel"]:
        return task.act(channel=lane.data["Channel"], wait_msg=lane.data["AddFundsMsg"] or None)
    funds = {"amount": deal.data["TotalFunds"], "request": deal.name, "deal": deal.name}
    message = message_id(lane.name, lane.data["requests"] + 1)
    return [task.here(lane.name, "FundsRequested", **funds), *task.act(wait_msg=message)]


def _wait_payment_channel(task: _Task) -> list[Act]:
    """Nothing, while the message is on its way: its confirmation tells the deals that wait."""
    lane = task.there(task.own().data["lane"])
    if lane.state != "Ready":
        return []
    return task.act(wait_result=lane.data["Channel"])


def _allocate_lane(task: _Task) -> list[Act]:
    deal = task.own()
    lane = task.there(deal.data["lane"])
    number = lane.data["NextLane"]
    taken = task.here(lane.name, "LaneAllocated", lane=number, deal=deal.name)
    return [taken, *task.act(lane=number)]


def _send_funds(task: _Task) -> list[Act]:
    """Promise what is due altogether, if the channel holds it, and send the voucher."""
    outside, deal = task.outside, task.own()
    lane = task.there(deal.data["lane"])
    number = deal.data["PaymentInfo"]["Lane"]
    due = total_due(deal.data)
    others = sum(one["amount"] for at, one in lane.data["lanes"].items() if at != number)
    said = task.act(voucher_shortfall=max(0, others + due - lane.data["Amount"]))
    if all(one.event != "ClientEventPaymentSent" for one in said if isinstance(one, Event)):
        return said
    nonce = lane.data["lanes"][number]["nonce"] + 1
    channel = lane.data["Channel"]
    voucher = signed(outside.secrets[task.effect.node], channel, number, nonce, due)
    sent = {"PaymentChannel": channel, "PaymentVoucher": voucher}
    transfer = deal.data["transfer"]
    new = {"vtype": PAYMENT, "voucherBytes": sent}
    serving = f"{SERVING}/{outside.at_provider(task.key)}"
    return [
        task.here(lane.name, "VoucherCreated", lane=number, amount=due, nonce=nonce),
        task.here(transfer, "NewVoucher", **new),
        task.to_provider(transfer, "NewVoucher", **new),
        task.to_provider(serving, "VoucherArrived", voucher=voucher),
        *said,
    ]


def _check_funds(task: _Task) -> list[Act]:
    """Look at what the channel holds and has not promised on other lanes."""
    deal = task.own()
    lane = task.there(deal.data["lane"]).data
    number = deal.data["PaymentInfo"]["Lane"]
    others = sum(one["amount"] for at, one in lane["lanes"].items() if at != number)
    return task.act(
        confirmed=lane["Amount"],
        redeemed=others,
        pending=lane["PendingAmount"],
        queued=sum(one["amount"] for one in lane["waiting"].values()),
        pending_msg=lane["AddFundsMsg"] or None,
    )


def _cancel_client(task: _Task) -> list[Act]:
    """Close the transfer on both sides, unless it is closing already."""
    transfer = task.own().data["transfer"]
    return [*_closed(task, transfer), *task.act()]


def _closed(task: _Task, transfer: str) -> list[Act]:
    found = task.look(transfer)
    if found is None or found.state in CLOSING:
        return []
    return [task.here(transfer, "Cancel"), Event(_other(task), transfer, "Cancel")]


def _other(task: _Task) -> str:
    outside = task.outside
    return outside.provider if task.effect.node == outside.client else outside.client


# the payment channel, and the chain


def _submit(event: str) -> Callable[[_Task], list[Act]]:
    """Send a message to the chain: it has an id from then on."""

    def submit(task: _Task) -> list[Act]:
        upto = task.params["upto"]
        return [task.tell(event, msgCID=message_id(task.effect.instance, upto), upto=upto)]

    return submit


def _wait_message(task: _Task) -> list[Act]:
    """The chain confirms; both ends see what it shows, and the deals that waited are told."""
    outside, channel = task.outside, task.own()
    data = channel.data
    mirror = f"{CHANNEL}/{outside.client}"
    holds = data["Amount"] + data["PendingAmount"]
    acts: list[Act]
    if channel.state == "Creating":
        made = address.from_actor_data(task.params["message"].encode())
        ends = {"Control": data["Target"], "Target": data["Control"], "Direction": 2}
        acts = [
            task.tell("CreateConfirmed", channel=made),
            Begin(outside.provider, CHANNEL, outside.client, ends),
            task.to_provider(mirror, "ChannelTracked", channel=made, amount=holds),
        ]
    else:
        made = data["Channel"]
        seen = task.to_provider(mirror, "FundsSeen", amount=holds)
        acts = [task.tell("AddFundsConfirmed"), seen]
    for one in data["in_flight"].values():
        if one["deal"]:
            acts.append(task.here(one["deal"], "ClientEventPaymentChannelReady", payCh=made))
    return acts


# the provider


def _accept_deal(task: _Task) -> list[Act]:
    """Begin deal and transfer, let the blocks go, and tell the client."""
    outside, name = task.outside, task.params["deal"]
    key = name.partition("/")[2]
    serving = task.there(f"{SERVING}/{key}")
    asked, peer = serving.data, task.params["peer"]
    transfer = outside.transfer(key.rpartition("/")[2])
    lane = f"{CHANNEL}/{peer}" if asked["PricePerByte"] + asked["UnsealPrice"] > 0 else ""
    deal = {name: asked[name] for name in PROPOSED} | {
        "PayloadCID": asked["root"],
        "Receiver": peer,
        "ChannelID": transfer.partition("/")[2],
        "transfer": transfer,
        "lane": lane,
    }
    opened = {"TransferID": asked["DealID"], "BaseCID": asked["root"]}
    opened |= {"Initiator": peer, "Responder": task.effect.node}
    if not outside.apart:
        opened |= {"deal": name, "side": "sender"}
    sizes = outside.contents[asked["root"]]
    links = {"deal": name, "transfer": transfer, "lane": lane}
    acts: list[Act] = [
        Begin(task.effect.node, PROVIDER_DEAL, key, deal),
        Begin(task.effect.node, TRANSFER, transfer.partition("/")[2], opened),
        task.here(transfer, "Accept"),
    ]
    if outside.apart:
        acts.append(task.here(name, "ProviderEventDealAccepted"))
    return [
        *acts,
        task.here(serving.name, "Accepted", **links, sizes=list(sizes)),
        task.to_client(transfer, "Accept"),
        _result(task, transfer, "DealStatusAccepted"),
    ]


def _reject_deal(task: _Task) -> list[Act]:
    key = task.params["deal"].partition("/")[2]
    return [task.here(f"{SERVING}/{key}", "Rejected", reason=task.params["reason"])]


def _send_block(task: _Task) -> list[Act]:
    """Count the block, then let it go."""
    transfer = task.own().data["transfer"]
    return [
        task.tell("BlockQueued", number=task.params["number"]),
        task.to_client(transfer, "DataReceivedProgress", delta=task.params["size"]),
    ]


def _finish_transfer(task: _Task) -> list[Act]:
    return [task.to_client(task.own().data["transfer"], "FinishTransfer")]


def _resume_client(task: _Task) -> list[Act]:
    return [task.to_client(task.own().data["transfer"], "ResumeResponder")]


_WITH_STATUS = {
    "DealStatusFundsNeeded": "PauseResponder",
    "DealStatusFundsNeededLastPayment": "ResponderBeginsFinalization",
    "DealStatusCompleted": "ResponderCompletes",
    "DealStatusRejected": "Cancel",
}
"""What a response says about the transfer, beside its status."""


def _send_result(task: _Task) -> list[Act]:
    """Tell the client the deal's status, and what that means for the transfer."""
    status = task.params["status"]
    transfer = task.outside.transfer(task.key.rpartition("/")[2])
    told = _result(task, transfer, status, task.params["owed"], task.params["message"])
    return [told, task.to_client(transfer, _WITH_STATUS[status])]


def _result(task: _Task, transfer: str, status: str, owed: Any = 0, message: str = "") -> Event:
    said = {"Status": status, "PaymentOwed": str(owed), "Message": message}
    result = {"vtype": RESPONSE, "voucherResultBytes": said}
    return task.to_client(transfer, "NewVoucherResult", **result)


def _check_voucher(task: _Task) -> list[Act]:
    """Verify a voucher as a payee does, and count what it adds."""
    serving = task.own()
    text = task.params["voucher"]
    lane = task.look(serving.data["lane"])
    if lane is None:
        return [task.tell("VoucherRefused", err="no payment channel was seen on the chain")]
    why = trouble(text, lane.data, serving.data["deal"])
    if why:
        return [task.tell("VoucherRefused", err=why)]
    voucher = parse(text)
    known = lane.data["lanes"].get(voucher.lane)
    adds = voucher.amount - (known["amount"] if known is not None else 0)
    promise = {"lane": voucher.lane, "amount": voucher.amount, "nonce": voucher.nonce}
    return [
        task.here(lane.name, "VoucherAccepted", **promise, deal=serving.data["deal"]),
        task.tell("VoucherSaved", received=adds, channel=lane.data["Channel"]),
    ]


def _cancel_provider(task: _Task) -> list[Act]:
    deal = task.own()
    serving = f"{SERVING}/{deal.name.partition('/')[2]}"
    stop = task.here(serving, "Stop", reason=deal.data["Message"])
    found = task.look(serving)
    stopped = found is None or found.state in ("Finished", "Stopped")
    return [*([] if stopped else [stop]), *_closed(task, deal.data["transfer"]), *task.act()]


def _cleanup_connection(task: _Task) -> list[Act]:
    """End a transfer; where its deal hears of it apart, tell the deal."""
    own = task.own()
    acts = task.act()
    provider = task.effect.node == task.outside.provider
    if provider and task.outside.apart and own.state == "Completing":
        ends = f"{task.outside.client}-{task.outside.provider}-"
        deal = task.outside.at_provider(task.key.removeprefix(ends))
        acts.append(task.here(f"{PROVIDER_DEAL}/{deal}", "ProviderEventComplete"))
    return acts


def _run(task: _Task) -> list[Act]:
    """Run an entry action that asks the outside nothing."""
    return task.act()


def _nothing(_task: _Task) -> list[Act]:
    """Do what concerns nobody else."""
    return []


def _close(task: _Task) -> list[Act]:
    """Keep the content; then the transaction's temporary store is not needed."""
    return [task.tell("Close")]


_PERFORM: Mapping[tuple[str, str], Callable[[_Task], list[Act]]] = {
    (TX, "Query"): _query,
    (TX, "Execute"): _execute,
    (TX, "CancelDeals"): _cancel_deals,
    (TX, "SetRef"): _close,
    (TX, "DumpStore"): _nothing,
    (CLIENT_DEAL, "ProposeDeal"): _propose_deal,
    (CLIENT_DEAL, "SetupPaymentChannelStart"): _setup_payment_channel,
    (CLIENT_DEAL, "WaitPaymentChannelReady"): _wait_payment_channel,
    (CLIENT_DEAL, "AllocateLane"): _allocate_lane,
    (CLIENT_DEAL, "Ongoing"): _run,
    (CLIENT_DEAL, "ProcessPaymentRequested"): _run,
    (CLIENT_DEAL, "SendFunds"): _send_funds,
    (CLIENT_DEAL, "CheckFunds"): _check_funds,
    (CLIENT_DEAL, "CheckComplete"): _run,
    (CLIENT_DEAL, "CancelDeal"): _cancel_client,
    (CHANNEL, "CreateChannel"): _submit("CreateSubmitted"),
    (CHANNEL, "AddFunds"): _submit("AddFundsSubmitted"),
    (CHANNEL, "WaitMessage"): _wait_message,
    (CHANNEL, "FundsReady"): _nothing,
    (CHANNEL, "FundsFailed"): _nothing,
    (QUERY, "SendOffer"): _send_offer,
    (QUERY, "AcceptDeal"): _accept_deal,
    (QUERY, "RejectDeal"): _reject_deal,
    (SERVING, "SendBlock"): _send_block,
    (SERVING, "FinishTransfer"): _finish_transfer,
    (SERVING, "SendResult"): _send_result,
    (SERVING, "ResumeClient"): _resume_client,
    (SERVING, "CheckVoucher"): _check_voucher,
    (PROVIDER_DEAL, "CleanupDeal"): _run,
    (PROVIDER_DEAL, "CancelDeal"): _cancel_provider,
    (TRANSFER, "cleanupConnection"): _cleanup_connection,
}
"""Whose effect, and which → how it is performed."""

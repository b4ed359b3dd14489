"""What happened on both tapes, in few lines: where deals went, which blocks, which vouchers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...fsm.decide import DEFERRED, REJECTED
from ...fsm.story import Happened, Line
from ..filecoin.voucher import parse

WHAT = {
    "deal_client": "deal",
    "deal_provider": "deal",
    "payment_channel": "channel",
    "query_provider": "query",
    "tx": "transaction",
}
"""Machines whose way is told, and by what name."""
PREFIXES = ("DealStatus", "ClientEvent", "ProviderEvent")
LINE_CHARS = 72


def lines(happened: Sequence[Happened]) -> list[Line]:
    """Return what happened, in its order: each way in one line until something else comes."""
    found: list[tuple[Line, str]] = []
    for line, joint in _told(happened):
        last, before = found[-1] if found else (None, "")
        together = last is not None and joint == before and last[:2] == line[:2]
        joined = f"{last.how}{joint}{_tail(line, joint)}" if last is not None else ""
        if together and last is not None and len(joined) <= LINE_CHARS:
            found[-1] = (last._replace(how=joined), joint)
        else:
            found.append((line, joint))
    return [line for line, _ in found]


def _tail(line: Line, joint: str) -> str:
    """Return what a line adds to one of the same way."""
    return line.how.partition(joint)[2] if joint.strip() == "→" else line.how


def _told(happened: Sequence[Happened]) -> Iterator[tuple[Line, str]]:
    """Yield lines, each with what may join it to the next of its kind."""
    queued: list[Happened] = []
    for one in happened:
        if one.entry.event == "BlockQueued" and one.entry.outcome is None:
            queued.append(one)
            continue
        if queued and _is_told(one):
            yield _blocks(queued), ""
            queued = []
        yield from _one(one)
    if queued:
        yield _blocks(queued), ""


def _blocks(queued: Sequence[Happened]) -> Line:
    first, last = (
        int(str((one.entry.params or {})["number"])) + 1 for one in (queued[0], queued[-1])
    )
    which = f"block {first} goes" if first == last else f"blocks {first} to {last} go"
    sent = (queued[-1].entry.set or {})["total_sent"]
    return Line(queued[0].node, "transfer", f"{which} out, {sent} bytes in all")


def _is_told(one: Happened) -> bool:
    return any(True for _ in _one(one))


def _one(one: Happened) -> Iterator[tuple[Line, str]]:
    """Yield the line of an entry, if it is worth one."""
    entry = one.entry
    machine = one.instance.partition("/")[0].rpartition(".")[2]
    what = WHAT.get(machine)
    event = entry.event or ""
    if entry.timer is not None and event == "Stalled":
        name = WHAT.get(machine, "transfer" if machine.startswith("dt_") else machine)
        how = f"watchdog: nothing was heard in {_short(one.state)}"
        yield Line(one.node, name, how), ""
    elif entry.outcome == DEFERRED:
        yield Line(one.node, what or machine, f"{_short(event)} came too early: parked"), ", "
    elif entry.outcome == REJECTED:
        kind = (entry.reason or {}).get("kind")
        yield Line(one.node, what or machine, f"{_short(event)} refused: {kind}"), ""
    elif event == "VoucherCreated":
        params = entry.params or {}
        how = f"number {params['nonce']} promises {params['amount']} attofil altogether"
        yield Line(one.node, "voucher", how), ""
    elif event == "VoucherArrived":
        voucher = parse(str((entry.params or {})["voucher"]))
        yield Line(one.node, "voucher", f"number {voucher.nonce} arrived"), "; "
    elif event == "VoucherSaved":
        params = entry.params or {}
        yield Line(one.node, "voucher", f"it is good, and adds {params['received']} attofil"), "; "
    elif what is not None and entry.to is not None and entry.create is None:
        yield Line(one.node, what, f"{_short(entry.from_)} → {_short(entry.to)}"), " → "


def _short(name: str | None) -> str:
    for prefix in PREFIXES:
        name = (name or "").removeprefix(prefix)
    return name or ""

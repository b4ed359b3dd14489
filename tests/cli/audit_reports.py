"""Reports made by hand, in which everything that a rendering shows is there, and hostile texts."""

from __future__ import annotations

from statetape.fsm.audit import (
    Cited,
    Mark,
    Measure,
    Quantities,
    Report,
    Signed,
    Statement,
    Table,
    TapeSeen,
    Verdict,
)

SETTLE, COLLECT = 160, 1605
HOSTILE = "<script>alert('x')</script> \"q\" & `tick` | [l](javascript:x) \x1b[31m \u202e"
PAYER = "f1nhudgskmseowv7rp4e6scxsmlt3qoysvpn73tuy"
PAYEE = "f1376vktwzuqxmxoxwftqw77qp7p3vfexv3hmgl3a"
CHANNEL = "f2xjl6b4xwp7wj4qs4nwdmufenzhfu4izqiyehmiq"
MICROSECONDS = 1_600_000_000_000_000
VOUCHER = "5a12a0ac58e54343e186ad02bd9a6a6bc7691218e01a8acceae82939a086d3b6"


def cited(pos: int, says: str, height: int | None = None, side: str = "ours") -> Cited:
    """Return an entry as evidence."""
    return Cited(side, pos, says, height)


def mark(kind: str, one: Cited) -> Mark:
    """Return a mark of the timeline."""
    return Mark(one.height, MICROSECONDS + one.pos, kind, one.says, one)


LATE = cited(31, f"voucher received on lane 3, by {HOSTILE}", 170)
SETTLED = cited(20, "Settle by the payer", SETTLE)
COLLECTED = cited(33, "Collect by the payer: 6000 to the payee, 1000 back", COLLECT)
MEASURES = (
    Measure("deposited", "deposited so far", "attofil", charted=True),
    Measure("promised", "promised: the highest voucher of each lane", "attofil", charted=True),
    Measure("to_send", "redeemed: what Collect would pay the payee", "attofil", charted=True),
    Measure("exposure", "held but not redeemed", "attofil"),
    Measure("deadline", "last epoch to redeem", "epoch"),
)
_VALUES = {
    100: (7000, 0, 0, 0, None),
    110: (7000, 3000, 0, 3000, None),
    120: (7000, 6000, 0, 6000, None),
    SETTLE: (7000, 6000, 0, 6000, 1599),
    166: (7000, 6000, 6000, 0, 1599),
    170: (7000, 7000, 6000, 1000, 1599),
    1600: (7000, 7000, 6000, 0, 1599),
    COLLECT: (0, 7000, 6000, 0, 1599),
}
QUANTITIES = tuple(
    Quantities(
        height,
        {
            one.name: None if value is None else str(value)
            for one, value in zip(MEASURES, values, strict=True)
        },
    )
    for height, values in _VALUES.items()
)
LOST = Verdict(
    "D1",
    "You collected before my better voucher",
    "found",
    "The payee held a voucher for 1000 on lane 3 from height 170, and did not redeem it by 1599.",
    "A voucher counts only where a redemption was included before settling_at.",
    "payee",
    "1000",
    "attofil",
    (LATE, SETTLED, COLLECTED),
    (Signed(VOUCHER, PAYER, True, "lane 3, nonce 1, 1000"), Signed("ab" * 32, PAYEE, False)),
)
OPEN = Verdict(
    "D16",
    "I submitted it",
    "undecidable",
    "One side asserts that it pushed a message; no receipt of it is on either tape.",
    "Only an included receipt counts.",
    "undecided",
    entries=(cited(32, "submitted, message bafy2 by <img src=x onerror=alert(1)>", 171),),
)
CLEAR = Verdict(
    "D2", "Stale voucher", "clear", "No redemption was refused for its nonce.", "Row 15."
)
REPORT = Report(
    instance=f"filecoin.payment_channel/{CHANNEL}",
    title="Filecoin payment channel",
    parties={"payer": PAYER, "payee": f"{PAYEE} {HOSTILE}"},
    tapes=(
        TapeSeen("ours", "statetape/0011", "statetape/0011+aa+bb", 33, "c0" * 32),
        TapeSeen("theirs", "statetape/2233", "statetape/2233+cc+dd", 29, "d1" * 32),
    ),
    measures=MEASURES,
    quantities=QUANTITIES,
    verdicts=(CLEAR, LOST, OPEN),
    chain=(Statement("Every message ended as the rules say.", (SETTLED, COLLECTED)),),
    obtainable=(Statement("Until 1599 the payee could have had 7000.", (LATE,)),),
    contradicted=(),
    undecidable=(Statement(f"When the voucher was received: {HOSTILE}", (LATE,)),),
    timeline=(
        mark("chain", cited(5, "channel created with 7000", 100)),
        *(mark("private", cited(6 + n, f"voucher issued on lane {n}", 110)) for n in range(3)),
        *(
            mark("private", cited(6 + n, f"voucher received on lane {n}", 110, "theirs"))
            for n in range(6)
        ),
        *(mark("private", cited(12 + n, f"voucher issued on lane {n}", 120)) for n in range(3)),
        mark("chain", SETTLED),
        *(mark("chain", cited(22 + n, f"redeemed 2000 on lane {n}", 166)) for n in range(3)),
        mark("private", LATE),
        mark("private", cited(32, "submitted", None)),
        mark("chain", COLLECTED),
    ),
    tables=(
        Table(
            "Vouchers",
            ("voucher", "lane", "amount", "literal", "strict"),
            ((VOUCHER, "3", "1000", "ok", "CHANNEL_SETTLED"), (HOSTILE, "0", "2000", "ok", "ok")),
        ),
    ),
)

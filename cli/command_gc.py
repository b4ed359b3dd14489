"""`gc`, `hold`: what may go from a tape and what must stay."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..fsm.errors import EXIT_DONE
from .looking import looking
from .options import (
    DEFAULT_TAPE,
    AnchorOption,
    ByOption,
    InstanceArgument,
    JsonOption,
    KeyFileOption,
    TapeOption,
)
from .output import UsageInvalid, progress, say, say_json, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.collection import Collection, Plan
    from ..engine.commands import Receipt
    from ..engine.inspect import Inspector
    from ..fsm.errors import StatetapeError

PANEL = "Keep"
LISTED_MAX = 40
"""Instances that a dry run names for people; --json names more."""


def add(app: typer.Typer) -> None:
    """Add these commands to the app."""
    app.command("gc", rich_help_panel=PANEL)(gc)
    app.command("hold", rich_help_panel=PANEL)(hold)


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list what would go, and why the rest stays.")
    ] = False,
    shrink: Annotated[
        bool,
        typer.Option("--shrink", help="Then shrink the hashes of emptied blocks to their roots."),
    ] = False,
    uncosigned: Annotated[
        bool,
        typer.Option("--uncosigned", help="With --shrink: although no witness cosigned the tape."),
    ] = False,
    by: ByOption = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> int:
    """Collect the entries of instances that are over, and keep every proof.

    An instance goes whole, when it has been final for longer than its state's `retain`, nobody
    holds it, every consumer is past it, and its entries lie in complete blocks of 256. Its entries
    leave the files for good; their hashes stay, so every checkpoint and every proof still
    verifies. What went, and an instance's last state and digest, is recorded on the tape.

    --shrink also drops the hashes of blocks that have no entry left, below the last cosigned
    checkpoint. Proofs of entries in those blocks must have been taken before.

    Others may write meanwhile, but for the moment in which the file is rewritten. It takes as much
    space again as is left of the tape, for that moment.
    """
    from ..engine import collection
    from ..engine.engine import Engine

    if uncosigned and not shrink:
        raise UsageInvalid("--uncosigned goes with --shrink")
    if dry_run:
        with looking(tape, anchor) as inspector:
            now = time.time_ns() // 1000
            return _planned(collection.plan(inspector.reader, inspector.world, now), as_json=json)
    with Engine.open(tape, anchor=anchor, key=key_file, create=False) as engine:
        if shrink:
            collection.check_cosigned(engine.tape, uncosigned=uncosigned)
        with progress("collecting", None) as report:
            found = collection.collect(
                engine, shrinking=shrink, uncosigned=uncosigned, by=by, progress=report
            )
    return _collected(found, as_json=json)


def _planned(plan: Plan, *, as_json: bool) -> int:
    """Print what would go, and what stays."""
    if as_json:
        said = {
            "instances": plan.instances,
            "entries": plan.entries,
            "going": [{"instance": o.name, "entries": o.entries} for o in plan.going],
            "staying": [
                {"instance": o.name, "entries": o.entries, "why": o.why} for o in plan.staying
            ],
            "reasons": plan.reasons,
        }
        say_json(said)
        return EXIT_DONE
    say(f"{plan.instances} instances with {plan.entries} entries would go")
    for one in plan.going[:LISTED_MAX]:
        say(f"  {one.name}  {one.entries} entries")
    _more(plan.instances)
    staying = sum(plan.reasons.values())
    say(f"{staying} instances would stay")
    for one in plan.staying[:LISTED_MAX]:
        say(f"  {one.name}  {one.why}")
    _more(staying)
    return EXIT_DONE


def _more(count: int) -> None:
    if count > LISTED_MAX:
        say(f"  … and {count - LISTED_MAX} more")


def _collected(found: Collection, *, as_json: bool) -> int:
    """Print what went."""
    if as_json:
        said = {
            "instances": found.instances,
            "entries": found.entries,
            "blocks_shrunk": found.blocks_shrunk,
            "bytes_before": found.bytes_before,
            "bytes_after": found.bytes_after,
            "compacted": found.compacted,
        }
        say_json(said)
    else:
        say(f"{found.instances} instances with {found.entries} entries collected")
        if found.blocks_shrunk:
            say(f"{found.blocks_shrunk} blocks of 256 hashes shrunk to their roots")
        say(f"{found.bytes_before} bytes before, {found.bytes_after} now")
    if not found.compacted:
        warn("note: a reader keeps the WAL: run it again when that is closed, to free its bytes")
    return EXIT_DONE


def hold(
    instance: InstanceArgument,
    why: Annotated[str, typer.Option("--why", help="Why; recorded with the entry.")],
    release: Annotated[
        bool, typer.Option("--release", help="Lift every hold on it instead.")
    ] = False,
    alone: Annotated[
        bool, typer.Option("--alone", help="Only this instance, not those linked to it.")
    ] = False,
    by: ByOption = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> int:
    """Keep an instance's entries, and of those linked with it, whatever `gc` would take.

    As long as a dispute lasts, say. What is linked is found as `history` finds it, as of now.
    A hold lasts until it is released. Both are recorded, with who and why.

    statetape hold 4711 --why "dispute about voucher 12" --by ops
    """
    from ..engine.commands import Hold
    from ..engine.engine import Engine

    with looking(tape, anchor) as inspector:
        names, more = _meant(inspector, inspector.find(instance), alone=alone)
        if release:
            names = [name for name in names if name in inspector.world.holds] or names[:1]
    with Engine.open(tape, anchor=anchor, key=key_file, create=False) as engine:
        answers = engine.execute_many([Hold(name, why, release, by) for name in names])
    _raise_first(answers)
    if more:
        warn("note: perhaps others are linked: not all links were followed")
    said: list[dict[str, Any]] = [
        {"instance": name, "pos": answer.pos, "outcome": answer.outcome}
        for name, answer in zip(names, answers, strict=True)
        if not isinstance(answer, Exception)
    ]
    if json:
        say_json(said)
        return EXIT_DONE
    what = "released" if release else "on hold"
    for one in said:
        since = "already, since position" if one["outcome"] == "duplicate" else "position"
        say(f"{one['instance']}  {what}: {since} {one['pos']}")
    return EXIT_DONE


def _meant(inspector: Inspector, name: str, *, alone: bool) -> tuple[list[str], bool]:
    """Return the instances that a hold covers, and whether there may be others."""
    from ..engine.links import group_of

    if alone:
        return [name], False
    group = group_of(inspector, name, time.time_ns() // 1000)
    return group.names, group.more


def _raise_first(answers: Sequence[Receipt | StatetapeError]) -> None:
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer

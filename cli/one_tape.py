"""`demo` of a story of one tape: each command as a user types it, and what came of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..fsm.errors import EXIT_DONE
from .command_instance import receipt_lines
from .command_tape import recovery_lines
from .demo_tape import BY, DemoFailed, clear, short, show_typed, words_of
from .output import say, table

if TYPE_CHECKING:
    from ..engine.engine import Engine
    from ..fsm.story import Event, Height, Scene, Story


def play(told: Story, tape: Path) -> int:
    """Play a story from its beginning, on a new tape; returns the exit code."""
    clear([tape], [BY])
    say(told.title)
    _play(told, tape)
    _conclude(told, tape)
    return EXIT_DONE


def _play(told: Story, tape: Path) -> None:
    """Play the scenes; a session ends where a process dies, and recovery opens the next."""
    from ..engine.engine import Engine
    from ..engine.recover import recover
    from ..fsm.story import Event, Recover, Say

    engine = Engine.open(tape)
    try:
        for number, scene in enumerate(told.scenes):
            if isinstance(scene, Say):
                say(f"\n# {scene.text}")
            elif isinstance(scene, Recover):
                say("$ statetape recover")
                for line in recovery_lines(recover(tape)):
                    say(f"  {line}")
                engine = Engine.open(tape)
            elif isinstance(scene, Event) and scene.dies:
                engine.close()
                _kill(scene, number, tape)
            else:
                _step(engine, scene)
    finally:
        engine.close()


def _step(engine: Engine, scene: Scene) -> None:
    """Play one command, and print it as a user would type it."""
    from ..engine import catalogue
    from ..fsm.story import Begin, Height
    from .values import read

    if isinstance(scene, Height):
        _observe(engine, scene)
        return
    if isinstance(scene, Begin):
        machine = catalogue.machine(scene.machine)
        show_typed("new", scene.machine, scene.key, params=scene.params)
        params = read(machine.create, words_of(scene.params))
        receipt = engine.create(machine, scene.key, params, by=BY)
    else:
        receipt = _send(engine, scene)  # type: ignore[arg-type]
    for line in receipt_lines(receipt):
        say(f"  {line}")


def _send(engine: Engine, scene: Event) -> Any:
    from .values import read

    instance = engine.world.instance(scene.instance)
    if instance is None:
        raise DemoFailed(f"no instance {scene.instance}")
    show_typed("send", instance.key, scene.event, params=scene.params, key=scene.key)
    params = read(instance.machine.events[scene.event], words_of(scene.params))
    return engine.send(scene.instance, scene.event, params, key=scene.key, by=BY)


def _observe(engine: Engine, scene: Height) -> None:
    from ..fsm.entry import decode

    show_typed("head", scene.chain, str(scene.height), params={})
    before = engine.tape.size
    engine.observe(scene.chain, scene.height, by=BY)
    for body in engine.tape.read(before + 2):
        entry = decode(body)
        instance = engine.world.instance_at(entry.instance or 0)
        key = instance.key if instance else ""
        say(f"  fired {entry.timer} of {short(key)}: {entry.from_} → {entry.to}")


def _kill(scene: Event, number: int, tape: Path) -> None:
    """Let a process of its own play the scene, and see it die by SIGKILL."""
    instance = scene.instance.partition("/")[2]
    show_typed("send", instance, scene.event, params=scene.params, key=scene.key)
    command = [sys.executable, "-m", "statetape.cli.main", "demo", "--tape", str(tape)]
    died = subprocess.run([*command, "--scene", str(number)], check=False)  # noqa: S603
    if died.returncode != -signal.SIGKILL:
        raise DemoFailed(f"the process ended with {died.returncode} instead of dying")
    say("  Killed (SIGKILL)")


def die(told: Story, number: int, tape: Path) -> int:
    """Play one scene and die once its entry is durable, before it is acknowledged."""
    from ..engine.engine import Engine

    scene: Any = told.scenes[number]
    engine = Engine.open(tape, create=False)
    engine.after_commit = lambda: os.kill(os.getpid(), signal.SIGKILL)
    engine.send(scene.instance, scene.event, scene.params, key=scene.key, by=BY)
    return EXIT_DONE


def _conclude(told: Story, tape: Path) -> None:
    """Say who got what, prove it, and say what to try next."""
    from ..engine.inspect import Inspector
    from ..engine.replay import Replayer
    from ..engine.verify import verify

    say("\n# Who got what")
    with Inspector.open(tape) as inspector:
        seen = [inspector.seen(folded) for folded in inspector.instances()]
        table(told.columns, [[short(_key(one.name)), *told.row(one.shown())] for one in seen])
        say("\n# Proof")
        findings = verify(inspector.reader)
        say("$ statetape verify")
        say(f"  {inspector.reader.stored_size()} entries, {len(findings)} findings")
        report = Replayer().run(inspector.reader.read())
        same = "every byte as recorded" if report.difference is None else "a difference"
        say("$ statetape replay")
        say(f"  {report.entries} entries, {same}")
    if findings or report.difference is not None:
        raise DemoFailed("the tape does not prove itself")
    say(f"\n# The tape is {tape}. Try on it (with STATETAPE_TAPE={tape}):")
    for step in told.next_steps:
        say(f"  statetape {step}")


def _key(name: str) -> str:
    return name.partition("/")[2]

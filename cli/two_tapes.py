"""`demo` of a story of several tapes: nodes that act on each other, driven by what their tapes say.

The clock is the story's own, so that a fault leads to the same entries at the same times each time.
Where a process is to die, another process plays that scene and is killed; this one recovers.
"""

from __future__ import annotations

import functools
import io
import math
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..engine.driver import Driver
from ..engine.engine import Engine
from ..fsm.entry import Entry, decode
from ..fsm.errors import EXIT_DONE
from ..fsm.moments import show_time
from ..fsm.story import (
    Begin,
    Drive,
    Event,
    Happened,
    Height,
    Look,
    Moment,
    Pass,
    Recover,
    Say,
    TapeOf,
)
from .command_instance import receipt_lines
from .demo_tape import BY, DemoFailed, clear, show_typed, words_of
from .output import say, table

if TYPE_CHECKING:
    from ..fsm.story import Drama, Scene, Tale

LINE_CHARS = 96


class Clock:
    """The story's clock: it stands until it is moved."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


def play(drama: Drama, fault: str, tape: Path) -> int:
    """Play a story with a fault from its beginning, on new tapes; returns the exit code."""
    paths = paths_of(drama, tape)
    clear(list(paths.values()), [BY, *drama.nodes], began=drama.starts_at)
    stage = Stage(drama, drama.tales[fault], paths, Clock(drama.starts_at))
    say(f"{drama.title}. Fault: {fault}")
    say(f"({stage.tale.about})")
    for node, path in paths.items():
        say(f"{node}$ is a shell with STATETAPE_TAPE={path}")
    try:
        for number, scene in enumerate(stage.tale.scenes):
            if isinstance(scene, Drive) and scene.dies:
                stage.close()
                _kill(stage, fault, number, tape)
            else:
                stage.play(scene)
        _conclude(stage)
    finally:
        stage.close()
    return EXIT_DONE


def die(drama: Drama, fault: str, tape: Path, number: int) -> int:
    """Play one scene, and die by SIGKILL once its moment's entry is durable."""
    paths = paths_of(drama, tape)
    stage = Stage(drama, drama.tales[fault], paths, Clock(drama.starts_at))
    scene = stage.tale.scenes[number]
    if not isinstance(scene, Drive) or scene.until is None:
        raise DemoFailed(f"nobody dies in scene {number}")
    engine = stage.nodes[scene.until.node]
    until = scene.until

    def look() -> None:
        if _position(engine, until):
            os.kill(os.getpid(), signal.SIGKILL)

    engine.after_commit = look
    driver = stage.driver(scene)
    # Everything before is anchored, so that what was in flight is that one commit.
    for one in stage.nodes.values():
        one.anchor_every_s = math.inf
    while driver.step():
        for one in stage.nodes.values():
            one.anchor()
    return EXIT_DONE


def paths_of(drama: Drama, tape: Path) -> dict[str, Path]:
    """Return each node's tape: beside `tape`, with the node's name in it."""
    return {node: tape.with_name(f"{tape.stem}-{node}{tape.suffix}") for node in drama.nodes}


def _position(engine: Engine, moment: Moment) -> int:
    """Return where a moment's entry stands, 0: not yet there."""
    count = 0
    for body in engine.tape.read():
        entry = decode(body)
        if entry.event == moment.event and entry.outcome is None:
            found = engine.world.instance_at(entry.instance or entry.pos)
            count += found is not None and found.name == moment.instance
            if count == moment.count:
                return entry.pos
    return 0


class Stage:
    """The nodes of a story while it is played."""

    def __init__(self, drama: Drama, tale: Tale, paths: Mapping[str, Path], clock: Clock) -> None:
        self.drama = drama
        self.tale = tale
        self.paths = paths
        self.clock = clock
        self.told = dict.fromkeys(paths, 0)
        """By node: up to which position everything was told."""
        self._states: dict[tuple[str, str], str] = {}
        self._nodes: dict[str, Engine] = {}

    @property
    def nodes(self) -> dict[str, Engine]:
        """The engines; opened when they are needed, later than everything on their tapes."""
        if not self._nodes:
            for node, path in self.paths.items():
                self._nodes[node] = Engine.open(path, clock=self.clock)
            lasts = [decode(one.tape.body(one.tape.size) or b"") for one in self._nodes.values()]
            step = 0 if all(last.pos == 1 for last in lasts) else self.drama.step_us
            self.clock.now = max(self.clock.now, *(last.happened + step for last in lasts))
        return self._nodes

    def close(self) -> None:
        """Close every engine."""
        for engine in self._nodes.values():
            engine.close()
        self._nodes = {}

    def play(self, scene: Scene) -> None:
        """Play one scene."""
        if isinstance(scene, Say):
            say()
            for line in textwrap.wrap(scene.text, LINE_CHARS - 2):
                say(f"# {line}")
        elif isinstance(scene, Begin | Event):
            self._command(scene)
        elif isinstance(scene, Drive):
            self._drive(scene)
        elif isinstance(scene, Pass):
            self._pass(scene)
        elif isinstance(scene, Height):
            self._observe(scene)
        elif isinstance(scene, Look):
            self.look(scene)
        elif isinstance(scene, Recover):
            self._recover()

    def _command(self, scene: Begin | Event) -> None:
        from ..engine import catalogue
        from .values import read

        engine = self.nodes[scene.node]
        prompt = f"{scene.node}$"
        self.clock.now += self.drama.step_us
        if isinstance(scene, Begin):
            machine = catalogue.machine(scene.machine)
            show_typed("new", scene.machine, scene.key, params=scene.params, prompt=prompt)
            params = read(machine.create, words_of(scene.params))
            receipt = engine.create(machine, scene.key, params, by=BY)
        else:
            found = engine.world.instance(scene.instance)
            if found is None:
                raise DemoFailed(f"no instance {scene.instance}")
            show_typed("send", found.key, scene.event, params=scene.params, prompt=prompt)
            params = read(found.machine.events[scene.event], words_of(scene.params))
            receipt = engine.send(scene.instance, scene.event, params, by=BY)
        for line in receipt_lines(receipt):
            if not line.startswith("to do"):  # what follows is told next
                say(f"  {line}")
        self.told[scene.node] = engine.tape.size

    def driver(self, scene: Drive) -> Driver:
        """Return a driver of the nodes, on whose ways time passes."""

        def carry(effect: Any, act: Any) -> str:
            self.clock.now += self.drama.step_us
            return scene.carry(effect, act)

        return Driver(self.nodes, self.tale.perform, carry)

    def _drive(self, scene: Drive) -> None:
        driver = self.driver(scene)
        until = scene.until
        if until is None:
            driver.run()
        else:
            engine = self.nodes[until.node]
            while not _position(engine, until):
                if not driver.step():
                    raise DemoFailed(f"{until.event} of {until.instance} never came")
        self.tell()

    def tell(self) -> None:
        """Print what happened since it was told last."""
        lines = self.drama.tell(list(self._happened()))
        nodes = max((len(line.node) for line in lines), default=0)
        whats = max((len(line.what) for line in lines), default=0)
        for line in lines:
            say(f"  {line.node:<{nodes}}  {line.what:<{whats}}  {line.how}")

    def _happened(self) -> Iterator[Happened]:
        """Yield the entries that were not told, in the order of their times."""
        found = []
        for number, node in enumerate(self.paths):
            for entry, name in self._untold(node):
                found.append((entry.happened, number, entry.pos, node, name, entry))
                self.told[node] = entry.pos
        for _, _, _, node, name, entry in sorted(found, key=lambda one: one[:3]):
            state = entry.to or self._states.get((node, name), "")
            self._states[node, name] = state
            yield Happened(node, name, state, entry)

    def _untold(self, node: str) -> Iterator[tuple[Entry, str]]:
        """Yield entries with their instances' names; opens nothing for writing."""
        from ..engine.inspect import Inspector

        with ExitStack() as held:
            source: Engine | Inspector
            if self._nodes:
                source = self._nodes[node]
                bodies = source.tape.read(self.told[node] + 1)
            else:
                source = held.enter_context(Inspector.open(self.paths[node]))
                bodies = source.reader.read(self.told[node] + 1)
            for entry in map(decode, bodies):
                instance = source.world.instance_at(entry.instance or entry.pos)
                if entry.tape is None and instance is not None:
                    yield entry, instance.name

    def _pass(self, scene: Pass) -> None:
        nodes = self.nodes
        self.clock.now += scene.duration_us
        say(f"  … {scene.duration_us // 60_000_000} minutes pass")
        for engine in nodes.values():
            engine.tick()
        self.tell()

    def _observe(self, scene: Height) -> None:
        nodes = self.nodes
        before = next(iter(nodes.values())).world.height(scene.chain)
        if before is not None:
            self.clock.now += (scene.height - before) * scene.block_us
        say(f"  … {scene.chain} is at height {scene.height}")
        for engine in nodes.values():
            engine.observe(scene.chain, scene.height, by=BY)
        self.tell()

    def look(self, scene: Look) -> None:
        """Run a command that looks, as it stands, and print what it says."""
        words = self.words(scene)
        say(f"{scene.node}$ statetape {_quoted(words)}")
        lines = _said(words, self.paths[scene.node])
        for line in _upto(lines, scene.until):
            say(f"  {line}")

    def words(self, scene: Look) -> list[str]:
        """Return a command's words: positions looked up, and now as it is in the story."""
        words = [self._word(scene.node, word) for word in scene.words]
        if words[0] == "explain":
            words += ["--now", show_time(self.clock.now)]
        return words

    def _word(self, node: str, word: str | Moment | TapeOf | Sequence[str | Moment]) -> str:
        if isinstance(word, str):
            return word
        if isinstance(word, TapeOf):
            return str(self.paths[word.node])
        if isinstance(word, Moment):
            return str(_position(self.nodes[node], word))
        return "".join(self._word(node, part) for part in word)

    def _recover(self) -> None:
        from ..engine.recover import recover
        from .command_tape import recovery_lines

        self.close()
        for node, path in self.paths.items():
            say(f"{node}$ statetape recover")
            lines = list(recovery_lines(recover(path, clock=self.clock)))
            for line in lines:
                say(f"  {line}")


def _quoted(words: Sequence[str]) -> str:
    return " ".join(f"'{word}'" if " " in word else word for word in words)


def _upto(lines: Sequence[str], end: str | None) -> Iterator[str]:
    for number, line in enumerate(lines):
        if end is not None and line.startswith(end):
            yield f"… ({len(lines) - number} more lines)"
            return
        yield line


@functools.cache
def _command_line() -> Any:
    from .main import register

    return typer.main.get_command(register())


def _said(words: Sequence[str], tape: Path) -> list[str]:
    """Return the lines that a command prints about a tape, run as its words say."""
    where = ["--tape", str(tape), "--anchor", f"{tape}.anchor"]
    out = io.StringIO()
    command = _command_line()
    with redirect_stdout(out), command.make_context("statetape", [*words, *where]) as context:
        context.command.invoke(context)
    return out.getvalue().splitlines()


def _kill(stage: Stage, fault: str, number: int, tape: Path) -> None:
    """Let a process of its own drive the nodes, and see it die by SIGKILL."""
    scene = stage.tale.scenes[number]
    command = [sys.executable, "-m", "statetape.cli.main", "demo", _name_of(stage.drama)]
    command += ["--fault", fault, "--tape", str(tape), "--scene", str(number)]
    died = subprocess.run(command, check=False)  # noqa: S603
    if died.returncode != -signal.SIGKILL:
        raise DemoFailed(f"the process ended with {died.returncode} instead of dying")
    stage.tell()
    moment = scene.until if isinstance(scene, Drive) else None
    say(f"  Killed (SIGKILL), just after {moment.event if moment else 'an entry'} was stored")


def _name_of(drama: Drama) -> str:
    from ..engine import catalogue

    return next(name for name, story in catalogue.stories().items() if story is drama)


def _conclude(stage: Stage) -> None:
    """Compare what both tapes say, prove them, judge the end, and say what to try next."""
    say("\n# What the tapes say at the end")
    wrong = _states(stage) + _figures(stage)
    stage.close()
    say("\n# Proof")
    for node, path in stage.paths.items():
        for command in ("verify", "replay"):
            say(f"{node}$ statetape {command}")
            # The root of the tree, on the next line, is another one each time.
            say(f"  {_said([command], path)[0]}")
    if wrong:
        raise DemoFailed("; ".join(wrong))
    say("\n# Try next")
    for step in stage.tale.next_steps:
        say(f"  {step.node}$ statetape {_quoted(stage.words(step))}")


def _states(stage: Stage) -> list[str]:
    """Print where instances ended; returns what is not as told."""
    wrong = []
    rows = []
    for (node, instance), state in stage.tale.ends.items():
        found = stage.nodes[node].world.instance(instance)
        there = found.state if found is not None else "nowhere"
        rows.append([node, instance, there])
        if there != state:
            wrong.append(f"{instance} ended in {there}, not in {state}")
    table(["tape", "instance", "state"], rows)
    return wrong


def _figures(stage: Stage) -> list[str]:
    """Print the figures of both tapes side by side; returns what is not as told."""
    wrong = []
    rows = []
    shown = {node: _ledgers(stage, node) for node in stage.paths}
    for label, figures in stage.drama.figures.items():
        values = [shown[one.node].get((one.instance, one.name), "nothing") for one in figures]
        differ = len(set(values)) > 1
        rows.append([label, *values, "they differ" if differ else ""])
        if differ != (label in stage.tale.apart):
            wrong.append(f"{label}: {' and '.join(values)}")
    say()
    table(["figure", *stage.drama.nodes, ""], rows)
    return wrong


def _ledgers(stage: Stage, node: str) -> dict[tuple[str, str], str]:
    """Return the figures that a tape has for the story: (instance, name) → as people read it."""
    from ..engine.explain import explain
    from ..engine.inspect import Inspector

    wanted = {one for figures in stage.drama.figures.values() for one in figures}
    found: dict[tuple[str, str], str] = {}
    with Inspector.open(stage.paths[node]) as inspector:
        for name in sorted({one.instance for one in wanted if one.node == node}):
            place = explain(inspector, name, stage.clock.now).place
            found |= {(name, one.name): one.shown for one in place.ledger}
    return found

"""From a log's lines to instances: which deal a line speaks of, and what is recorded of it.

Theory of operation. A refused event is recorded twice: in the story of its deal (`golog.story`), as
it was printed and with how it was read; and as a command to the machine that it was read as
(`golog.TABLE`, the table without the arguments, which no log holds; `logged` writes its text),
which begins in the state that the line shows and refuses it again. Both are named after the deal,
the machine also after the state.

R1  The line names no deal. A look-up (`No state for /ID`) does: what comes after it in the same
    test, at most REACH_US later, is taken to be of that deal. The nearest look-up counts. This is a
    guess, and with two deals at once it may be the wrong one; the machine and the state are none.
R2  Where no look-up is near, refusals of one machine in one state that follow each other within
    REACH_US are one story, named after its first line.
R3  A line is known by its octets and by how often they came before in the file. So a log that grew,
    or another copy, adds what is new. Two logs of two nodes with the same octets in the same
    millisecond would be taken for copies of one.
R4  How a deal came from one state to another is in no log. So a machine that is seen in two states
    is two instances of one story.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...fsm.importing import Begin, Event, Item, Machines, Note
from .decode import EXCLUDED, UNLIKELY, Candidate, Decoder
from .keys import key_in
from .lines import Line, read_lines
from .logged import logged, machine_named
from .messages import (
    ENDED,
    FAILED,
    LOOKED_UP,
    REFUSED,
    STOPPED,
    STUCK,
    UNSENT,
    Message,
    find_message,
)

STORY = "golog.story"
REACH_US = 60_000_000
MINUTE_US = 60_000_000
"""The rules' times are whole minutes."""
DECODED_MAX = 1_000
LISTED_CHARS_MAX = 300
ONCE_CHARS_MAX = 200


@dataclass
class _Deal:
    """The deal that was looked up last."""

    key: str
    test: str
    at: int | None

    def reaches(self, test: str, at: int | None) -> bool:
        if test != self.test:
            return False
        return self.at is None or at is None or 0 <= at - self.at <= REACH_US


@dataclass
class _Run:
    """The latest refusal of one machine in one state that no deal is known for."""

    key: str
    at: int | None


@dataclass
class Reading:
    """Reads one log. `items` may be run once."""

    source: bytes
    machines: Machines
    _deal: _Deal | None = None
    _at: int | None = None
    _runs: dict[tuple[str, str, str], _Run] = field(default_factory=dict)
    _begun: dict[str, None] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)
    """The text of each machine that was read so far."""
    _stories: dict[str, None] = field(default_factory=dict)
    _decoded: dict[tuple[str, str, str | None, int | None], list[Candidate]] = field(
        default_factory=dict
    )
    _read: dict[tuple[str, str], None] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._decoder = Decoder(self.machines)

    def items(self) -> Iterator[Item]:
        """Yield what the log says, in its order; what says nothing of a machine is in notes."""
        passed = _Passed()
        for line in read_lines(self.source):
            self._at = line.at if line.at is not None else self._at
            message = find_message(line.message) if line.message else None
            if message is None:
                if not line.follows:
                    yield from passed.add(line)
                continue
            yield from passed.end()
            if not line.whole:
                why = "longer than is read; its beginning counts"
                yield Note(f"line {line.number}", why, warning=True)
            yield from self._said(line, message)
        yield from passed.end()

    def _said(self, line: Line, message: Message) -> Iterator[Item]:
        once = self._once(line)
        if message.kind == LOOKED_UP:
            self._deal = _Deal(message.first, line.test, line.at)
        if message.kind == REFUSED:
            yield from self._refused(line, message, once)
            return
        key = self._near(line) or once
        params: dict[str, Any] = {"said": line.said}
        if message.kind == LOOKED_UP:
            begun = int(message.first) * 1000
            params |= {"deal": message.first, "begun": begun if begun < 2**52 else None}
        elif message.kind == UNSENT:
            params |= {"wrong": message.first, "printed_event": message.second}
            params["may_be"] = self._decoder.undeclared(message.second)
        elif message.kind == FAILED:
            params |= {"printed_event": message.first, "error": message.second}
        elif message.kind in (STUCK, STOPPED):
            params |= {"error": message.second}
        elif message.kind != ENDED:
            raise AssertionError(message.kind)
        yield from self._tell(line, key, message.kind, params, once)

    def _refused(self, line: Line, message: Message, once: str) -> Iterator[Item]:
        candidates = self._decode(line, message)
        chosen = candidates[0]
        printed = {"printed_state": message.first, "printed_event": message.second}
        if chosen.verdict == EXCLUDED or chosen.state is None or chosen.event is None:
            told = {**printed, "excluded": _listed(candidates)}
            yield from self._tell(line, self._near(line) or once, "Undecided", told, once)
            return
        machine = machine_named(chosen.machine)
        key = self._near(line) or self._run(line, machine, chosen.state, once)
        instance = f"{machine}/{key_in(key, chosen.state)}"
        meant = {**printed, "machine": chosen.machine, "meaning": _meaning(chosen, message)}
        read = f"read {machine} {message.first}/{message.second}"[:ONCE_CHARS_MAX]
        if (key, read) not in self._read:
            self._read[key, read] = None
            rest = candidates[1:]
            reading = {
                **meant,
                "accepts": chosen.accepts,
                "accepted_in": chosen.accepted_in,
                "others": _listed([one for one in rest if one.verdict != EXCLUDED]),
                "excluded": _listed([one for one in rest if one.verdict == EXCLUDED]),
            }
            yield from self._tell(line, key, "Read", reading, read)
        told = {**meant, "instance": instance, "said": line.said}
        yield from self._tell(line, key, REFUSED, told, once)
        yield from self._command(line, instance, chosen, once)

    def _decode(self, line: Line, message: Message) -> list[Candidate]:
        """Return what a pair can have been; a log that repeats itself is read quickly."""
        minute = None if line.at is None else line.at // MINUTE_US
        pair = (message.first, message.second, line.program, minute)
        if pair not in self._decoded:
            if len(self._decoded) >= DECODED_MAX:
                self._decoded.clear()
            found = self._decoder.decode(message.first, message.second, line.at, line.program)
            self._decoded[pair] = found
        return self._decoded[pair]

    def _command(self, line: Line, instance: str, chosen: Candidate, once: str) -> Iterator[Item]:
        """Yield the refused event as a command to the machine that it was read as."""
        if instance not in self._begun:
            self._begun[instance] = None
            machine, _, key = instance.partition("/")
            if machine not in self._texts:
                self._texts[machine] = logged(self._decoder.table(chosen.machine))
            yield Begin(
                once="begin",
                place=f"line {line.number}",
                machine=machine,
                key=key,
                text=self._texts[machine],
                state=chosen.state,
                at=self._at,
                by=_by(line),
            )
        yield self._event(line, instance, chosen.event or "", {}, once)

    def _event(
        self, line: Line, instance: str, event: str, params: Mapping[str, Any], once: str
    ) -> Event:
        return Event(
            once=once,
            place=f"line {line.number}",
            instance=instance,
            event=event,
            params=params,
            at=self._at,
            by=_by(line),
        )

    def _tell(
        self, line: Line, key: str, event: str, params: Mapping[str, Any], once: str
    ) -> Iterator[Item]:
        """Yield an event of a story, and its beginning before the first."""
        if key not in self._stories:
            self._stories[key] = None
            place = f"line {line.number}"
            yield Begin(
                once="begin", place=place, machine=STORY, key=key, at=self._at, by=_by(line)
            )
        told = {name: value for name, value in params.items() if value not in (None, [])}
        yield self._event(line, f"{STORY}/{key}", event, told, once)

    def _near(self, line: Line) -> str | None:
        """Return the deal that a line is taken to be of, or None (R1)."""
        deal = self._deal
        return deal.key if deal is not None and deal.reaches(line.test, line.at) else None

    def _run(self, line: Line, machine: str, state: str, once: str) -> str:
        """Return the story of a refusal that no deal is known for (R2)."""
        place = (line.test, machine, state)
        run = self._runs.get(place)
        near = run is not None and (
            run.at is None or line.at is None or 0 <= line.at - run.at <= REACH_US
        )
        key = run.key if run is not None and near else once
        self._runs[place] = _Run(key, line.at)
        return key

    def _once(self, line: Line) -> str:
        """Return what names this line, whatever file it stands in (R3)."""
        identity = line.identity()
        count = self._seen[identity] = self._seen.get(identity, 0) + 1
        return identity if count == 1 else f"{identity}.{count}"


@dataclass
class _Passed:
    """Lines, one after another, that say nothing of a machine."""

    first: Line | None = None
    last: int = 0

    def add(self, line: Line) -> Iterator[Item]:
        if self.first is not None and line.number != self.last + 1:
            yield from self.end()
        self.first = self.first or line
        self.last = line.number

    def end(self) -> Iterator[Item]:
        first, self.first = self.first, None
        if first is not None:
            more = self.last - first.number
            place = f"lines {first.number}-{self.last}" if more else f"line {first.number}"
            rest = f" (and {more} more)" if more else ""
            said = f"nothing of a machine: {first.said.strip()[:200]}{rest}"
            yield Note(place, said, aside=True)


def _by(line: Line) -> str:
    """Return where a line stands. It is no part of what a command says, so it may differ."""
    where = f"go-log line {line.number}"
    return f"{where} of {line.test}" if line.test else where


def _listed(candidates: list[Candidate]) -> list[str]:
    return [str(one)[:LISTED_CHARS_MAX] for one in candidates]


def _meaning(chosen: Candidate, message: Message) -> str:
    """Return in one sentence what a refused pair was."""
    sure = "may be (unlikely)" if chosen.verdict == UNLIKELY else "is"
    where = ", ".join(chosen.accepted_in) or "no state"
    return (
        f"state {message.first}, event {message.second} {sure} {chosen.event} sent to "
        f"{chosen.machine} in {chosen.state}; it is accepted in {where}"
    )

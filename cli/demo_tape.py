"""What demonstrations share: whose tapes they may replace, and commands as a user types them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..fsm.errors import CallerError, StatetapeError
from .output import say

BY = "demo"
SHOWN_CHARS = 24
LINE_CHARS = 95
BESIDE = ("", "-wal", "-shm", ".anchor", ".key", ".lock")
"""The suffixes of a tape's files."""


class DemoTapeTaken(CallerError):
    """The file is not the tape of an earlier demo, so it is left alone."""

    code = "demo-tape-taken"


class DemoFailed(StatetapeError):
    """The demonstration did not go as told."""

    code = "demo-failed"


def clear(tapes: Sequence[Path], people: Sequence[str], *, began: int | None = None) -> None:
    """Remove the tapes of an earlier demo, and nothing else: all of them, or none.

    A demo's tape is one whose every command came from `people`; `began`: and that began then.
    """
    for tape in tapes:
        if tape.exists() and not _is_demo(tape, people, began):
            why = "the file is not the tape of an earlier demo; it is left alone"
            raise DemoTapeTaken(why, place=str(tape), hint="give another --tape")
    for tape in tapes:
        for suffix in BESIDE:
            Path(f"{tape}{suffix}").unlink(missing_ok=True)


def _is_demo(tape: Path, people: Sequence[str], began: int | None) -> bool:
    from ..fsm.entry import decode
    from ..storage.files import Files
    from ..storage.reader import Reader

    with Reader.open(Files.of(tape)) as reader:
        entries = [decode(body) for body in reader.read()]
    if began is not None and entries and entries[0].at != began:
        return False
    asked = [one for one in entries if (one.tape, one.timer, one.offer, one.raised) == (None,) * 4]
    return all(entry.by in people for entry in asked)


def words_of(params: Mapping[str, str]) -> list[str]:
    """Return parameters as they are typed."""
    return [f"{name}={value}" for name, value in params.items()]


def show_typed(
    *words: str, params: Mapping[str, str], key: str | None = None, prompt: str = "$"
) -> None:
    """Print a command as a user types it; long words are cut."""
    said = [short(word) for word in words]
    said += [f"{short(name)}={_quoted(value)}" for name, value in params.items()]
    if key is not None:
        said.append(f"--key {key}")
    line = f"{prompt} statetape"
    for word in said:
        if len(line) + len(word) > LINE_CHARS:
            say(f"{line} \\")
            line = "   "
        line += f" {word}"
    say(line)


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else short(value)


def short(text: str) -> str:
    """Return a text cut to what fits in a line of several."""
    return text if len(text) <= SHOWN_CHARS + 1 else f"{text[:SHOWN_CHARS]}…"

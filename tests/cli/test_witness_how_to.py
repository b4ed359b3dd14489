"""docs/how-to/witness-each-other.md: what it types works, and prints what it shows."""

from __future__ import annotations

import os
import re
import sys

from tests.documents import ROOT

HOW_TO = ROOT / "docs" / "how-to" / "witness-each-other.md"
MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "TIME"),
    (re.compile(r"statetape/[0-9a-f]{32}"), "statetape/ID"),
    (re.compile(r"(?<![\w/.])[A-Za-z0-9+/]{40,}={0,2}"), "BASE64"),
    (re.compile(r"^127\.0\.0\.1 \d+ .*\n", re.MULTILINE), ""),
)


def blocks(language):
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", HOW_TO.read_text(), re.MULTILINE | re.DOTALL)


def masked(text):
    """Replace what differs each time, and leave out the server's log."""
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    return text


def test_the_guide_prints_what_it_shows(sh):
    """All of it in one shell: what it prints is, in order, what the guide shows."""
    program = sh.folder / "bin" / "statetape"  # a program, so that what is stopped is the server
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m statetape.cli.main "$@"\n')
    program.chmod(0o755)
    begin = "unset -f statetape\nexec 2>&1\n"
    path = f"{program.parent}:{os.environ['PATH']}"
    ended = sh.script(begin + "".join(blocks("sh")), PATH=path)
    printed = masked(ended.out)

    assert (ended.status, ended.err) == (0, "")
    at = 0
    for shown in blocks("text"):
        assert shown in printed[at:]
        at = printed.index(shown, at) + len(shown)
    assert len(blocks("text")) == 6

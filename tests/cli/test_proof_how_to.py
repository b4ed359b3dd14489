"""docs/how-to/prove-an-entry.md: what it types works, and prints what it shows."""

from __future__ import annotations

import re

import pytest

from ..documents import ROOT

HOW_TO = ROOT / "docs" / "how-to" / "prove-an-entry.md"
MASKS = (
    (re.compile(r"statetape/[0-9a-f]{32}"), "statetape/ID"),
    (re.compile(r"statetape/ID\+[0-9a-f]{8}"), "statetape/ID+KEY"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "ROOT"),
)
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def played(sh):
    """Each block of commands of the guide, and what it printed."""
    commands = [text for language, text in BLOCK.findall(HOW_TO.read_text()) if language == "sh"]
    mark = "echo ------\n"
    ended = sh.script("set -e\nexec 2>&1\n" + mark.join(commands))
    assert (ended.status, ended.err) == (0, "")
    said = ended.out
    for pattern, instead in MASKS:
        said = pattern.sub(instead, said)
    return said.split("------\n")


def test_the_guide_prints_what_it_shows(played):
    """Block by block: what stands below a block of commands is all that they print."""
    shown = []
    for language, text in BLOCK.findall(HOW_TO.read_text()):
        if language == "sh":
            shown.append("")
        else:
            shown[-1] = text

    assert shown == played
    assert len([text for text in shown if text]) == 5

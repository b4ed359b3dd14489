"""docs/how-to/record-a-retrieval.md: what it types works, and comes to what it says."""

from __future__ import annotations

import re
import shlex

from tests.documents import ROOT, run

GUIDE = ROOT / "docs" / "how-to" / "record-a-retrieval.md"


def blocks(language):
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def test_every_command_of_the_guide_works(tmp_path):
    """One after another on one tape; the last of the first part explains what came of it."""
    printed = []
    for line in "".join(blocks("sh")).replace("\\\n", " ").splitlines():
        _, *words = shlex.split(line)
        printed.append(run(*words, cwd=tmp_path))

    explained = printed[-2]
    assert "DealStatusAccepted" in explained
    assert re.search(r"received \(uint64\) +1000 +1000", explained)
    assert "2000 attofil" in explained
    assert "DealStatusFundsNeeded" in printed[-1]


def test_the_programs_of_the_guide_run():
    """As they stand there."""
    for program in blocks("python"):
        exec(compile(program, str(GUIDE), "exec"), {})

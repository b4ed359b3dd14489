"""The how-to about importing logs shows what the commands print."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from ..cli.inside import Inside
from ..documents import ROOT
from .boost.sample import whole

PAGE = (ROOT / "docs/how-to/import-logs.md").read_text()
SHOWN = re.findall(r"^```text\n\$ statetape (.*)\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)
LOG = Path(__file__).parent / "golog/logs/TestMultiTx.log"
GAP = "…"


def unlike(printed, shown):
    """Return the first line that is shown and not printed there; a gap stands for any lines."""
    gap = False
    for line in shown:
        if line == GAP:
            gap = True
            continue
        while gap and printed and printed[0] != line:
            printed = printed[1:]
        if not printed or printed[0] != line:
            return line
        printed, gap = printed[1:], False
    return None if gap or not printed else printed[0]


def test_the_page_shows_what_is_printed(tmp_path, monkeypatch):
    """Line by line, in its order; the log and the database are those of these tests."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(LOG, tmp_path)
    whole(tmp_path / "boost.db")
    run = {name: Inside(tmp_path / f"{name}.tape") for name in ("boost", "golog")}
    wrong = {}
    for command, shown in SHOWN:
        about = "boost" if "boost" in command else "golog"
        printed = [line.rstrip() for line in run[about].lines(*command.split())]
        wrong[command] = unlike(printed, [line.rstrip() for line in shown.splitlines()])

    assert len(wrong) == 5
    assert {command: line for command, line in wrong.items() if line is not None} == {}


def test_a_line_that_is_not_printed_would_be_noticed():
    """The control: with a gap before it, without, and at the end."""
    printed = ["a", "b", "c"]

    assert unlike(printed, ["a", GAP, "c"]) is None
    assert unlike(printed, ["a", GAP, "d"]) == "d"
    assert unlike(printed, ["a", "c"]) == "c"
    assert unlike(printed, ["a", "b"]) == "c"

"""docs/how-to/keep-keys.md: what it types works, and comes to what it says."""

from __future__ import annotations

import re

from tests.documents import ROOT

GUIDE = ROOT / "docs" / "how-to" / "keep-keys.md"
ADDRESS = "f1fib3pv7jua2ockdugtz7viz3cyy6lkhh7rfx3sa"


def test_every_command_of_the_guide_works(sh):
    """One after another in one shell, which ends at the first that fails."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    ended = sh.script("set -euo pipefail\n" + "".join(blocks))

    assert (ended.status, ended.err) == (0, "")
    assert ended.out.count("signed by ") == 2
    assert f"\n{ADDRESS}\n" in ended.out
    assert ADDRESS in GUIDE.read_text()
    assert not {"from-lotus", "for-lotus"} & {path.name for path in sh.folder.iterdir()}


def test_the_guide_names_errors_that_there_are():
    """Each of its table has a paragraph in the reference."""
    named = re.findall(r"^\| `([a-z-]+)` \|", GUIDE.read_text(), re.MULTILINE)
    reference = (ROOT / "docs/reference/errors.md").read_text()

    assert len(named) == 5
    assert [name for name in named if f"**`{name}`**" not in reference] == []

"""The how-to about Lassie tells the truth."""

from __future__ import annotations

import re
from pathlib import Path

from statetape.engine import catalogue
from statetape.specs.lassie.recorder import EVENT_BYTES_MAX

HOW_TO = (Path(__file__).parents[3] / "docs/how-to/import-lassie.md").read_text()


def test_its_program_runs():
    """A recorder without its socket."""
    [program] = re.findall(r"^```python\n(.*?)^```$", HOW_TO, re.MULTILINE | re.DOTALL)

    exec(compile(program, "import-lassie.md", "exec"), {})


def test_it_names_every_state_and_the_limit():
    """As the machine and the recorder have them."""
    states = re.findall(r"^\| `([a-z]+)` \|", HOW_TO, re.MULTILINE)

    assert states == list(catalogue.machine("lassie.retrieval").states)
    assert f"{EVENT_BYTES_MAX:,}" in HOW_TO

"""What the reference of the language shows is taken by the program."""

from __future__ import annotations

import textwrap

from ..documents import ROOT
from ..test_docs import code_blocks

MACHINE = """\
machine: example.plan
version: 1
title: A plan
data:
  {data}
states:
  idle: {{initial: true, no_deadline: the plan may come at any time}}
{states}
{silent}
  over: {{final: true}}
events:
  plan:
{plan}
    go: [{{from: idle, to: waiting}}]
  lapse:
    go: [{{from: [waiting, ongoing], to: over}}]
  begin:
    go: [{{from: waiting, to: ongoing}}]
{stalled}
"""


def machine():
    """Return a machine made of the examples in the reference."""
    reference = ROOT / "docs" / "reference" / "machine-language.md"
    params, silence, timer, event = code_blocks(reference, "yaml")
    data, states = timer.removeprefix("data:\n").split("states:\n")
    silent, stalled = silence.removeprefix("states:\n").split("events:\n")
    assert params in event
    plan = textwrap.indent(event, "    ").rstrip()
    return MACHINE.format(
        data=data.strip(),
        states=states.rstrip(),
        silent=silent.rstrip(),
        stalled=stalled.rstrip(),
        plan=plan,
    )


def test_the_examples_of_the_reference_are_sound_and_do_what_it_says(sh):
    """The timer waits for a time that is there, and for none that is not."""
    (sh.folder / "plan.yaml").write_text(machine())
    checked = sh("spec", "check", "plan.yaml")
    sh("new", "plan.yaml", "1")
    none = sh("send", "1", "plan", "--json")
    soon = sh("send", "1", "plan", "eta=2000-01-01T00:00:00Z", "--json")
    sent = sh("send", "1", "plan", "eta=2099-01-01T00:00:00Z")

    assert checked.out == "1 checked, 0 errors, 0 warnings\n"
    assert none.json["reason"]["reason"] == "NO_ETA"
    assert soon.json["reason"]["reason"] == "TOO_SOON"
    assert sent.status == 0
    assert "timer patience at 2099-01-01" in sh("show", "1").out


def test_an_optional_type_in_flow_style_needs_quotes(sh):
    """As the reference warns."""
    text = machine()
    block = "    params:\n      eta: time?\n"
    assert block in text
    (sh.folder / "bare.yaml").write_text(text.replace(block, "    params: {eta: time?}\n"))
    (sh.folder / "quoted.yaml").write_text(text.replace(block, '    params: {eta: "time?"}\n'))

    assert "not YAML" in sh("spec", "check", "bare.yaml").out
    assert sh("spec", "check", "quoted.yaml").status == 0

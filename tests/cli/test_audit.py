"""`audit`: what a report says, on a terminal, as Markdown and as JSON; how the command ends."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest
from statetape.cli import audit_markdown, audit_page, audit_text, command_audit
from statetape.cli.audit_words import HEIGHTS, Left, show_amount, timeline
from statetape.cli.output import UsageInvalid
from statetape.cli.whole_file import FileOfTape
from statetape.specs.filecoin.demo_dispute import KEY

from .audit_reports import LATE, REPORT
from .audit_schema import SCHEMA, audit_schema
from .disputed_channel import HOW_TO, how_to, played

HEADS = ("FOUND", "UNDECIDABLE", "clear:", "1. ", "2. ", "3. ", "4. ", "read:")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The two tapes of the disputed channel."""
    return played(tmp_path_factory.mktemp("disputed"))


def audited(folder, capsys, **options):
    """Run the command on the payee's tape; returns its exit code and what it printed."""
    given = {"counterparty": folder / "statetape-demo-payer.db", "anchor": None} | options
    tape = folder / "statetape-demo-payee.db"
    code = command_audit.audit(KEY, tape=tape, everything=False, markdown=False, **given)
    return code, capsys.readouterr().out


def places(lines, heads=HEADS):
    """Return the line at which each heading stands."""
    return [next(n for n, line in enumerate(lines) if line.startswith(head)) for head in heads]


def test_the_verdict_comes_first_and_what_cannot_be_decided_last():
    """On a terminal and in Markdown, in the order that an audit has to have."""
    lines = list(audit_text.report_lines(REPORT))
    marked = list(audit_markdown.report_lines(REPORT))
    parts = [f"## {number}. " for number in range(1, 5)]

    assert "1 dispute found: the payee bears 1000 attofil" in lines[0]
    assert places(lines) == sorted(places(lines))
    assert places(marked, ["### FOUND", "### UNDECIDABLE", *parts]) == sorted(
        places(marked, ["### FOUND", "### UNDECIDABLE", *parts])
    )


def test_every_verdict_names_its_evidence():
    """Whose tape, which position, which height; and signatures that do not hold say so."""
    text = "\n".join(audit_text.report_lines(REPORT))

    for cited in ("[ours 31, height 170]", "[ours 20, height 160]", "[ours 33, height 1605]"):
        assert cited in text
    assert "DOES NOT HOLD" in text
    assert "who bears it is undecided" in text


def test_all_shows_what_is_clear_and_everything_else():
    """Without it a clear verdict is a number; with it, its reason."""
    brief = "\n".join(audit_text.report_lines(REPORT))
    whole = "\n".join(audit_text.report_lines(REPORT, everything=True))

    assert "clear: D2 (--all says why)" in brief
    assert "No redemption was refused" not in brief
    assert "clear  D2  Stale voucher" in whole
    assert "held but not" in whole


def test_nothing_on_a_tape_steers_a_terminal():
    """Escapes and marks that turn the direction of writing are shown, not obeyed."""
    for everything in (False, True):
        for line in audit_text.report_lines(REPORT, everything=everything):
            assert line.isprintable()
    assert "\\x1b[31m \\u202e" in "\n".join(audit_text.report_lines(REPORT))


def test_nothing_on_a_tape_means_anything_in_markdown():
    """No tag, link, code or cell begins in a text of a report."""
    for line in audit_markdown.report_lines(REPORT):
        outside_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", line)
        bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", outside_code)

        assert line.isprintable()
        assert "<" not in bare
        assert "](" not in bare
        assert "`" not in bare
    rows = [line for line in audit_markdown.report_lines(REPORT) if line.startswith("| ")]
    cells = {re.sub(r"\\\|", "", row).count("|") for row in rows}
    assert cells == {len(REPORT.measures) + 2, 5, 6}


def test_money_is_exact_however_much_it_is():
    """Large amounts in FIL, small ones in attofil, never rounded."""
    assert show_amount("1000", "attofil") == "1000 attofil"
    assert show_amount(str(2 * 10**18 + 1), "attofil") == "2.000000000000000001 FIL"
    assert show_amount(str(10**40), "attofil") == f"{10**22} FIL"
    assert show_amount("1599", HEIGHTS[0]) == "1599"


def test_a_long_timeline_keeps_what_a_verdict_rests_on():
    """Of the entries left out, how many are told; evidence is never among them."""
    shown = timeline(REPORT, 4)
    left = sum(one.marks for one in shown if isinstance(one, Left))
    kept = [one.cited for one in shown if not isinstance(one, Left)]

    assert LATE in kept
    assert len(kept) == 4
    assert left + 4 == len(REPORT.timeline)


def test_the_same_report_gives_the_same_bytes():
    """Every rendering, made twice."""
    for rendering in (audit_text.report_lines, audit_markdown.report_lines, audit_page.page):
        assert list(rendering(REPORT)) == list(rendering(REPORT))


def test_the_schema_is_the_programs():
    """`make docs` writes it."""
    assert SCHEMA.read_text() == audit_schema()


def test_json_of_a_real_audit_follows_the_schema(folder, capsys):
    """And ends with 1, since a dispute was found."""
    code, out = audited(folder, capsys, json=True, html=None)
    told = json.loads(out)
    jsonschema.validate(told, json.loads(SCHEMA.read_text()))

    assert code == 1
    assert [tape["side"] for tape in told["tapes"]] == ["ours", "theirs"]
    assert next(one["amount"] for one in told["verdicts"] if one["dispute"] == "D1") == "1000"


def test_what_breaks_the_schema_is_noticed(folder, capsys):
    """The control: an amount that is a number, and an outcome that is none."""
    told = json.loads(audited(folder, capsys, json=True, html=None)[1])
    for member, wrong in (("amount", 1000), ("outcome", "maybe")):
        broken = json.loads(json.dumps(told))
        broken["verdicts"][0][member] = wrong
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, json.loads(SCHEMA.read_text()))


def test_the_same_tapes_give_the_same_page(folder, capsys, tmp_path):
    """Byte for byte; the page is whole, and the command says where it is."""
    one, other = tmp_path / "one.html", tmp_path / "other.html"
    _, out = audited(folder, capsys, html=one, json=False)
    audited(folder, capsys, html=other, json=False)

    assert one.read_bytes() == other.read_bytes()
    assert one.read_text().rstrip().endswith("</html>")
    assert out.splitlines()[-1] == f"page: {one}"


def test_a_page_never_takes_a_tapes_place(folder, capsys):
    """Neither ours nor the other side's, nor a file beside them."""
    for name in ("statetape-demo-payee.db", "statetape-demo-payer.db.anchor"):
        before = (folder / name).read_bytes()
        with pytest.raises(FileOfTape):
            audited(folder, capsys, html=folder / name, json=False)
        assert (folder / name).read_bytes() == before


def test_two_forms_at_once_are_refused(folder):
    """One standard output has one form."""
    tape = folder / "statetape-demo-payee.db"
    with pytest.raises(UsageInvalid):
        command_audit.audit(KEY, tape=tape, markdown=True, json=True)


def test_one_tape_alone_is_audited_too(folder, capsys):
    """What the chain did is the same; only one side's assertions are there."""
    code, out = audited(folder, capsys, counterparty=None, json=True, html=None)
    told = json.loads(out)

    assert code == 1
    assert [tape["side"] for tape in told["tapes"]] == ["ours"]
    assert {one["cited"]["side"] for one in told["timeline"]} == {"ours"}


def test_a_tape_without_its_anchor_is_audited_with_a_warning(folder, capsys, tmp_path):
    """A lost tail would not be noticed, so it is said."""
    copy = tmp_path / "copy.db"
    copy.write_bytes((folder / "statetape-demo-payee.db").read_bytes())
    command_audit.audit(KEY, tape=copy)

    assert "no anchor" in capsys.readouterr().err


def test_the_how_to_shows_what_the_command_prints(tmp_path):
    """Names and roots of tapes aside, which are others each time."""
    assert how_to(tmp_path) == HOW_TO.read_text()

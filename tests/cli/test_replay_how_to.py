"""The how-to about replaying a failure says what the commands say."""

from __future__ import annotations

from .failed_retrieval import HOW_TO, how_to


def test_the_how_to_shows_what_the_commands_print(tmp_path):
    """Each command of it, played on the tape that it speaks of."""
    assert how_to(tmp_path) == HOW_TO.read_text()


def test_a_how_to_that_is_out_of_date_would_be_noticed(tmp_path, monkeypatch):
    """The control: one changed word of an output is set right again."""
    text = HOW_TO.read_text()
    wrong = tmp_path / "wrong.md"
    wrong.write_text(text.replace("every byte as recorded", "every byte as expected"))
    monkeypatch.setattr("tests.cli.failed_retrieval.HOW_TO", wrong)

    assert wrong.read_text() != text
    assert how_to(tmp_path) == text

"""Every `--help`: all of it is shown, every command that prints does so for programs too."""

from __future__ import annotations

import pytest
import typer
from rich.markup import render
from statetape.cli import main


def commands(command=None, path=()):
    """Yield every command that does something, by its words."""
    command = command or typer.main.get_command(main.register())
    for name, one in getattr(command, "commands", {}).items():
        yield from commands(one, (*path, name))
    if not hasattr(command, "commands"):
        yield path, command


ALL = dict(commands())


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_no_part_of_a_help_text_is_taken_for_markup(path):
    """What stands in brackets may be read as a style, and would not be shown."""
    command = ALL[path]
    texts = [command.help, *(getattr(one, "help", None) for one in command.params)]

    for text in filter(None, texts):
        assert render(text).plain == text
    assert len(texts) > 1


def test_a_style_would_be_found():
    """The control."""
    assert render("Where to. [default: here]").plain == "Where to. "
    assert len(ALL) > 40

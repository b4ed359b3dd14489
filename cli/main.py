"""The `statetape` command: its sub-commands, and how it ends.

Exit codes: 0 done; 1 a finding (damage, mismatch, failed conformance, a refused command); 2 usage;
74 input/output; 75 try again; 70 a bug. A closed pipe changes none of them. Modules that cost time
to import are imported by the command that needs them, so that `--help` is quick.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import pkgutil
import re
import sys
import traceback
from pathlib import Path
from typing import Any

import typer

from ..fsm.errors import EXIT_DONE, EXIT_IO, StatetapeError
from .output import ArgumentInvalid, Bug, OutputFailed, UsageInvalid, complain, warn
from .streams import install

EXIT_INTERRUPTED = 130
GARBAGE_SEARCH_OBJECTS = 100_000
RECORDING = (
    *("new", "send", "head", "recover", "import", "demo"),
    *("wallet", "witness", "cosign", "checkpoint"),
)
"""Commands that leave something on a tape, or a key, whatever becomes of their output."""
SECRET_SETTINGS = ("STATETAPE_PASSPHRASE",)
"""Settings in the environment that are never shown."""
PANELS = ("Begin here", "Do", "Look", "Decide and prove", "Keep", "Machines and vouchers")
"""What the commands are grouped under, in the order of `--help`."""

app = typer.Typer(
    name="statetape",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "A finite-state machine with a tape: lifecycles of a peer-to-peer delivery node, each step "
        "decided by a declared machine and recorded on an append-only, provable log.\n\n"
        "Begin with `statetape demo`. Then: `new` creates an instance of a machine, `send` gives "
        "it an event, `show`, `history` and `explain` say what became of it and why it is stuck, "
        "`replay` asks what would have been, `audit` decides a dispute, `bundle` hands evidence "
        "to a stranger, `verify` and `replay` prove the tape."
    ),
)


@functools.cache
def register() -> typer.Typer:
    """Return the app with the commands of every module in this folder that has an `add`."""
    folder = importlib.import_module(__package__)
    for module in sorted(pkgutil.iter_modules(folder.__path__), key=lambda one: one.name):
        if module.name.startswith("command_"):
            importlib.import_module(f"{__package__}.{module.name}").add(app)
    app.registered_commands.sort(key=lambda one: PANELS.index(str(one.rich_help_panel)))
    return app


def run() -> None:
    """Run the command line and exit."""
    # What a command makes it needs to its end: searches for garbage in cycles find next to nothing.
    gc.set_threshold(GARBAGE_SEARCH_OBJECTS)
    output = install()
    words = sys.argv[1:]
    as_json = "--json" in (words[: words.index("--")] if "--" in words else words)
    status, error = _ended(words, as_json=as_json)
    if error is not None:
        complain(error, as_json=as_json)
    sys.stdout.flush()
    if output.failure is not None:
        if error is not None and as_json:
            complain(error, as_json=False)
        done = error is None and words[:1] and words[0] in RECORDING
        hint = "only the output failed: the command was done, and what it recorded is durable"
        why = f"cannot be written: {output.failure.strerror}"
        told = OutputFailed(why, place="standard output", hint=hint if done else "")
        complain(told, as_json=False)
        status = EXIT_IO
    gc.freeze()  # nor has the last search, at exit, anything to find
    sys.exit(status)


def _ended(words: list[str], *, as_json: bool) -> tuple[int, StatetapeError | None]:
    """Run a command; returns its exit code, and the error that is still to be told."""
    try:
        _check_text(words)
        # Not `command.main`: it ends with 1 wherever a pipe was closed.
        with typer.main.get_command(register()).make_context("statetape", words) as context:
            code = context.command.invoke(context)
    except StatetapeError as error:
        return error.exit_status, _without_secrets(error, words)
    except (typer.Abort, KeyboardInterrupt):
        warn("stopped")
        return EXIT_INTERRUPTED, None
    except Exception as error:
        if hasattr(error, "exit_code"):
            return _parsed(error, words, as_json=as_json)
        told = _unforeseen(error)
        return told.exit_status, told
    return (code if isinstance(code, int) else EXIT_DONE), None


def _check_text(words: list[str]) -> None:
    """Raise ArgumentInvalid for what is not text in the encoding that arguments have here."""
    given = {f"argument {number}": word for number, word in enumerate(words, 1)}
    given |= {name: os.environ[name] for name in os.environ if name.startswith("STATETAPE_")}
    for place, text in given.items():
        if any("\ud800" <= letter <= "\udfff" for letter in text):
            shown = "it" if place in SECRET_SETTINGS else repr(os.fsencode(text))
            why = f"{shown} is not text in {sys.getfilesystemencoding()}"
            raise ArgumentInvalid(why, place=place)


def _without_secrets(error: StatetapeError, words: list[str]) -> StatetapeError:
    from .secrecy import hidden

    error.message = hidden(error.message, words)
    error.place = hidden(error.place, words)
    return error


def _parsed(error: Any, words: list[str], *, as_json: bool) -> tuple[int, StatetapeError | None]:
    """Return how the parser's own exceptions end: a usage error shows itself, an exit is silent."""
    if not hasattr(error, "format_message"):
        return error.exit_code, None
    hint = ""
    if re.match("-[^-]", getattr(error, "option_name", "")):
        hint = "options begin with --; what merely begins with - goes after a lone --"
    from .secrecy import hidden

    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "statetape"
    told = hidden(error.format_message(), words, parsed=True)
    if as_json:
        hint = hint or f"`{path} --help` says what it takes"
        return error.exit_code, UsageInvalid(told, hint=hint)
    if told == error.format_message():
        error.show()
    else:
        warn(f"Try '{path} --help' for help.\n\nError: {told}")
    if hint:
        warn(f"  hint: {hint}")
    return error.exit_code, None


def _unforeseen(error: Exception) -> StatetapeError:
    """Name what no command has named: the operating system's failures, and bugs."""
    if os.environ.get("STATETAPE_DEBUG"):
        traceback.print_exc()
    if isinstance(error, OSError):
        from ..storage.files import failed

        return failed(error, Path(error.filename or "statetape"))
    hint = "run again with STATETAPE_DEBUG=1 and report what it prints"
    return Bug(f"a bug in statetape: {type(error).__name__}: {error}", hint=hint)


if __name__ == "__main__":
    run()

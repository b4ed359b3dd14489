"""The `statetape` command: its sub-commands, and how it ends.

Exit codes: 0 done; 1 a finding (damage, mismatch, failed conformance, a refused command); 2 usage;
74 input/output; 75 try again; 70 a bug. Modules that cost time to import are imported by the
command that needs them, so that `--help` is quick.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback

import typer

from ..fsm.errors import EXIT_BUG, EXIT_DONE, StatetapeError
from .output import complain, warn

app = typer.Typer(
    name="statetape",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help=(
        "A finite-state machine with a tape: lifecycles of a peer-to-peer delivery node, each step "
        "decided by a declared machine and recorded on an append-only, provable log.\n\n"
        "Begin with `statetape demo`. Then: `new` creates an instance of a machine, `send` gives "
        "it an event, `show`, `history` and `explain` say what became of it, `verify` and "
        "`replay` prove it."
    ),
)


def register() -> typer.Typer:
    """Return the app with the commands of every module in this folder that has an `add`."""
    folder = importlib.import_module(__package__)
    for module in sorted(pkgutil.iter_modules(folder.__path__), key=lambda one: one.name):
        if module.name.startswith("command_"):
            importlib.import_module(f"{__package__}.{module.name}").add(app)
    return app


def run() -> None:
    """Run the command line and exit."""
    as_json = "--json" in sys.argv
    try:
        command = typer.main.get_command(register())
        code = command.main(standalone_mode=False, prog_name="statetape")
        sys.stdout.flush()
        status = code if isinstance(code, int) else EXIT_DONE
    except StatetapeError as error:
        complain(error, as_json=as_json)
        status = error.exit_status
    except (typer.Abort, KeyboardInterrupt):
        warn("stopped")
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = EXIT_DONE
    except Exception as error:
        if hasattr(error, "exit_code"):
            # The parser's own: a usage error shows itself, an exit is silent.
            getattr(error, "show", lambda: None)()
            sys.exit(error.exit_code)
        if os.environ.get("STATETAPE_DEBUG"):
            traceback.print_exc()
        warn(f"a bug in statetape: {type(error).__name__}: {error}")
        warn("  hint: run again with STATETAPE_DEBUG=1 and report what it prints")
        status = EXIT_BUG
    sys.exit(status)


if __name__ == "__main__":
    run()

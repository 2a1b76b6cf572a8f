"""The command line: every error becomes one clear message and one exit code."""

from __future__ import annotations

import importlib
import json
import sys
from typing import Any

import rich_click as click
from click.exceptions import Exit

from pressopt import errors

#: Name of a command -> (module, attribute, line in the overview). Modules are imported when used: the overview
#: must be there at once.
COMMANDS: dict[str, tuple[str, str, str]] = {
    "run": ("pressopt.cli.run", "run", "Run an experiment: press, measure, learn, recommend."),
    "resume": ("pressopt.cli.run", "resume", "Go on with a campaign that was stopped or killed."),
    "check": ("pressopt.cli.check", "check", "Check experiment files; all mistakes at once."),
    "init": ("pressopt.cli.init", "init", "Write a commented experiment file from a few answers."),
    "show": ("pressopt.cli.show", "show", "Show a campaign or one trial."),
    "plot": ("pressopt.cli.plot", "plot", "Draw convergence, response surface and Nyquist pictures."),
    "export": ("pressopt.cli.export", "export", "Write the protocol, the operator's sheet and tables."),
    "eis": ("pressopt.cli.eis", "eis", "Judge and fit impedance spectra from files."),
    "confirm": ("pressopt.cli.people", "confirm", "The cell of a trial lies under the press: go on."),
    "reject": ("pressopt.cli.people", "reject", "Give a trial up before it is pressed."),
    "resolve": ("pressopt.cli.people", "resolve", "Say what was found after an interruption or a fault."),
    "clear": ("pressopt.cli.people", "clear", "Allow motion again after a press was made safe."),
    "pause": ("pressopt.cli.people", "pause", "Propose nothing new; what runs goes on."),
    "unpause": ("pressopt.cli.people", "unpause", "Open a paused campaign again."),
    "close": ("pressopt.cli.people", "close", "End a campaign before its budget is spent."),
    "verify": ("pressopt.cli.people", "verify", "Check that nobody changed a journal."),
    "materials": ("pressopt.cli.materials", "materials", "Show the materials catalogue with its sources."),
    "schema": ("pressopt.cli.schema", "schema", "Print the JSON Schema of experiment files."),
    "twin": ("pressopt.cli.twin", "twin", "Serve the virtual laboratory to try a driver against."),
}

PANELS = {
    "Campaigns": ["run", "resume", "check", "init"],
    "Results": ["show", "plot", "export", "eis"],
    "People at the press": ["confirm", "reject", "resolve", "clear", "pause", "unpause", "close"],
    "Reference": ["materials", "schema", "twin", "verify"],
}

EXIT_CODES = """\b
Exit codes:
    0  done                          5  an instrument failed; the press was made safe
    1  unexpected error              6  the journal cannot be read or written
    2  wrong input                   7  a person must look at press or cell
    3  ended, target not met       130  stopped by Ctrl-C, safely
    4  refused by limits           143  terminated, safely
"""


class LazyGroup(click.RichGroup):
    """Imports the module of a command when it is called, not when the overview is printed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[cmd_name]
        return getattr(importlib.import_module(module), attribute)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Print the overview from the table above, without importing anything."""
        for title, names in PANELS.items():
            with formatter.section(title):
                formatter.write_dl([(name, COMMANDS[name][2]) for name in names])


def exit_code(error: errors.PressoptError) -> int:
    """Return the exit code that belongs to an error."""
    table: tuple[tuple[type[errors.PressoptError], int], ...] = (
        (errors.NeedsPersonError, 7),
        (errors.JournalError, 6),
        (errors.InterlockError, 4),
        (errors.LimitError, 4),
        (errors.InstrumentError, 5),
        (errors.InputError, 2),
        (errors.LifecycleError, 2),
    )
    return next((code for kind, code in table if isinstance(error, kind)), 1)


def main(argv: list[str] | None = None) -> None:
    """Run the command line and leave with the code that the error table gives."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        code = cli.main(args=arguments, standalone_mode=False)
    except Exit as leave:
        code = leave.exit_code
    except click.Abort:
        print("aborted", file=sys.stderr)
        code = 130
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except errors.PressoptError as error:
        code = exit_code(error)
        _tell(error, code, as_json="--json" in arguments)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): nothing is left to say.
        sys.stderr.close()
        code = 0
    raise SystemExit(code if isinstance(code, int) else 0)


def _tell(error: errors.PressoptError, code: int, *, as_json: bool) -> None:
    """Print an error for people on stderr, and for machines on stdout as well."""
    if as_json:
        line: dict[str, Any] = {"schema": "pressopt/error/1", "error": type(error).__name__, "message": str(error)}
        if isinstance(error, (errors.InputError, errors.LimitError)):
            line["violations"] = [
                {"where": item.where, "line": item.line, "message": item.message} for item in error.violations
            ]
        print(json.dumps({**line, "exit_code": code}, ensure_ascii=False), flush=True)
    else:
        print(f"pressopt: {error}", file=sys.stderr)


@click.command(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EXIT_CODES,
)
@click.version_option(package_name="pressopt", message="pressopt %(version)s")
def cli() -> None:
    """Find, in as few cells as possible, how to press a solid-state-battery interface, and run the press.

    Begin with `pressopt run experiments/li-lpscl-symmetric.toml`: a whole campaign on the built-in twin.

    This program is no safety function. Interlocks, relief valve and emergency stop belong to the machine.
    """


__all__ = ["cli", "main"]

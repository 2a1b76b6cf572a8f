"""The command line: every error becomes one clear message and one exit code."""

from __future__ import annotations

import importlib
import json
import keyword
import sys
import traceback
from typing import Any

import rich_click as click
from click.core import ParameterSource
from click.exceptions import Exit

from pressopt import errors

#: Name of a command -> its module below this package; the command has the same name there. Modules are imported
#: when a command is called, so that `pressopt run` does not wait for what `pressopt plot` needs.
COMMANDS: dict[str, str] = {
    "run": "run",
    "resume": "run",
    "check": "check",
    "init": "init",
    "show": "show",
    "plot": "plot",
    "export": "export",
    "diff": "diff",
    "eis": "eis",
    "confirm": "people",
    "reject": "people",
    "resolve": "people",
    "clear": "people",
    "pause": "people",
    "unpause": "people",
    "close": "people",
    "verify": "storing",
    "predict": "study.predict",
    "map": "study.map",
    "screen": "study.screen",
    "answer": "by_hand",
    "attach": "by_hand",
    "calibrate": "study.calibrate",
    "simulate": "study.simulate",
    "reanalyse": "study.reanalyse",
    "materials": "materials",
    "topography": "topography",
    "schema": "schema",
    "twin": "twin",
    "devices": "devices",
    "commission": "commission",
    "serve": "serve",
    "token": "storing",
    "backup": "storing",
    "restore": "storing",
    "fetch": "storing",
    "import": "storing",
}

#: Commands that ask no service: they work with files, a store or instruments of this machine.
HERE = frozenset(
    {"backup", "calibrate", "check", "commission", "devices", "eis", "init", "map", "materials", "predict"}
    | {"reanalyse", "restore", "schema", "screen", "serve", "simulate", "topography", "twin"}
)

EXIT_CODES = (
    "Exit codes: 0 done · 1 unexpected error · 2 wrong input · 3 ended, target not met · 4 refused by limits or "
    "interlock · 5 an instrument failed, the press was made safe · 6 the journal cannot be read or written · "
    "7 a person must look at press or cell · 130 stopped by Ctrl-C, safely · 143 terminated, safely"
)


class LazyGroup(click.RichGroup):
    """Imports the module of a command when the command is called."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"pressopt.cli.{COMMANDS[cmd_name]}")
        return getattr(module, f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name)


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
        (errors.StudyError, 6),
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
    except Exception as error:  # noqa: BLE001 - whatever it was, it ends in one sentence and code 1
        # A mistake of ours: the traceback goes to whoever mends it, the sentence to whoever ran it.
        if "--json" in arguments:
            line = {"schema": "pressopt/error/1", "error": type(error).__name__, "message": str(error)}
            print(json.dumps({**line, "exit_code": 1}, ensure_ascii=False), flush=True)
        traceback.print_exc()
        print(
            "pressopt: this is a mistake of pressopt, not yours: please report it with the lines above. "
            "The journal is whole; `pressopt resume` goes on",
            file=sys.stderr,
        )
        code = 1
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
@click.command_panel("Campaigns", commands=["run", "resume", "check", "init"])
@click.command_panel("Results", commands=["show", "plot", "export", "diff", "eis"])
@click.command_panel(
    "People at the press",
    commands=["confirm", "reject", "answer", "attach", "resolve", "clear", "pause", "unpause", "close"],
)
@click.command_panel("Studies", commands=["predict", "map", "screen", "calibrate", "simulate", "reanalyse"])
@click.command_panel("Service", commands=["serve", "token", "backup", "restore", "fetch", "import"])
@click.command_panel("Devices", commands=["devices", "commission"])
@click.command_panel("Reference", commands=["materials", "schema", "twin", "verify"])
@click.version_option(package_name="pressopt", message="pressopt %(version)s")
@click.option(
    "--server",
    envvar="PRESSOPT_SERVER",
    metavar="URL",
    help="Work with the campaigns of this service (`pressopt serve`) instead of those on this disk.",
)
@click.option("--token", envvar="PRESSOPT_TOKEN", metavar="TOKEN", help="Who you are to that service.")
@click.pass_context
def cli(ctx: click.Context, server: str | None, token: str | None) -> None:
    """Find, in as few cells as possible, how to press a solid-state-battery interface, and run the press.

    Begin with `pressopt run experiments/li-lpscl-symmetric.toml`: a whole campaign on the built-in twin.

    This program is no safety function. Interlocks, relief valve and emergency stop belong to the machine.
    """
    asked = ctx.get_parameter_source("server") is ParameterSource.COMMANDLINE
    if asked and ctx.invoked_subcommand in HERE:
        raise click.UsageError(f"`{ctx.invoked_subcommand}` asks no service, it works here: leave out --server")


__all__ = ["cli", "main"]

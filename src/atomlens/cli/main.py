"""The ``atomlens`` command: its sub-commands, and what it says when something goes wrong.

Exit codes: 0 done, 1 failed, 2 bad input, 130 interrupted, 143 terminated. Whatever goes wrong is
reported in one line.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from atomlens.cli.analyze import EPILOG as ANALYZE_EPILOG
from atomlens.cli.analyze import analyze
from atomlens.cli.check import EPILOG as CHECK_EPILOG
from atomlens.cli.check import check
from atomlens.cli.compare import EPILOG as COMPARE_EPILOG
from atomlens.cli.compare import compare
from atomlens.cli.data import data_app
from atomlens.cli.demo import demo
from atomlens.cli.explain import EPILOG, ModelMayBeLeftOut, explain
from atomlens.cli.inputs import KeepsInputs
from atomlens.cli.md import EPILOG as MD_EPILOG
from atomlens.cli.md import md
from atomlens.cli.output import JSON, QUIET, output
from atomlens.cli.response import EPILOG as RESPONSE_EPILOG
from atomlens.cli.response import response
from atomlens.cli.study import EPILOG as STUDY_EPILOG
from atomlens.cli.study import study
from atomlens.cli.terminal import clean_warnings, echo, one_line
from atomlens.cli.train import EPILOG as TRAIN_EPILOG
from atomlens.cli.train import train
from atomlens.cli.zoo import zoo_app

DEBUG = "--debug"
_ANYWHERE = "May stand anywhere."

app = typer.Typer(
    name="atomlens",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: atomlens demo; then: atomlens explain MODEL STRUCTURES --out run",
)


def _print_version(wanted: bool) -> bool:
    if wanted:
        from importlib.metadata import version

        echo(f"atomlens {version('atomlens')}")
        raise typer.Exit
    return wanted


@app.callback()
def atomlens(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
    debug: Annotated[bool, typer.Option(DEBUG, help=f"Show the traceback of a failure. {_ANYWHERE}")] = False,
    quiet: Annotated[bool, typer.Option(QUIET, help=f"Print no results and no progress. {_ANYWHERE}")] = False,
    json: Annotated[bool, typer.Option(JSON, help=f"Print the summary of the run as JSON. {_ANYWHERE}")] = False,
) -> None:
    """Show which atomic interactions a neural-network potential has learned."""


app.command()(demo)
app.command(cls=ModelMayBeLeftOut, epilog=EPILOG, no_args_is_help=True)(explain)
app.command(cls=KeepsInputs, epilog=ANALYZE_EPILOG, no_args_is_help=True)(analyze)
app.command(cls=KeepsInputs, epilog=MD_EPILOG, no_args_is_help=True)(md)
app.command(cls=KeepsInputs, epilog=CHECK_EPILOG, no_args_is_help=True)(check)
app.command(cls=KeepsInputs, epilog=COMPARE_EPILOG, no_args_is_help=True)(compare)
app.command(cls=KeepsInputs, epilog=RESPONSE_EPILOG, no_args_is_help=True)(response)
app.command(epilog=TRAIN_EPILOG, no_args_is_help=True)(train)
app.command(cls=KeepsInputs, epilog=STUDY_EPILOG, no_args_is_help=True)(study)
app.add_typer(data_app, name="data")
app.add_typer(zoo_app, name="zoo")


def main(args: list[str] | None = None) -> None:
    """Run the command and leave with its exit code.

    Parameters
    ----------
    args
        Arguments without the program's name; those of this process if None.
    """
    args = sys.argv[1:] if args is None else args
    debug = DEBUG in args or bool(os.environ.get("ATOMLENS_DEBUG"))
    # A terminated run cleans up like an interrupted one.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    atexit.register(gc.freeze)  # nobody waits until Python has searched all of torch for garbage
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without Å shows \xc5
            stream.reconfigure(errors="backslashreplace")
    try:
        _check_text(args)
        args = output.read([a for a in args if a != DEBUG])
        with output.applied(), clean_warnings(), _one_line_warnings():
            code = app(args, prog_name="atomlens", standalone_mode=False)
        output.print_summary()
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except Exception as error:
        code = _report(error, debug)
    code = code if isinstance(code, int) else 0
    if code == 130:
        _say("interrupted; nothing was left behind")
    sys.exit(code)


def _check_text(args: list[str]) -> None:
    """Names are written into pages and summaries, which are text; the names of files are bytes."""
    for word in args:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            from atomlens.structures import InputError

            raise InputError(f"{word!a} is no UTF-8 text; rename the file") from error


@contextmanager
def _one_line_warnings() -> Iterator[None]:
    """Say in one line what files leave open; other warnings are shown as Python does."""
    from atomlens.structures import StructureWarning

    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Any, category: Any, *where: Any) -> None:
            if issubclass(category, StructureWarning):
                _say(f"warning: {message}")
            else:
                usual(message, category, *where)

        warnings.simplefilter("always", StructureWarning)
        warnings.showwarning = show
        yield


def _report(error: Exception, debug: bool) -> int:
    """Say in one line what went wrong; return the exit code."""
    if debug:
        traceback.print_exception(error)
    usage: Any = getattr(error, "format_message", None)  # every error of the argument parser has it
    if usage is not None:
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "atomlens"
        if usage():  # empty where the help was printed for want of arguments
            said = usage().replace("Value error, ", "")
            if getattr(getattr(error, "param", None), "name", "") in ("structure", "structures"):
                said = f"{said.rstrip('.')}: a model comes first, as in {command} organic CCO --out FOLDER"
            _say(f"{said} (see {command} --help)")
        return 2
    from atomlens.structures import InputError

    if isinstance(error, InputError):
        _say(str(error))
        return 2
    text = str(error).strip() or "no further information"
    if isinstance(error, MemoryError):
        _say(f"out of memory: {text}; use a smaller structure, --max-order or --top-walks")
    else:
        hint = "" if debug else f"; add {DEBUG} for the traceback"
        _say(f"failed: {type(error).__name__}: {text}{hint}")
    return 1


def _say(message: str) -> None:
    # One line, whatever a file's name or content put into the message; no control characters reach the terminal.
    echo(f"atomlens: {one_line(message)}", err=True)

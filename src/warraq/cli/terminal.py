"""What all commands share: the terminal, options that are paths, and what a failure is told."""

import errno
import functools
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from warraq.params import Params


DENIALS = {
    errno.ENOSPC: "make room", errno.EDQUOT: "make room", errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EROFS: "make it writable", errno.EACCES: "allow this user to read and write it",
    errno.EPERM: "allow this user to read and write it",
}  # fmt: skip
"""What of a disk is no fault of the code, and its remedy."""


class Terminal(logging.Handler):
    """Log lines to standard error; progress in place on a terminal, at most one line in ten seconds elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self._in_place = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._shown = time.monotonic()
        self._open = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record's line, in place where it says how far something is."""
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            text = f"warning: {text}"
        if getattr(record, "progress", False):
            last = getattr(record, "last", False)
            if self._in_place:
                click.echo(f"\r\033[K{text}", nl=last, err=True)
                self._open = not last
                return
            if not last and time.monotonic() - self._shown < 10:
                return
            self._shown = time.monotonic()
        if self._open:
            click.echo(err=True)
            self._open = False
        click.echo(text, err=True)


def load_params(context: click.Context) -> "Params":
    """Return the `Params` of the file that `--params` names."""
    from warraq import params

    return params.load(context.obj)


def refuse_unknown_task(task: str, tasks: Sequence[str], parameter: str) -> None:
    """Refuse what is no task of params.yaml; `parameter` is how the command line names it."""
    if task not in tasks:
        raise click.BadParameter(f"params.yaml has the tasks {', '.join(tasks)}.", param_hint=parameter)


def exit_on_failure(function: Callable[..., Any]) -> Callable[..., Any]:
    """A bad input is one sentence and exit code 2; a stage that failed, or whose proof does, or a disk that is full or
    may not be written, one and exit code 1."""

    @functools.wraps(function)
    def run(*arguments: Any, **options: Any) -> None:
        from warraq.errors import InputError

        try:
            function(*arguments, **options)
        except InputError as error:
            click.echo(f"warraq: {error}", err=True)
            sys.exit(2)
        except RuntimeError as error:
            if type(error) is not RuntimeError:  # a library's own kind: its traceback says more
                raise
            click.echo(f"warraq: {error}", err=True)
            sys.exit(1)
        except OSError as error:
            if error.errno not in DENIALS:
                raise
            place = error.filename or "the disk"
            click.echo(f"warraq: {place}: {error.strerror}; {DENIALS[error.errno]} and run again.", err=True)
            sys.exit(1)

    return run


def path_option(name: str, text: str, required: bool = True) -> Callable[..., Any]:
    """Return an option that takes a path."""
    return click.option(name, type=click.Path(path_type=Path), required=required, help=text)

"""Every command with its arguments, options and defaults, as docs/cli.md has them: `make docs`."""

from collections.abc import Iterator
from typing import Any

import click

from warraq.cli.main import main

WIDTH = 100  # columns of the help texts


def iterate_commands(command: click.Command, parent: click.Context | None = None) -> Iterator[click.Context]:
    """Yield the context of `command` and of all commands below it, in the order of the help."""
    name = command.name if parent else "warraq"
    settings: dict[str, Any] = {"terminal_width": WIDTH, "max_content_width": WIDTH, **command.context_settings}
    context = click.Context(command, parent=parent, info_name=name, **settings)
    yield context
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            yield from iterate_commands(command.commands[below], context)


def format_reference() -> str:
    """Return the reference of the command line as Markdown."""
    parts = [
        "# Command line\n\nWritten by `make docs` from the commands themselves; each says the same with `--help`.\n"
    ]
    for context in iterate_commands(main):
        parts.append(f"## {context.command_path}\n\n```text\n{context.get_help()}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    click.echo(format_reference(), nl=False)

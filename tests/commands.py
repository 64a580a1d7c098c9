"""Commands of the command line, run in this process."""

import typer
from typer.testing import CliRunner

__all__ = ["run"]


def run(command, *arguments):
    """Run a command by its function and return what came of it."""
    application = typer.Typer(add_completion=False)
    application.command()(command)
    return CliRunner().invoke(application, [str(argument) for argument in arguments])

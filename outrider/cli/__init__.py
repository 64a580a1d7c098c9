"""The command line. Each command lives in a module of its own, loaded when it is called, so `--help` is quick."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

import click
import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from models.errors import BadSettings

__all__ = ["main"]

COMMANDS = {
    "up": ("outrider.cli.up:up", "Run a whole Outrider on this machine."),
    "demo": ("outrider.cli.demo:demo", "Show a fleet that plans its morning and drives it."),
    "replay": ("outrider.cli.replay:replay", "Stream a recorded trace into a running Outrider."),
    "doctor": ("outrider.cli.doctor:doctor", "Check this machine, and say what to do."),
    "solve": ("outrider.cli.solve:solve", "Solve a routing problem of a benchmark set, or of VROOM."),
    "import": ("outrider.cli.import_file:import_file", "Bring deliveries in from a spreadsheet."),
    "simulate": ("outrider.cli.simulate:simulate", "Simulate a fleet in a city, with the truth beside it."),
    "gazetteer": ("outrider.cli.gazetteer:gazetteer", "Look addresses up offline: make a gazetteer, and try it."),
    "maps": ("outrider.cli.maps:maps", "Make base maps from OpenStreetMap extracts."),
    "roads": ("outrider.cli.roads:roads", "Make road networks from OpenStreetMap extracts, and ask them."),
    "analytics": ("outrider.cli.analytics:analytics", "Look after the figures."),
    "bench": ("outrider.cli.bench:bench", "Measure the real thing on this machine."),
    "legs": ("outrider.cli.legs:legs", "Bring driven legs from the database into a data set for training."),
    "train": ("outrider.cli.train:train", "Train a model of travel times on a file of trips."),
    "backtest": ("outrider.cli.backtest:backtest_file", "Tell how good a model of travel times would have been."),
    "promote": ("outrider.cli.promote:promote", "Let a model of travel times serve, if it is surely better."),
    "models": (
        "outrider.cli.models:models",
        "Show the models, let one predict beside on trial, export them to MLflow.",
    ),
    "retrain": ("outrider.cli.retrain:retrain_file", "Train anew on a schedule, and promote what is surely better."),
    "eta-report": ("outrider.cli.eta_report:eta_report", "Write a page on how a model does, and what has moved."),
    "keys": ("outrider.cli.keys:keys", "Change the keys that sign tokens and seal personal data."),
    "seed": ("outrider.cli.seed:seed", "Make a believable company to try things with."),
    "migrate": ("outrider.cli.migrate:migrate", "Change what MongoDB holds to what this release expects, and back."),
    "docs": ("outrider.cli.docs:docs", "Write the reference pages from the code."),
}
"""Command → (module:function or module:typer app, what it does)."""


class _LazyCommands(click.Group):
    """Knows its commands by name, and loads one when it is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        return _as_click(cmd_name, getattr(importlib.import_module(module), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, meaning) for name, (_, meaning) in COMMANDS.items()])


def _as_click(name: str, target: typer.Typer | Callable[..., Any]) -> click.Command:
    """Return a command that hands all its arguments on: typer carries a click of its own, with exits of its own."""

    def run(arguments: tuple[str, ...]) -> None:
        application = target if isinstance(target, typer.Typer) else typer.Typer(add_completion=False)
        if application is not target:
            application.command(name)(target)
        application(list(arguments), prog_name=f"outrider {name}")

    return click.Command(
        name,
        callback=run,
        params=[click.Argument(["arguments"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        add_help_option=False,
    )


@click.group(cls=_LazyCommands)
@click.version_option(package_name="outrider")
def _outrider() -> None:
    """Real-time tracking for delivery fleets."""


def main() -> None:
    """Run the command line; what can't work here ends with one line that says what to do."""
    try:
        _outrider()
    except BadSettings as error:
        print(f"outrider: {error}", file=sys.stderr)
        sys.exit(1)
    except SettingsError as error:
        field = error.args[0].partition('"')[2].partition('"')[0]
        print(f"outrider: OUTRIDER_{field.upper()} has to be JSON", file=sys.stderr)
        sys.exit(1)
    except ValidationError as error:
        if error.title != "Settings":
            raise
        from engine.settings.faults import faults_of  # only now: `--help` is quick

        for line in faults_of(error):
            print(f"outrider: {line}", file=sys.stderr)
        sys.exit(1)

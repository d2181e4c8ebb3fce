"""The command line: ``neuroclapp list``, ``run``, its steps one by one, and ``doctor``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import tomli_w

from . import __version__, catalog
from .errors import NeuroclappError, RunError
from .run.kinds import kind_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 2 after one line on standard error that says what is wrong."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except NeuroclappError as error:
        print(f"neuroclapp: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("neuroclapp: stopped; go on with --resume", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="neuroclapp", description="CLAPP in rates, in spikes and on chips.")
    parser.add_argument("--version", action="version", version=f"neuroclapp {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("list", help="models, chips, experiments and data sets, one line each")
    command.set_defaults(command=_list)

    command = commands.add_parser("run", help="run an experiment through all its steps")
    command.add_argument("experiment", metavar="EXPERIMENT", help="a catalogue name or a path to a TOML file")
    command.add_argument("--out", metavar="DIR", type=Path, help="the run's directory (runs/EXPERIMENT)")
    command.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="replace a value")
    command.add_argument("--resume", action="store_true", help="go on where a run was stopped")
    command.set_defaults(command=_run)

    for name, text in _STEPS.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("run", metavar="DIR", type=Path, help="a run's directory")
        command.add_argument("--resume", action="store_true", help="go on where the step was stopped")
        command.set_defaults(command=_step, step=name)

    command = commands.add_parser(
        "doctor", help="what is installed, what is missing, the line that installs it"
    )
    command.set_defaults(command=_doctor)
    return parser


_STEPS = {
    "train": "the rate networks learn",
    "simulate": "the spiking networks learn and are read out, in Brian2",
    "export": "write network.nir and plasticity.json",
    "lava": "run the exported files in Lava",
    "compare": "accuracy and agreement of all worlds, or of all systems: results.json, and a table",
    "plot": "figures and report.html",
}


def _list(options: argparse.Namespace) -> None:
    from .data import SETS

    for kind in ("models", "hardware", "experiments"):
        print(f"{kind}:")
        for name in catalog.names(kind):
            print(f"  {name:17s} {catalog.read_toml(catalog.find(kind, name)).get('title', '')}")
    print("data sets:")
    for name, text in SETS.items():
        print(f"  {name:17s} {text}")


def _run(options: argparse.Namespace) -> None:
    settings = catalog.settings_of(options.set)
    path = catalog.find("experiments", options.experiment)
    kind = kind_of(path)
    title, table = kind.load(options.experiment, settings, path)
    folder = options.out or Path("runs") / Path(options.experiment).stem
    run = kind.folder().create(folder, tomli_w.dumps(table), options.resume)
    for name, action in kind.steps.items():
        if run.done(name):
            print(f"{name}: done already", file=sys.stderr)
        else:
            action(run)
    print(f"\n{title}: see {folder / 'report.html'} and {folder / 'results.json'}")


def _step(options: argparse.Namespace) -> None:
    path = options.run / "experiment.toml"
    if not path.is_file():
        raise RunError(
            f"{options.run}: not a run's directory (no experiment.toml); make one with neuroclapp run"
        )
    kind = kind_of(path)
    if options.step not in kind.steps:
        raise RunError(
            f"{path}: a run of this kind has no step {options.step!r}; it has {', '.join(kind.steps)}"
        )
    run = kind.folder()(options.run)
    run.check()
    if options.resume and run.done(options.step):
        print(f"{options.step}: done already", file=sys.stderr)
        return
    if not options.resume:
        run.clear(options.step)
    kind.steps[options.step](run)


def _doctor(options: argparse.Namespace) -> None:
    from .doctor import report

    print(report())

"""The command line: ``neuroclapp list``, ``run``, its steps one by one, ``plan`` and ``doctor``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import tomli_w

from . import __version__, catalog
from .errors import InputError, NeuroclappError, RunError
from .run.folder import experiment_file
from .run.kinds import kind_of
from .run.parallel import Processes, Workers


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 2 after one line on standard error that says what is wrong.

    ``plan`` returns 1 where a network does not fit.
    """
    options = _parser().parse_args(arguments)
    try:
        code: int | None = options.command(options)
    except NeuroclappError as error:
        print(f"neuroclapp: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("neuroclapp: stopped; go on with --resume", file=sys.stderr)
        return 130
    return code or 0


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
    _place(command)
    command.set_defaults(command=_run)

    for name, text in _STEPS.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("run", metavar="DIR", type=Path, help="a run's directory")
        command.add_argument("--resume", action="store_true", help="go on where the step was stopped")
        if name == "export":
            command.add_argument("--fit", action="store_true", help="fixed.json, too: scales in integers")
        _place(command)
        command.set_defaults(command=_step, step=name)

    command = commands.add_parser("plan", help="does a network fit a chip, what it takes, what would fit")
    command.add_argument("model", metavar="MODEL", help="a catalogue name or a path to a TOML file")
    command.add_argument("--chip", metavar="CHIP", required=True, help="a catalogue name or a path")
    only = command.add_mutually_exclusive_group()
    only.add_argument("--inference", dest="mode", action="store_const", const="inference", help="that alone")
    only.add_argument("--learning", dest="mode", action="store_const", const="learning", help="that alone")
    command.add_argument("--chips", metavar="N", type=int, default=1, help="chips that there are (1)")
    command.add_argument("--width", metavar="WIDTH", type=float, help="in place of the model's width")
    command.add_argument("--neurons", metavar="N", type=int, help="neurons per unit, not the experiment's")
    command.add_argument(
        "--weight-bits", metavar="N", type=int, help="bits of a weight, not the chip's usual"
    )
    command.add_argument("--pooling", choices=("relay", "mean"), default="relay", help="how maps are pooled")
    command.add_argument(
        "--experiment", metavar="EXPERIMENT", default="quickstart", help="its [spiking] table"
    )
    command.add_argument("--rates", metavar="ACTIVITY", type=float, help="of every unit (1)")
    command.add_argument("--run", metavar="DIR", type=Path, help="take coding and spikes of a run")
    command.add_argument("--json", action="store_true", help="a JSON object by mode")
    command.set_defaults(command=_plan)

    command = commands.add_parser(
        "doctor", help="what is installed, what is missing, the line that installs it"
    )
    command.set_defaults(command=_doctor)
    return parser


def _place(command: argparse.ArgumentParser) -> None:
    """Add where jobs run; by default on all cores of this machine."""
    place = command.add_mutually_exclusive_group()
    place.add_argument("--workers", metavar="N", type=int, help="run jobs on N local workers of Dask")
    place.add_argument("--scheduler", metavar="ADDRESS", help="run jobs on a Dask cluster: tcp://HOST:PORT")


@contextmanager
def _workers(options: argparse.Namespace, folder: Path) -> Iterator[Workers]:
    if options.scheduler is None and options.workers is None:
        yield Processes()
        return
    if options.workers is not None and options.workers < 1:
        raise InputError("--workers", "N", options.workers, "must be at least 1")
    from .run.cluster import cluster

    with cluster(folder, options.scheduler, options.workers) as found:
        yield found


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

    entries: dict[str, dict[str, str]] = {
        kind: {
            name: catalog.read_toml(catalog.find(kind, name)).get("title", "") for name in catalog.names(kind)
        }
        for kind in ("models", "hardware", "experiments")
    }
    entries["data sets"] = dict(SETS)
    width = max(len(name) for named in entries.values() for name in named)
    for kind, named in entries.items():
        print(f"{kind}:")
        for name, text in named.items():
            print(f"  {name:{width}s} {text}")


def _run(options: argparse.Namespace) -> None:
    settings = catalog.settings_of(options.set)
    path = catalog.find("experiments", options.experiment)
    kind = kind_of(path)
    title, table = kind.folder.resolve(options.experiment, settings, path)
    folder = options.out or Path("runs") / Path(options.experiment).stem
    with _workers(options, folder) as workers:
        run = kind.folder.create(folder, tomli_w.dumps(table), options.resume)
        run.workers = workers
        for name, action in kind.steps.items():
            if run.done(name):
                print(f"{name}: done already", file=sys.stderr)
            else:
                action(run)
    print(f"\n{title}: see {folder / 'report.html'} and {folder / 'results.json'}")


def _step(options: argparse.Namespace) -> None:
    path = experiment_file(options.run)
    kind = kind_of(path)
    if options.step not in kind.steps:
        raise RunError(
            f"{path}: a run of this kind has no step {options.step!r}; it has {', '.join(kind.steps)}"
        )
    run = kind.folder(options.run)
    run.check()
    fits = getattr(options, "fit", False)
    if (options.resume or fits) and run.done(options.step):  # to fit leaves what a run has made as it is
        print(f"{options.step}: done already", file=sys.stderr)
    else:
        if not options.resume:
            run.clear(options.step)
        with _workers(options, options.run) as workers:
            run.workers = workers
            kind.steps[options.step](run)
    if fits:
        from .run.fit import fit

        print(fit(options.run))


def _plan(options: argparse.Namespace) -> int:
    from .run.plan import Options, plans, show

    found = plans(
        Options(
            options.model,
            options.chip,
            ("inference", "learning") if options.mode is None else (options.mode,),
            options.chips,
            options.width,
            options.neurons,
            options.pooling,
            options.experiment,
            options.rates,
            options.run,
            options.weight_bits,
        )
    )
    print(show(found, options.json))
    return 0 if all(one.fits for one in found) else 1


def _doctor(options: argparse.Namespace) -> None:
    from .doctor import report

    print(report())

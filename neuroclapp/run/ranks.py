"""Training of an experiment's systems by several processes, under torchrun:

    torchrun --nproc-per-node 2 -m neuroclapp.run.ranks table1 --out runs/table1 --set scale=small

They share each batch; with --layers they share each system's modules: maps go from each process to the next,
nothing comes back, and the weights are, to the bit, those that one process finds. They need a folder in
common. A system whose modules cannot be shared by so many is trained by the first process.

Afterwards ``neuroclapp run table1 --out runs/table1 --set scale=small`` finds the systems trained.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .. import catalog
from ..errors import InputError, NeuroclappError
from ..rate.devices import named, place
from ..rate.exchange import ALONE, Exchange, ranks
from ..rate.staged import StagedLearner
from ..rate.training import Batched, Learner, train
from ..resolve import load_systems
from .systems import SystemsRun, check, trained


def main() -> int:
    """Train every system with every seed that is not trained yet, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("experiment", metavar="EXPERIMENT")
    parser.add_argument("--out", metavar="DIR", type=Path)
    parser.add_argument("--layers", action="store_true", help="share modules instead of batches")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[])
    options = parser.parse_args()
    try:
        experiment, _ = load_systems(options.experiment, catalog.settings_of(options.set))
        check(experiment, catalog.find("experiments", options.experiment))
        run = SystemsRun(options.out or Path("runs") / Path(options.experiment).stem)
        run.__dict__["experiment"] = experiment
        with ranks(named()[0].type) as exchange:
            for row, seed in run.jobs:
                batches, path, learner = run.batches(row, seed), run.kept(row, seed), run.learner(row, seed)
                updates = row.recipe.length(batches.per_epoch)
                if row.learns == "nothing" or trained(path) >= updates:
                    continue
                if options.layers:
                    learner = _with_own_modules(learner, exchange, batches, updates)
                place(learner.network)
                shared = not options.layers or isinstance(learner, StagedLearner)
                if shared or exchange.rank == 0:
                    train(learner, batches, seed, path, exchange=ALONE if options.layers else exchange)
                if exchange.rank == 0:
                    print(f"{row.name}, seed {seed}: {learner.done} updates", file=sys.stderr)
    except NeuroclappError as error:
        print(f"neuroclapp: {error}", file=sys.stderr)
        return 2
    return 0


def _with_own_modules(learner: Learner, exchange: Exchange, batches: Batched, updates: int) -> Learner:
    """Return this process's modules, or the whole system where they cannot be shared, which is said."""
    if exchange.count == 1:
        return learner
    rows = batches[0].patches.shape
    try:
        return StagedLearner(learner, exchange.rank, exchange.count, (rows[0], rows[1], rows[2]), updates)
    except InputError as error:
        if exchange.rank == 0:
            print(f"{error}; trained by one process", file=sys.stderr)
        return learner


if __name__ == "__main__":
    sys.exit(main())

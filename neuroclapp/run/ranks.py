"""Training of an experiment's systems by several processes that share each batch, under torchrun:

    torchrun --nproc-per-node 2 -m neuroclapp.run.ranks table1 --out runs/table1 --set scale=small

Afterwards ``neuroclapp run table1 --out runs/table1 --set scale=small`` finds the systems trained.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .. import catalog
from ..errors import NeuroclappError
from ..rate.devices import named, place
from ..rate.exchange import ranks
from ..rate.training import train
from ..resolve import load_systems
from .systems import SystemsRun, check, trained


def main() -> int:
    """Train every system with every seed that is not trained yet, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("experiment", metavar="EXPERIMENT")
    parser.add_argument("--out", metavar="DIR", type=Path)
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
                place(learner.network)
                if row.learns != "nothing" and trained(path) < row.recipe.length(batches.per_epoch):
                    train(learner, batches, seed, path, exchange=exchange)
                    if exchange.rank == 0:
                        print(f"{row.name}, seed {seed}: {learner.done} updates", file=sys.stderr)
    except NeuroclappError as error:
        print(f"neuroclapp: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())

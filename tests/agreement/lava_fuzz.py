"""Many random rules and networks in Lava's fixed point and in the interpreter, number for number.

    PYTHONPATH=tests python -m agreement.lava_fuzz [--networks 1024] [--steps 40] [--first 0] [--keep DIR]

Networks are run in Lava ``PACK`` at a time. What `agreement.fixed_networks.NAMES` lists is compared after
every step that the interpreter takes by itself, and after all steps that it takes together. Ends with exit
status 1 if a number differs, and names the network. With ``--keep`` what Lava left is written to a folder and
read from there the next time, which then takes a minute: Lava does not change.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
from agreement.fixed_networks import NAMES, at_once, draw_network, interpret, mismatches

from neuroclapp.onchip.lava.fixed_jobs import run_networks
from neuroclapp.progress import Progress

PACK = 16


def in_lava(cases: list[tuple[dict, dict]], keep: Path | None, limit_s: float) -> list[dict]:
    """Return what Lava leaves of each network, from the file ``keep`` where there is one."""
    if keep is not None and keep.is_file():
        with np.load(keep, allow_pickle=False) as file:
            return [{name: file[f"{n}.{name}"] for name in NAMES} for n in range(len(cases))]
    left, _ = run_networks(cases, limit_s)
    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
        np.savez(keep, **{f"{n}.{name}": one[name] for n, one in enumerate(left) for name in NAMES})
    return left


def compare(
    first: int, networks: int, steps: int, keep: Path | None = None, limit_s: float = 300
) -> tuple[dict[int, dict], int]:
    """Return what differs, by network and name, and how many numbers were compared."""
    cases = [draw_network(seed, steps) for seed in range(first, first + networks)]
    path = None if keep is None else keep / f"{first}-{networks}-{steps}.npz"
    left = in_lava(cases, path, limit_s)
    wrong, compared = {}, 0
    for seed, case, expected in zip(range(first, first + networks), cases, left, strict=True):
        for way in (interpret, at_once):
            found, numbers = mismatches(way(*case), expected)
            compared += numbers
            if found:
                wrong[seed] = wrong.get(seed, {}) | {f"{way.__name__}: {key}": n for key, n in found.items()}
    return wrong, compared


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    given.add_argument("--networks", type=int, default=1024)
    given.add_argument("--steps", type=int, default=40)
    given.add_argument("--first", type=int, default=0, help="seed of the first network")
    given.add_argument("--keep", type=Path, help="folder for what Lava left")
    options = given.parse_args()
    wrong, compared, began = {}, 0, time.perf_counter()
    with Progress("networks", options.networks) as progress:
        for done in range(0, options.networks, PACK):
            networks = min(PACK, options.networks - done)
            found, numbers = compare(options.first + done, networks, options.steps, options.keep)
            wrong, compared = wrong | found, compared + numbers
            progress(min(done + PACK, options.networks))
    kinds = Counter()
    for seed in range(options.first, options.first + options.networks):
        network, _ = draw_network(seed, 1)
        kinds["three factors" if network["written"] else "two factors"] += 1
        kinds["epoch 1" if network["epoch"] == 1 else "longer epochs"] += 1
        kinds["with neurons"] += network["neurons"] is not None
        kinds["products"] += sum(1 + text[1:].count(" + ") + text[1:].count(" - ") for text in rules(network))
    print(
        f"{options.networks} networks of {options.steps} steps "
        f"({', '.join(f'{n} {name}' for name, n in sorted(kinds.items()))}): {compared} numbers compared, "
        f"{sum(sum(one.values()) for one in wrong.values())} mismatches in {len(wrong)} networks; "
        f"{time.perf_counter() - began:.0f} s"
    )
    for seed, found in wrong.items():
        print(f"network {seed}: {found}; {draw_network(seed, options.steps)[0]}")
    sys.exit(bool(wrong))


def rules(network: dict) -> list[str]:
    return [network[key] for key in ("dw", "dd", "dt") if network[key]]


if __name__ == "__main__":
    main()

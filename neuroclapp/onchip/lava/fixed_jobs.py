"""Run networks in Lava's fixed point, many in one Lava run, in a process of its own with a hard time limit.

What a network is stands in `neuroclapp.onchip.lava.fixed_point`. This file is also that process: ``python -m
neuroclapp.onchip.lava.fixed_jobs JOB_FOLDER``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import RunError
from .jobs import _end, _tail
from .shim import import_lava

Arrays = Mapping[str, NDArray[Any]]


def run_networks(
    networks: Sequence[tuple[Mapping[str, Any], Arrays]], limit_s: float = 300
) -> tuple[list[dict[str, NDArray[Any]]], dict[str, float]]:
    """Run all networks together, for as many steps as their spikes have, and return what each left.

    Also returns "cpu" and "wall" [s] of the run itself, without Lava's start and its end, all its processes
    together. Raises RunError with the end of the error output on failure, or after ``limit_s`` seconds.
    """
    with tempfile.TemporaryDirectory(prefix="neuroclapp-lava-") as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps([dict(one) for one, _ in networks]), encoding="utf-8")
        arrays = {f"{n}.{key}": value for n, (_, own) in enumerate(networks) for key, value in own.items()}
        np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
        _work(folder, limit_s)
        left = [_load(folder, str(n)) for n in range(len(networks))]
        return left, json.loads((folder / "times.json").read_text(encoding="utf-8"))


def _load(folder: Path, name: str) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {}
    for part in ("dense", "stimulus"):
        path = folder / f"{name}.{part}.npz"
        if path.is_file():
            with np.load(path, allow_pickle=False) as file:
                found |= {key: file[key] for key in file.files}
    return found


def _work(folder: Path, limit_s: float) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    root = str(Path(__file__).resolve().parents[3])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))
    errors = folder / "stderr.txt"
    with errors.open("w") as stderr:
        worker = subprocess.Popen(
            [sys.executable, "-m", "neuroclapp.onchip.lava.fixed_jobs", str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            text=True,
            env=environment,
            start_new_session=True,
        )
    nothing = threading.Thread(target=lambda: None)
    nothing.start()
    try:
        code = worker.wait(timeout=limit_s)
    except subprocess.TimeoutExpired:
        raise RunError(f"Lava in fixed point: it took longer than {limit_s:g} s{_tail(errors)}") from None
    finally:
        _end(worker, nothing)
    if code != 0:
        raise RunError(f"Lava in fixed point: it failed with exit status {code}{_tail(errors)}")


def main(folder: Path) -> None:
    """Build the networks of a job, run them, and leave their files in its folder."""
    networks = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    with np.load(folder / "arrays.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    import_lava()
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    from .fixed_point import build, join

    built = []
    for n, network in enumerate(networks):
        prefix = f"{n}."
        own = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
        built.append(build(network, own, folder, str(n)))
    (steps,) = {len(value) for key, value in arrays.items() if key.endswith(".spikes")}
    first = join(built)
    run_cfg = Loihi2SimCfg(select_tag="fixed_pt")
    first.create_runtime(run_cfg=run_cfg)
    began, cpu = time.perf_counter(), _cpu()
    first.run(condition=RunSteps(num_steps=steps), run_cfg=run_cfg)
    wall = time.perf_counter() - began
    first.stop()
    times = {"cpu": _cpu() - cpu, "wall": wall}
    (folder / "times.json").write_text(json.dumps(times), encoding="utf-8")


def _cpu() -> float:
    """Return CPU time of this process and of all that it has started and that have ended."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # a plain exit would wait for ever for Lava's processes

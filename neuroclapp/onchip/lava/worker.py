"""One Lava job in a process of its own: ``python -m neuroclapp.onchip.lava.worker JOB_FOLDER``.

The folder holds ``job.json`` and ``arrays.npz``; the worker leaves ``result.npz`` there and prints
``steps DONE TOTAL`` as it goes. `neuroclapp.onchip.lava.jobs` starts it, with a hard time limit.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import NeuroclappError, RunError
from .shim import import_lava

Arrays = dict[str, Any]
_PARTS = 20


def main(job_folder: Path) -> None:
    """Read the job, run it, and write its result."""
    job = json.loads((job_folder / "job.json").read_text(encoding="utf-8"))
    with np.load(job_folder / "arrays.npz", allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    import_lava()
    run = {"inference": _inference, "learning": _learning}[job["kind"]]
    np.savez(job_folder / "result.npz", **run(job, arrays, job_folder))


def _inference(job: dict[str, Any], arrays: Arrays, job_folder: Path) -> Arrays:
    from . import graph

    built = graph.inference(Path(job["folder"]), arrays["inputs"])
    samples, clock = len(arrays["inputs"]), built.clock
    paths = graph.record(built, samples, job_folder)
    _run(built.input, samples * clock.period)
    built.input.stop()
    packets = [np.load(path, allow_pickle=False) for path in paths]
    return {f"packets{n}": one.reshape(samples, clock.period, -1) for n, one in enumerate(packets)}


def _learning(job: dict[str, Any], arrays: Arrays, job_folder: Path) -> Arrays:
    from . import graph

    built = graph.learning(Path(job["folder"]), job["layer"], arrays["inputs"], arrays["sign"], job_folder)
    presentations, clock = len(arrays["inputs"]), built.clock
    source = graph.record_one(built.source, presentations * clock.period, job_folder / "source.npy")
    _run(built.somata, presentations * clock.period)
    result = {target: np.array(dense.weights.get()) for target, dense in built.plastic.items()}
    built.somata.stop()
    with np.load(job_folder / "somata.npz", allow_pickle=False) as file:
        result |= {name: file[name] for name in file.files}
    sent = np.load(source, allow_pickle=False).reshape(presentations, clock.period, -1)
    result["pre_count"] = sent[:, : clock.steps].sum(axis=1, dtype=np.float64)
    return result | {"total": np.load(job_folder / "site.npy", allow_pickle=False)}


def _run(process: Any, steps: int) -> None:
    """Run a graph in a few parts, so that progress can be told."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    run_cfg, done = Loihi2SimCfg(select_tag="floating_pt"), 0
    for part in range(1, _PARTS + 1):
        until = steps * part // _PARTS
        if until > done:
            try:
                process.run(condition=RunSteps(num_steps=until - done), run_cfg=run_cfg)
            except RuntimeError as error:
                raise RunError(f"{error}\n{_failures(process)}") from error
            done = until
            print(f"steps {done} {steps}", flush=True)


def _failures(process: Any) -> str:
    """Return the tracebacks of Lava's processes, which Lava itself only logs."""
    infrastructure = getattr(process.runtime, "_messaging_infrastructure", None)
    actors = getattr(infrastructure, "actors", ())
    return "\n".join(actor.exception[1] for actor in actors if actor.exception)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except BaseException as error:
        if isinstance(error, NeuroclappError):
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
        else:
            traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)  # a plain exit would wait for ever for Lava's processes

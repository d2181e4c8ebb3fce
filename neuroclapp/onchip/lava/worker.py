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
    kinds = {
        "inference": _inference,
        "learning": _learning,
        "fixed_learning": _fixed_learning,
        "unrolled": _unrolled,
    }
    run = kinds[job["kind"]]
    np.savez(job_folder / "result.npz", **run(job, arrays, job_folder))


def _inference(job: dict[str, Any], arrays: Arrays, job_folder: Path) -> Arrays:
    from . import graph

    folder, bits = Path(job["folder"]), job["weight_bits"]
    if bits is None:
        built, tag = graph.inference(folder, arrays["inputs"]), "floating_pt"
    else:
        built, tag = graph.fixed_inference(folder, arrays["inputs"], bits), "fixed_pt"
    samples, clock = len(arrays["inputs"]), built.clock
    paths = graph.record(built, samples, job_folder)
    _run(built.input, samples * clock.period, tag)
    built.input.stop()
    packets = [np.load(path, allow_pickle=False) for path in paths]
    return {f"packets{n}": one.reshape(samples, clock.period, -1) for n, one in enumerate(packets)}


def _unrolled(job: dict[str, Any], arrays: Arrays, job_folder: Path) -> Arrays:
    from . import unrolled

    network, source, paths = unrolled.build(Path(job["folder"]), arrays["patches"], job_folder)
    patches = len(arrays["patches"])
    _run(source, patches * network.steps, "floating_pt" if network.kind == "float" else "fixed_pt")
    source.stop()
    packets = [np.load(path, allow_pickle=False) for path in paths]
    return {f"packets{n}": one.reshape(patches, network.steps, -1) for n, one in enumerate(packets)}


def _learning(job: dict[str, Any], arrays: Arrays, job_folder: Path) -> Arrays:
    from . import graph

    built = graph.learning(Path(job["folder"]), arrays["inputs"], arrays["sign"], job_folder, job["layers"])
    presentations, clock = len(arrays["inputs"]), built.clock
    sources = _record_sources(built, presentations, job_folder)
    _run(built.input, presentations * clock.period)
    built.input.stop()
    result: Arrays = {}
    for name, layer in built.layers.items():
        files = graph.learned_files(job_folder, name, layer.plastic)
        with np.load(files.pop("somata"), allow_pickle=False) as file:
            left = {key: file[key] for key in file.files}
        for site, total in (("site", "total"), ("site_retro", "total_retro")):
            path = files.pop(site)
            if path.is_file():
                left[total] = np.load(path, allow_pickle=False)
        if "total_retro" not in left:
            left.pop("gamma_retro")
        left |= {target: np.load(path, allow_pickle=False) for target, path in files.items()}
        result |= {f"{name}.{key}": value for key, value in left.items()}
    for name, layer in built.layers.items():
        if name in sources:
            sent = np.load(sources[name], allow_pickle=False).reshape(presentations, clock.period, -1)
            result[f"{name}.pre_count"] = sent[:, : clock.steps].sum(axis=1, dtype=np.float64)
        else:
            result[f"{name}.pre_count"] = result[f"{layer.source.name}.count"]
    return result


def _fixed_learning(job: dict[str, Any], arrays: Arrays, job_folder: Path) -> Arrays:
    from ..fixed import file
    from . import fixed_learning

    program = file.read(Path(job["folder"]))
    source, files = fixed_learning.build(program, arrays["inputs"], arrays["sign"], job_folder)
    _run(source, len(arrays["sign"]) * program.clock.period, "fixed_pt")
    source.stop()
    result: Arrays = {}
    for name, path in files.items():
        with np.load(path, allow_pickle=False) as left:
            result |= {f"{name}/{key}": left[key] for key in left.files}
    return result


def _record_sources(built: Any, presentations: int, job_folder: Path) -> dict[str, Path]:
    """Record what layers that learn hear, where it comes from a population that keeps no record itself."""
    from . import graph

    steps = presentations * built.clock.period
    return {
        name: graph.record_one(layer.source, steps, job_folder / f"{name}_source.npy")
        for name, layer in built.layers.items()
        if layer.source.name not in built.layers
    }


def _run(process: Any, steps: int, tag: str = "floating_pt") -> None:
    """Run a graph of models with this tag in a few parts, so that progress can be told."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg

    run_cfg, done = Loihi2SimCfg(select_tag=tag), 0
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

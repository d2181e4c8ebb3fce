"""Run exported files in Lava, each job in a process of its own with a hard time limit.

Lava forks one process per Lava process and can hang when one of them fails, so that nothing of it runs in the
caller's process; on failure or timeout all that the job started is ended.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...errors import InputError, MissingPackageError, RunError
from ...plasticity import Target
from .. import nir, unrolled2d
from ..exported import read_layers
from ..fixed import file
from ..integer import quantised
from ..interpreter import LAVA_WORDS
from ..program import LayerProgram, checked_sign
from .shim import INSTALL

Progress = Callable[[int, int], None]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Learned:
    """What on-chip learning leaves of one layer.

    ``before`` and ``after``: weights by target, in rate units. ``pre_count`` (presentations, presynaptic
    units): spikes of the population below. ``count``, ``charge`` (net charge, in spikes), ``apical`` (d) and
    ``retro`` (r) (presentations, units), ``gamma`` (presentations,), and ``total`` (presentations, 2), the
    modulators' spikes at the release, fixation half first. They are all that the count-based rule needs.
    ``gamma_retro`` and ``total_retro`` are those of the second gate, empty where there is one gate.
    """

    before: dict[Target, Array]
    after: dict[Target, Array]
    pre_count: Array
    count: Array
    charge: Array
    apical: Array
    retro: Array
    gamma: Array
    total: Array
    gamma_retro: Array = field(default_factory=lambda: np.zeros(0))
    total_retro: Array = field(default_factory=lambda: np.zeros((0, 2)))


def infer(
    folder: Path,
    inputs: ArrayLike,
    limit_s: float = 600,
    progress: Progress | None = None,
    weight_bits: int | None = None,
) -> list[NDArray[np.uint32]]:
    """Run ``folder/network.nir`` in Lava on ``inputs`` (samples, inputs), one presentation each, from rest.

    In floating point, or in integers with weights of ``weight_bits`` bits (`neuroclapp.onchip.integer`).
    Returns the packets of every layer, (samples, steps, units). Step s holds the same packets as step s of
    the presentation in the other worlds.
    """
    network = nir.read(folder)
    inputs = np.asarray(inputs, dtype=np.float64)
    network.charge(inputs)  # raises where they do not fit, before a job is started
    if weight_bits is not None:
        quantised(network, weight_bits)
    options = {"weight_bits": weight_bits}
    result = run_job("inference", folder, {"inputs": inputs}, options, limit_s, progress)
    return [result[f"packets{n}"] for n in range(len(network.layers))]


def infer_unrolled(
    folder: Path, patches: ArrayLike, limit_s: float = 600, progress: Progress | None = None
) -> list[NDArray[np.uint32]]:
    """Run ``folder/unrolled.npz`` in Lava on ``patches`` (patches, channels, height, width).

    In floating or in fixed point, as the file says. Returns the packets of every layer, relays among them,
    (patches, steps, units).
    """
    network = unrolled2d.read(folder)
    patches = np.asarray(patches, dtype=np.float64)
    network.charge(patches)  # raises where they do not fit, before a job is started
    result = run_job("unrolled", folder, {"patches": patches}, {}, limit_s, progress)
    return [result[f"packets{n}"] for n in range(len(network.layers))]


def learn(
    folder: Path,
    inputs: ArrayLike,
    sign: ArrayLike,
    layers: Sequence[str] | None = None,
    limit_s: float = 600,
    progress: Progress | None = None,
) -> dict[str, Learned]:
    """Let layers of an export learn in Lava, all of them at once, from rest and from the exported weights.

    ``inputs`` (presentations, inputs) and ``sign`` (presentations,) are the stream. ``layers`` names those
    that learn, by default all; those below them infer. Returns what each leaves, by name.
    """
    network, program, indices = read_layers(folder, layers)
    inputs = np.asarray(inputs, dtype=np.float64)
    network.charge(inputs)  # raises where they do not fit, before a job is started
    arrays = {"inputs": inputs, "sign": checked_sign(sign, len(inputs))}
    names = [program.layers[index].soma.name for index in indices]
    result = run_job("learning", folder, arrays, {"layers": names}, limit_s, progress)
    return {
        name: _learned(name, network.layers[index], program.layers[index], result)
        for name, index in zip(names, indices, strict=True)
    }


def _learned(
    name: str, layer: nir.Feedforward, part: LayerProgram, result: Mapping[str, NDArray[Any]]
) -> Learned:
    before: dict[Target, Array] = {}
    after: dict[Target, Array] = {}
    for one in part.connections:
        start = {"w_ff": layer.weights, "bias": layer.bias}.get(one.target, one.weights)
        if start is not None:
            before[one.target], after[one.target] = (
                start / one.scale,
                result[f"{name}.{one.target}"] / one.scale,
            )
    kept = [each.name for each in fields(Learned) if f"{name}.{each.name}" in result]
    return Learned(before, after, **{key: result[f"{name}.{key}"] for key in kept})


def learn_fixed(
    folder: Path, inputs: ArrayLike, sign: ArrayLike, limit_s: float = 600, progress: Progress | None = None
) -> dict[str, NDArray[np.int64]]:
    """Let all layers of ``folder/fixed.json`` learn in Lava's fixed point, from rest.

    ``inputs`` (presentations, inputs) and ``sign`` (presentations,) are the stream. Returns, by
    ``LAYER/count``, ``charge``, ``apical``, ``retro`` and ``gamma``, what presentations left, and by
    ``LAYER.TARGET/weights`` and ``tags`` what was learned, all integers.
    """
    program = file.read(folder)
    if program.words != LAVA_WORDS:
        allowed = f"Lava's fixed point has words of {vars(LAVA_WORDS)} bits and no others"
        raise InputError(folder / file.FILE, "words", vars(program.words), allowed)
    inputs = np.asarray(inputs, dtype=np.float64)
    if inputs.ndim != 2 or inputs.shape[1] != program.input.units:
        allowed = f"must be (presentations, {program.input.units})"
        raise InputError(folder / file.FILE, "inputs", inputs.shape, allowed)
    arrays = {"inputs": inputs, "sign": checked_sign(sign, len(inputs))}
    return run_job("fixed_learning", folder, arrays, {}, limit_s, progress)


def run_job(
    kind: Literal["inference", "learning", "fixed_learning", "unrolled"],
    folder: Path,
    arrays: Mapping[str, NDArray[Any]],
    options: Mapping[str, Any],
    limit_s: float,
    progress: Progress | None = None,
) -> dict[str, NDArray[Any]]:
    """Run one job in a process of its own and return its arrays.

    ``progress(done, total)`` is called with time steps. Raises MissingPackageError where Lava is absent, and
    RunError with the end of the job's error output where it fails or takes longer than ``limit_s`` seconds.
    """
    if importlib.util.find_spec("lava") is None:
        raise MissingPackageError("lava-nc 0.10.0", "run a network in Lava", INSTALL)
    with tempfile.TemporaryDirectory(prefix="neuroclapp-lava-") as name:
        job_folder = Path(name)
        job = {"kind": kind, "folder": str(Path(folder).resolve()), **options}
        (job_folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        np.savez(job_folder / "arrays.npz", **arrays)  # type: ignore[arg-type]
        _work(kind, job_folder, limit_s, progress)
        result = job_folder / "result.npz"
        if not result.is_file():
            raise RunError(f"Lava {kind} job of {folder}: it ended without a result")
        with np.load(result, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}


def _work(kind: str, job_folder: Path, limit_s: float, progress: Progress | None) -> None:
    errors = job_folder / "stderr.txt"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    root = str(Path(__file__).resolve().parents[3])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (root, environment.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "neuroclapp.onchip.lava.worker", str(job_folder)]
    with errors.open("w") as stderr:
        worker = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=stderr, text=True, env=environment, start_new_session=True
        )
    reader = threading.Thread(target=_follow, args=(worker.stdout, progress), daemon=True)
    reader.start()
    try:
        code = worker.wait(timeout=limit_s)
    except subprocess.TimeoutExpired:
        message = f"Lava {kind} job: it took longer than {limit_s:g} s"
        raise RunError(f"{message}{_tail(errors)}") from None
    finally:
        _end(worker, reader)
    if code != 0:
        raise RunError(f"Lava {kind} job: it failed with exit status {code}{_tail(errors)}")


def _follow(lines: IO[str] | None, progress: Progress | None) -> None:
    for line in lines or ():
        words = line.split()
        if progress is not None and len(words) == 3 and words[0] == "steps":
            progress(int(words[1]), int(words[2]))


def _end(worker: subprocess.Popen[str], reader: threading.Thread) -> None:
    """End the worker and all processes that it started: they share a session of their own.

    They are first asked to end: Python's resource tracker then removes their shared memory.
    """
    for how, patience_s in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
        until = time.monotonic() + patience_s
        try:
            os.killpg(worker.pid, how)
            while time.monotonic() < until:
                worker.poll()
                os.killpg(worker.pid, 0)
                time.sleep(0.02)
        except ProcessLookupError:
            break
    worker.wait()
    reader.join()
    if worker.stdout is not None:
        worker.stdout.close()


def _tail(errors: Path) -> str:
    text = errors.read_text(encoding="utf-8", errors="replace").strip()
    return f"; the end of its error output:\n{text[-2000:]}" if text else ""

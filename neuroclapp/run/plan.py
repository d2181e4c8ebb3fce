"""`neuroclapp plan`: the spiking table of an experiment, or what a run measured, laid on a chip."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from .. import catalog
from ..errors import InputError, RunError
from ..experiment import Experiment, load_experiment
from ..network import Network, load_network
from ..onchip.chip import Chip, load_chip
from ..onchip.plan import Plan, plan
from ..onchip.plan_case import Coding, Mode
from ..onchip.plan_table import table, text
from ..onchip.plan_wiring import Pooling
from ..spiking.mapping import Spiking
from .directory import RunDirectory


@dataclass(frozen=True)
class Options:
    """What the command line says; None where it says nothing."""

    model: str
    chip: str
    modes: tuple[Mode, ...] = ("inference", "learning")
    chips: int = 1
    width: float | None = None
    neurons: int | None = None
    pooling: Pooling = "relay"
    experiment: str = "quickstart"
    activity: float | None = None
    run: Path | None = None
    weight_bits: int | None = None


def plans(options: Options) -> tuple[Plan, ...]:
    """Return one plan for each mode; raise InputError that names an option or a file at fault."""
    network = load_network(options.model)
    if options.width is not None:
        if not 0 < options.width < inf:
            raise InputError("--width", "WIDTH", options.width, "must be positive and finite")
        network = replace(network, width=options.width)
    for name, value in (("--chips", options.chips), ("--neurons", options.neurons)):
        if value is not None and value < 1:
            raise InputError(name, "N", value, "must be 1 or more")
    chip, coding = _chip(options), _coding(options, network)
    return tuple(plan(network, chip, coding, mode, options.chips, options.pooling) for mode in options.modes)


def show(found: tuple[Plan, ...], as_json: bool) -> str:
    """Return plans as text, or as JSON by mode."""
    if as_json:
        return json.dumps({one.mode: table(one) for one in found}, indent=2)
    return "\n\n".join(text(one) for one in found)


def _chip(options: Options) -> Chip:
    """Return the chip, with weights of as many bits as the options say."""
    chip, bits = load_chip(options.chip), options.weight_bits
    if bits is None:
        return chip
    allowed = range(1, (chip.widths.weight or 0) + 1) if chip.synapses is None else chip.synapses.weights
    if bits not in allowed:
        said = ", ".join(map(str, allowed)) or "none: its weights are not integers"
        raise InputError("--weight-bits", "N", bits, f"{chip.name} has {said}")
    if chip.synapses is None:
        return replace(chip, widths=replace(chip.widths, weight=bits))
    return replace(chip, synapses=replace(chip.synapses, weight=bits))


def _coding(options: Options, network: Network) -> Coding:
    if options.run is not None:
        run = RunDirectory(options.run)
        _compares_worlds(run.file)
        return _with(options, _measured(run, network), run.experiment.spiking)
    _compares_worlds(catalog.find("experiments", options.experiment))
    experiment, _ = load_experiment(options.experiment)
    spiking = experiment.spiking
    return _with(options, _from(spiking, f"spikes as in experiment {options.experiment!r}"), spiking)


def _compares_worlds(path: Path) -> None:
    """Raise InputError for an experiment of another kind, which has no spikes of its own to plan with."""
    table = catalog.read_toml(path)
    if "kind" in table or "like" in table:
        allowed = (
            "must be left out: an experiment with a [spiking] table of its own is needed, like quickstart"
        )
        raise InputError(path, "kind", table.get("kind", "systems"), allowed)


def _from(spiking: Spiking, said: str) -> Coding:
    for key, kind in (("neuron", "integrate_and_fire"), ("code", "regular"), ("dendrite", "plateau")):
        found = getattr(spiking, key).kind
        if found != kind:
            raise InputError("plan", f"spiking.{key}.kind", found, f"a chip's program has {kind!r}")
    return Coding(spiking.timing, spiking.neurons, spiking.input_gain, spiking.gain, spiking.modulator, said)


def _with(options: Options, coding: Coding, spiking: Spiking) -> Coding:
    """Return the coding with the options' values, and a line that tells it."""
    if options.neurons is not None:
        coding = replace(coding, neurons=options.neurons)
        if coding.measured is not None:
            part = options.neurons / spiking.neurons
            steps = coding.timing.steps_on
            measured = {
                name: (part * fired, min(sent, part * fired, steps))
                for name, (fired, sent) in coding.measured.items()
            }
            where = (
                f"{coding.measured_in}, scaled from {spiking.neurons} neurons per unit to {options.neurons}"
            )
            coding = replace(coding, measured=measured, measured_in=where)
    if options.activity is not None:
        if not 0 < options.activity < inf:
            raise InputError("--rates", "ACTIVITY", options.activity, "must be positive and finite")
        coding = replace(coding, activity=options.activity, measured=None)
    timing = coding.timing
    said = (
        f"{coding.said}: neurons per unit {coding.neurons}, {timing.steps_on} steps with input of "
        f"{timing.steps}, gains {coding.input_gain:g} and {', '.join(f'{gain:g}' for gain in coding.gain)}, "
        f"modulators of 2 x {coding.modulator.units} units"
    )
    return replace(coding, said=said)


def _measured(run: RunDirectory, network: Network) -> Coding:
    """Return the coding of a run, with the spikes and messages that its close look recorded."""
    experiment: Experiment = run.experiment
    layers = [layer.name for layer in network.layers]
    known = {layer.name: layer.units for layer in run.network.scaled_layers}
    given = {layer.name: layer.units for layer in network.scaled_layers}
    if known != given:
        raise InputError("--run", "DIR", str(run.folder), f"a run of layers {known}, not of {given}")
    path = run.seed(experiment.seeds[0]) / "steps.npz"
    if not path.is_file():
        raise RunError(f"{path}: no such file; make it with neuroclapp simulate {run.folder}")
    recorded = run.arrays(path)
    names = {"input": "input", **{f"soma{index}": layer for index, layer in enumerate(layers)}}
    units = {"input": int(np.prod(network.input)), **known}
    shown = len(recorded["sign"])
    measured = {layer: _per_unit(recorded, name, shown * units[layer]) for name, layer in names.items()}
    coding = _from(experiment.spiking, f"spikes as in {run.folder / 'experiment.toml'}")
    where = f"{path} ({shown} presentations of the learned network)"
    return replace(coding, measured=measured, measured_in=where)


def _per_unit(recorded: Mapping[str, Any], name: str, shown: int) -> tuple[float, float]:
    """Return spikes and messages of one unit in one presentation."""
    packets = np.asarray(recorded[f"{name}_spikes/packet"], dtype=np.float64)
    return float(packets.sum()) / shown, int(np.count_nonzero(packets)) / shown

"""Spike trains as objects of Neo, the exchange format of neurophysiology; the only import of neo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingPackageError
from ..presentations import Presentations
from .packets import Packets, are_known, senders
from .populations import Population, Populations


def block(
    populations: Populations,
    packets: Mapping[str, Packets],
    stream: Presentations | None = None,
    gamma: Mapping[str, NDArray] | None = None,
    by: Literal["neuron", "unit"] = "neuron",
) -> Any:
    """Return a ``neo.Block`` of one segment with the spike trains of these populations.

    ``packets`` by name, "input" or a layer's, (presentations, steps, units). A packet of n spikes becomes one
    spike each of the n neurons that fire in it (``by = "neuron"``, where they are known), or n spikes at one
    time in the train of their unit (``"unit"``). Trains are annotated with layer, unit and neuron, and there
    is one for each, also where it is silent. With ``stream`` an epoch stands for each presentation; with
    ``gamma``, by layer (presentations,), an event for each release.

    Raises InputError for unknown names or shapes, and where ``by = "neuron"`` cannot be told.
    """
    neo, seconds = _neo()
    timing = populations.timing
    counts = {name: _checked(populations, name, each, by) for name, each in packets.items()}
    if len(set(counts.values())) != 1:
        raise InputError("neo.block", "packets", counts, "must be of the same presentations, at least one")
    count = next(iter(counts.values()))
    made = neo.Block(name="neuroclapp", dt=timing.dt, period=timing.period, by=by)
    segment = neo.Segment(name="simulation", index=0)
    made.segments.append(segment)
    stop = count * timing.period
    for name, each in packets.items():
        population = _population(populations, name)
        for label, times in _trains(each, population, timing.steps, timing.dt, by):
            train = neo.SpikeTrain(times, units=seconds, t_start=0.0, t_stop=stop, layer=name, **label)
            segment.spiketrains.append(train)
    starts = np.arange(count) * timing.period
    if stream is not None:
        names = np.select([stream.sign > 0, stream.sign < 0], ["fixation", "saccade"], "no pair")
        segment.epochs.append(
            neo.Epoch(
                starts * seconds,
                durations=np.full(count, timing.period) * seconds,
                labels=names[:count],
                name="presentations",
                array_annotations={"image": stream.image[:count], "sign": stream.sign[:count].astype(int)},
            )
        )
    for name, each in (gamma or {}).items():
        releases = (starts + timing.release * timing.dt) * seconds
        labels = np.array([f"{value:+.0f}" if value else "0" for value in each])
        segment.events.append(neo.Event(releases, labels=labels, name=f"gamma of {name}", layer=name))
    return made


def _trains(
    packets: Packets, population: Population, steps: int, dt: float, by: str
) -> list[tuple[dict[str, int], NDArray[np.float64]]]:
    """Return unit, and neuron, of each train, with its times [s]."""
    presentation, step, unit, neuron = senders(packets, population)
    times = (presentation * steps + step) * dt
    trains = population.units * (population.neurons if by == "neuron" else 1)
    who = unit * population.neurons + neuron if by == "neuron" else unit
    order = np.argsort(who, kind="stable")
    cuts = np.searchsorted(who[order], np.arange(1, trains))
    found = []
    for number, part in enumerate(np.split(times[order], cuts)):
        label = {"unit": number}
        if by == "neuron":
            label = dict(zip(("unit", "neuron"), divmod(number, population.neurons), strict=True))
        found.append((label, part))
    return found


def _population(populations: Populations, name: str) -> Population:
    known = {"input": populations.input, **{layer.name: layer.soma for layer in populations.layers}}
    if name not in known:
        raise InputError("neo.block", "packets", name, f"must be one of {', '.join(known)}")
    return known[name]


def _checked(populations: Populations, name: str, packets: Packets, by: str) -> int:
    """Return the number of presentations of packets that fit a population."""
    population = _population(populations, name)
    shape = (populations.timing.steps, population.units)
    if packets.ndim != 3 or packets.shape[1:] != shape or len(packets) == 0:
        allowed = f"must be (presentations, {shape[0]}, {shape[1]}), at least one presentation"
        raise InputError("neo.block", f"packets.{name}", packets.shape, allowed)
    if by not in ("neuron", "unit"):
        raise InputError("neo.block", "by", by, "must be 'neuron' or 'unit'")
    if by == "neuron" and not are_known(populations, name):
        allowed = (
            "packets do not tell which neuron fires with leak, noise, Poisson input or losses; use 'unit'"
        )
        raise InputError("neo.block", "by", by, f"{name}: {allowed}")
    return len(packets)


def _neo() -> tuple[Any, Any]:
    """Return the package, and its unit of a second."""
    try:
        import neo
        import quantities
    except ImportError as error:
        raise MissingPackageError("Neo", "export spike trains", 'pip install "neuroclapp[neo]"') from error
    return neo, quantities.s

"""The two files of an export together: they must describe the same populations and the same clock."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from . import nir, rulefile, rulereader
from .clock import Clock
from .program import Program


def read(folder: Path) -> tuple[nir.Inference, Program]:
    """Read `network.nir` and `plasticity.json`; raise InputError where they do not belong together."""
    network, program = nir.read(folder), rulereader.read(folder)
    nodes = [network.input, *(one.soma for one in network.layers)]
    rules = [program.input, *(one.soma for one in program.layers)]
    for number, node in enumerate(nodes):
        if number >= len(rules) or rules[number] != node:
            found = rules[number] if number < len(rules) else None
            raise InputError(folder / rulefile.FILE, "layers", found, f"{nir.FILE} has {node} in this place")
    if len(rules) > len(nodes):
        raise InputError(folder / rulefile.FILE, "layers", rules[len(nodes)], f"{nir.FILE} has no such layer")
    same = Clock(program.clock.dt, program.clock.steps, program.clock.steps_on)
    if same != network.clock:
        raise InputError(folder / rulefile.FILE, "clock", vars(same), f"{nir.FILE} has {vars(network.clock)}")
    for layer, part in zip(network.layers, program.layers, strict=True):
        if (layer.bias is None) != (part.connection("bias") is None):
            raise InputError(
                folder / rulefile.FILE, "bias", part.soma.name, f"only one of it and {nir.FILE} has a bias"
            )
    return network, program


def read_layers(folder: Path, layers: Sequence[str] | None) -> tuple[nir.Inference, Program, tuple[int, ...]]:
    """Read both files and find layers by name, lowest first; None for all of them.

    Raises InputError that lists the names where one is absent, or where none is asked for.
    """
    network, program = read(folder)
    names = [one.soma.name for one in program.layers]
    wanted = names if layers is None else list(layers)
    strangers = [layer for layer in wanted if layer not in names]
    if strangers or not wanted:
        known = f"no such layer; known: {', '.join(names)}"
        raise InputError(folder / rulefile.FILE, "layer", strangers[0] if strangers else None, known)
    return network, program, tuple(sorted({names.index(layer) for layer in wanted}))

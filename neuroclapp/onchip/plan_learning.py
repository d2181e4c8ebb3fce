"""What a chip would hold of a network that learns: dense layers, each with a neuromodulator population.

A layer with separate gates has two. Each neuron folds its gamma into the traces that it writes, so that a
second gate needs no further trace and no further third factor of the learning engine; what it needs are the
neurons and synapses counted here, and that a soma tells the gammas of two release sites apart.
"""

from __future__ import annotations

from math import prod

from ..network import Layer, Network
from ..plasticity import clapp
from .demand import Population, Projection, Wiring, learning_layer
from .plan_wiring import Refused, Unrolled
from .products import rules


def unroll_learning(network: Network, modulators: int, listened: int) -> Unrolled:
    """Return what learning needs: the populations of dense layers, or what keeps a layer from learning."""
    refused = [_unlearnable(layer) for layer in network.scaled_layers if layer.kind != "dense"]
    names = [layer.name for layer in network.scaled_layers]
    if any(len(module.layers) > 1 for module in network.split()):
        first = next(module for module in network.split() if len(module.layers) > 1)
        refused.append(
            Refused(
                " + ".join(layer.name for layer in first.layers),
                "a module of several layers",
                "its lower layers learn from a gradient through those above, which no local rule has",
                f"modules = {[1] * len(names)}: every layer a module of its own",
            )
        )
    if refused:
        return Unrolled(Wiring((), ()), tuple(refused), 0, ())
    below = source = Population("input", "input", "input", prod(network.input))
    populations, projections = [source], list[Projection]()
    gates = clapp(network.prediction).gates
    plastic = [
        (rule.target, len(rule.products))
        for rule in rules(clapp(network.prediction))
        if rule.target != "bias"
    ]
    for layer in network.scaled_layers:
        soma = Population(layer.name, layer.name, "soma", layer.units)
        made = learning_layer(below, soma, plastic, modulators, min(listened, layer.units), gates)
        populations.extend(made.populations)
        projections.extend(made.projections)
        below = soma
    return Unrolled(Wiring(tuple(populations), tuple(projections)), (), len(names), ())


def _unlearnable(layer: Layer) -> Refused:
    if layer.kind == "gru":
        term = "gru: eligibility traces of Eqs. 15-18"
        why = "a synapse would carry a trace of its own that decays with its neuron's gate"
        return Refused(layer.name, term, why, "e-prop off the chip")
    return Refused(
        layer.name,
        f"{layer.kind}: learning a kernel",
        "a synapse changes by what its own two neurons show; a shared kernel would change everywhere alike",
        "kernels learned off the chip and --inference, or dense layers",
    )

"""Networks of one plastic connection in Lava's fixed point, many in one Lava run.

A network is a dict of plain values, beside its arrays:

    dw dd dt          text, or None
    x1 x2 y1 y2 y3    [impulse, tau]
    written           whether y1 y2 y3 are sent to it (Loihi3FLearningRule)
    epoch seed        steps; rng_seed
    payload graded    num_message_bits; number of the GradedSpikeCfg
    exponent weight_bits sign
    neurons           None, or what LIF, LIFReset or TernaryLIF takes, and "kind": their spikes come back
    recorded          whether the state after each step is kept

Arrays: weights, tags, delays (post, pre); spikes (steps, pre), back (steps, post), written (steps, 3, post).

`neuroclapp.onchip.lava.shim.import_lava` must have been called before this module is imported.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from lava.magma.core.learning.constants import GradedSpikeCfg
from lava.magma.core.learning.learning_rule import Loihi2FLearningRule, Loihi3FLearningRule
from lava.proc.dense.process import LearningDense
from lava.proc.lif.process import LIF, LIFReset, TernaryLIF
from lava.utils.weightutils import SignMode

from .processes.fixed_point import RecordedDense, Stimulus

_KINDS = {"lif": LIF, "reset": LIFReset, "ternary": TernaryLIF}
_SIGNS = {"mixed": SignMode.MIXED, "excitatory": SignMode.EXCITATORY, "inhibitory": SignMode.INHIBITORY}
_TRACES = ("x1", "x2", "y1", "y2", "y3")


def build(network: dict[str, Any], arrays: dict[str, Any], folder: Path, name: str) -> Stimulus:
    """Build one network; a run leaves ``{name}.stimulus.npz`` and, if recorded, ``{name}.dense.npz``."""
    steps = len(arrays["spikes"])
    stimulus = Stimulus(
        arrays["spikes"], arrays["back"], arrays["written"], folder / f"{name}.stimulus.npz", name=name
    )
    kept = {"steps": steps, "path": str(folder / f"{name}.dense.npz")} if network["recorded"] else {}
    dense = (RecordedDense if kept else LearningDense)(
        weights=arrays["weights"],
        tag_1=arrays["tags"],
        tag_2=arrays["delays"],
        learning_rule=learning_rule(network),
        num_message_bits=network["payload"],
        graded_spike_cfg=GradedSpikeCfg(network["graded"]),
        weight_exp=network["exponent"],
        num_weight_bits=network["weight_bits"],
        sign_mode=_SIGNS[network["sign"]],
        name=f"{name}_dense",
        **kept,
    )
    stimulus.s_out.connect(dense.s_in)
    dense.a_out.connect(stimulus.a_in)
    if network["written"]:
        for trace in ("y1", "y2", "y3"):
            getattr(stimulus, f"{trace}_out").connect(getattr(dense, f"s_in_{trace}"))
    if network["neurons"] is None:
        stimulus.back_out.connect(dense.s_in_bap)
    else:
        options = dict(network["neurons"])
        kind = _KINDS[options.pop("kind")]
        neurons = kind(shape=(arrays["back"].shape[1],), name=f"{name}_neurons", **options)
        dense.a_out.connect(neurons.a_in)
        neurons.s_out.connect(dense.s_in_bap)
        neurons.s_out.connect(stimulus.z_in)
    return stimulus


def learning_rule(network: dict[str, Any]) -> Any:
    """Return Lava's rule of a network."""
    given = {key: network[key] for key in ("dw", "dd", "dt")}
    keys = ("impulse", "tau")
    traces = {name: {f"{name}_{key}": network[name][n] for n, key in enumerate(keys)} for name in _TRACES}
    pre, post = traces["x1"] | traces["x2"], traces["y1"] | traces["y2"] | traces["y3"]
    clock = {"t_epoch": network["epoch"], "rng_seed": network["seed"]}
    if not network["written"]:
        return Loihi2FLearningRule(**given, **pre, **post, **clock)
    rule = Loihi3FLearningRule(**given, **pre, **clock)
    for key, value in post.items():
        setattr(rule, key, value)
    return rule


def join(networks: list[Stimulus]) -> Stimulus:
    """Join networks so that Lava runs them together, and return the one to call."""
    for one, following in itertools.pairwise(networks):
        one.token_out.connect(following.token_in)
    return networks[0]

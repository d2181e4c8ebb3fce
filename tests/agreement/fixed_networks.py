"""Random networks of one plastic connection, for Lava's fixed point and for the interpreter.

``draw_network`` returns what `neuroclapp.onchip.lava.fixed_point` reads, and its arrays; ``interpret`` runs
the same on the interpreter step by step, ``at_once`` all steps together; ``mismatches`` counts numbers that
differ, by name.
"""

from __future__ import annotations

import numpy as np

from neuroclapp.onchip import series
from neuroclapp.onchip.interpreter import LIF, Learning, PlasticDense, Rule, Trace, loop, run
from neuroclapp.onchip.interpreter.traces import GRADED
from neuroclapp.onchip.series import Operand, Term

SIGNS = ("mixed", "excitatory", "inhibitory")
KINDS = ("lif", "reset", "ternary")
NAMES = ("weights", "tag_1", "tag_2", "x1", "x2", "y1", "y2", "y3", "arriving", "fired")


def draw_terms(draw, clock, most=3):
    """Return 1 .. ``most`` products of 0 .. 4 factors, most of them with powers that stay in range."""
    terms = []
    for _ in range(draw.integers(1, most + 1)):
        operands = []
        for _ in range(draw.choice([0, 1, 2, 2, 3, 4])):
            name = str(draw.choice(series.VARIABLES))
            some, far = draw.integers(-130, 131), draw.integers(-(2**15), 2**15)
            constant = int(draw.choice([0, 0, 0, 0, -64, some, some, far]))
            sign = name in series.SYNAPTIC and draw.random() < 0.3
            operands.append(Operand(name, constant, bool(sign)))
        low, high = (-7, 8) if draw.random() < 0.2 else (-7, 1)
        mantissa = int(draw.integers(-8, 8))
        dependency = str(draw.choice(["x0", "x0", "y0", f"u{clock}"]))
        terms.append(Term(mantissa, int(draw.integers(low, high + 1)), dependency, tuple(operands)))
    return tuple(terms)


def draw_trace(draw):
    tau = draw.choice([0.0, 1.0, 2.0, 3.5, 10.0, 40.0, 2.0**60, draw.uniform(0.5, 100)])
    impulse = draw.choice([0.0, 1.0, 16.0, 30.5, 127.0, draw.uniform(0, 140)])
    return [float(impulse), float(tau)]


def draw_network(seed, steps):
    """Return a network and its arrays; equal seeds give equal networks."""
    draw = np.random.default_rng([seed, 20261125])
    post, pre = (int(n) for n in draw.integers(1, 9 if draw.random() < 0.9 else 41, 2))
    clock = int(draw.integers(0, 4))
    which = draw.choice(["dw", "dw", "dw dt", "dw dd dt", "dd", "dt", "dw dd"]).split()
    written = bool(draw.random() < 0.5)
    rules = {key: series.text(draw_terms(draw, clock)) for key in which}
    network = {key: rules.get(key) for key in ("dw", "dd", "dt")}
    network |= {name: draw_trace(draw) for name in ("x1", "x2", "y1", "y2", "y3")}
    if written and draw.random() < 0.5:  # as Lava sets them itself
        network |= {name: [0.0, 65535.0] for name in ("y1", "y2", "y3")}
    sign = str(draw.choice(SIGNS))
    network |= {
        "written": written,
        "epoch": int(draw.choice([1, 1, 1, 2, 3, 5, 16])),
        "seed": int(draw.integers(1, 2**31 - 10)),
        "payload": int(draw.choice([0, 8])),
        "graded": int(draw.integers(0, 4)),
        "exponent": int(draw.choice([0, 0, 1, 3, -1, -4, 20])),
        "weight_bits": int(draw.choice([8, 8, 8, 6, 3, 1])),
        "sign": sign,
        "neurons": None,
        "recorded": True,
    }
    if draw.random() < 0.4:
        network["neurons"] = draw_neurons(draw)
    low, high = {"mixed": (-256, 256), "excitatory": (0, 256), "inhibitory": (-255, 1)}[sign]
    if draw.random() < 0.1:
        low, high = -700, 700  # beyond the word, and of the wrong sign
    rate = draw.choice([0.05, 0.2, 0.6, 1.0])
    shape = (steps, pre)
    spikes = (draw.random(shape) < rate) * draw.integers(1, draw.choice([2, 3, 256, 5000]), shape)
    written_range = [(0, 128), (-128, 128), (-300, 300)][draw.integers(0, 3)]
    arrays = {
        "weights": draw.integers(low, high, (post, pre)),
        "tags": draw.integers(-257, 256, (post, pre)) * int(draw.integers(0, 2)),
        "delays": draw.integers(0, draw.choice([64, 300]), (post, pre)),
        "spikes": spikes,
        "back": draw.random((steps, post)) < draw.choice([0.05, 0.3, 1.0]),
        "written": draw.integers(*written_range, (steps, 3, post)),
    }
    return network, {name: np.asarray(value).astype(np.int32) for name, value in arrays.items()}


def draw_neurons(draw):
    kind = str(draw.choice(KINDS))
    options = {
        "kind": kind,
        "du": int(draw.choice([0, 409, 4095, draw.integers(0, 4096)])),
        "dv": int(draw.choice([0, 128, 4095, draw.integers(0, 4096)])),
        "bias_mant": int(draw.integers(-4096, 4096)) if draw.random() < 0.5 else 0,
        "bias_exp": int(draw.integers(-3, 8)),
    }
    if kind == "ternary":
        return options | {"vth_hi": int(draw.integers(1, 500)), "vth_lo": int(draw.integers(-500, 0))}
    options["vth"] = int(draw.choice([1, 100, 1000, draw.integers(0, 131072)]))
    if kind == "reset":
        options |= {"reset_interval": int(draw.integers(1, 20)), "reset_offset": int(draw.integers(0, 25))}
    return options


def synapses(network):
    """Return the interpreter's synapses of a network."""
    traces = {name: Trace(*network[name]) for name in ("x1", "x2", "y1", "y2", "y3")}
    rule = Rule.parse(network["dw"], network["dd"], network["dt"])
    learning = Learning(
        rule, **traces, written=network["written"], epoch=network["epoch"], seed=network["seed"]
    )
    return PlasticDense(
        learning,
        payload=network["payload"] > 0,
        graded=GRADED[network["graded"]],
        exponent=network["exponent"],
        weight_bits=network["weight_bits"],
        sign=network["sign"],
    )


def neurons(network):
    """Return the interpreter's neurons of a network, None where its spikes come from the arrays."""
    options = network["neurons"]
    if options is None:
        return None
    return LIF(
        vth=options.get("vth", options.get("vth_hi")),
        du=options["du"],
        dv=options["dv"],
        mantissa=options["bias_mant"],
        exponent=options["bias_exp"],
        vth_low=options.get("vth_lo"),
        interval=options.get("reset_interval", 0),
        offset=options.get("reset_offset", 0),
    )


def interpret(network, arrays):
    """Return what Lava's side records: the state after each step, what arrived, what the neurons fired."""
    dense, cells = synapses(network), neurons(network)
    state = dense.start(arrays["weights"], arrays["tags"], arrays["delays"])
    membrane = cells.start(arrays["weights"].shape[0]) if cells else None
    kept = {name: [] for name in NAMES}
    for spikes, back, written in zip(arrays["spikes"], arrays["back"], arrays["written"], strict=True):
        fired = np.zeros_like(back)
        if cells:
            fired = back = cells.step(membrane, state.pending)
        arriving = dense.step(state, spikes, back, written)
        for name, value in zip(
            NAMES,
            (state.w, state.t, state.d, *state.x, *state.y, arriving, fired),
            strict=True,
        ):
            kept[name].append(value.copy())
    return {name: np.stack(values) for name, values in kept.items()}


def at_once(network, arrays):
    """Return the same of all steps taken together, the state after the last one only."""
    dense, cells = synapses(network), neurons(network)
    state = dense.start(arrays["weights"], arrays["tags"], arrays["delays"])
    if cells is not None and not network["written"]:
        arriving, fired = loop(dense, state, cells, cells.start(len(arrays["weights"])), arrays["spikes"])
        found = {"arriving": arriving, "fired": fired}
    elif cells is None:
        found = {"arriving": run(dense, state, arrays["spikes"], arrays["back"], arrays["written"])}
    else:
        return {}
    last = zip(NAMES, (state.w, state.t, state.d, *state.x, *state.y), strict=False)
    return found | {name: value[None] for name, value in last}


def mismatches(found, expected):
    """Return how many numbers differ by name, in the last steps if not in all, and how many were compared."""
    wrong = {name: int((found[name] != expected[name][-len(found[name]) :]).sum()) for name in found}
    return {name: n for name, n in wrong.items() if n}, sum(value.size for value in found.values())

"""Watching simulations while they learn: the figures of the walk through a record, and more values."""

import numpy as np
import pytest
import torch
from agreement.small_spiking import VALUES, initial, network, spiking_network, stream

from neuroclapp.analysis.agreement import Comparison
from neuroclapp.analysis.watching import Watch
from neuroclapp.errors import InputError
from neuroclapp.plasticity import Control
from neuroclapp.spiking.drawn import draw
from neuroclapp.spiking.engine import Engine, Simulation
from neuroclapp.spiking.grid import rounded
from neuroclapp.weights import Weights

COUNT, SEEDS = 60, (0, 1)
#: The walk shuffles gates otherwise, and knows of no weights that happened.
OTHERWISE = ("shuffled_gamma_cosine", "largest_weight_mismatch")


def on_grid(weights, made):
    return Weights({name: rounded(array, made.grid) for name, array in weights.items()})


def watched(net, made, control=None, parts=(COUNT,), again=False):
    """Run two simulations side by side, watched, in stretches; ``again``: a new watch takes up each."""
    weights = [on_grid(initial(net, seed), made) for seed in SEEDS]
    watch, first, states = Watch(made, weights), 0, [None] * len(SEEDS)
    starts, records = weights, []
    streams = [stream(COUNT, seed) for seed in SEEDS]
    for last in parts:
        if again and first:
            arrays = watch.arrays()
            watch = Watch(made, starts)
            watch.restore(arrays)
        shown = [each[first:last] for each in streams]
        watch.begin(shown)
        simulations = [
            Simulation(part, w, state, control or Control(), draw(made, part, np.random.default_rng(first)))
            for part, w, state in zip(shown, weights, states, strict=True)
        ]
        stretches = Engine(made).run_many(simulations, watch)
        watch.end([each.record for each in stretches], [np.random.default_rng(first) for _ in SEEDS])
        weights, states = [each.weights for each in stretches], [each.state for each in stretches]
        records.append(stretches)
        first = last
    return watch, records, starts, streams


@pytest.mark.parametrize(
    ("feedback", "gate"),
    [("symmetric", "shared"), ("blocked", "shared"), ("split", "shared"), ("split", "separate")],
)
def test_watching_finds_what_a_walk_through_the_record_finds(feedback, gate):
    """Where dendrites are plateaus both ways are open: a second implementation, of torch and of sums.

    Weights on the grid differ from those rebuilt by some 2^-24.
    """
    net = network(feedback, bias=True, gate=gate)
    made = spiking_network(net, VALUES["packet"])
    watch, [stretches], starts, streams = watched(net, made)
    for number in range(len(SEEDS)):
        walk = Comparison(net, made, starts[number], np.random.default_rng(0))
        walk.walk(streams[number], stretches[number].record, stretches[number].weights)
        expected, found = walk.summary(), watch.summary(number)
        for name, value in expected.items():
            if name in OTHERWISE:
                continue
            for key, figure in value.items() if isinstance(value, dict) else [(None, value)]:
                ours = found[name] if key is None else found[name][key]
                np.testing.assert_allclose(ours, figure, rtol=0, atol=2e-5, err_msg=f"{name} {key}")
        assert ("gate_agreement_by_gate" in found) == (gate == "separate")
        counts = [layer.count.mean() for layer in stretches[number].record.layers]
        assert found["spikes"] == pytest.approx(counts)


@pytest.mark.parametrize("value", ["decaying", "all"])
def test_a_walk_is_refused_where_counts_do_not_tell_the_changes(value):
    net = network()
    with pytest.raises(InputError, match="decaying"):
        Comparison(net, spiking_network(net, VALUES[value]), initial(net), np.random.default_rng(0))


def test_the_spiking_side_is_the_change_that_happened():
    """Against the rate rule by autograd in the last presentation's place: one open gate, one update."""
    net = network("symmetric")
    made = spiking_network(net, VALUES["packet"])
    _, _, starts, streams = watched(net, made)
    w = {name: torch.tensor(array) for name, array in starts[0].items()}
    x = torch.tensor(streams[0].inputs[:2])
    for name in ("a", "b"):
        w_ff = w[f"{name}.w_ff"].clone().requires_grad_()
        z = torch.relu(x @ w_ff.T)
        score = z[1] @ w[f"{name}.w_pred"] @ z[0]
        torch.relu(1 - score).backward()
        alone = Watch(made, [starts[0]])
        alone.begin([streams[0][:2]])
        one = Engine(made).run_many([Simulation(streams[0][:2], starts[0])], alone)
        alone.end([one[0].record], [np.random.default_rng(0)])
        np.testing.assert_allclose(alone.sums[f"{name}.w_ff"][0, 0], -w_ff.grad.numpy(), atol=1e-12)
        x = z.detach()


@pytest.mark.parametrize(
    ("name", "gate"),
    [("decaying", "shared"), ("leaky", "shared"), ("poisson", "shared"), ("decaying", "separate")],
)
def test_a_watch_that_is_taken_up_goes_on_to_the_same_bits(name, gate):
    net = network(gate=gate)
    made = spiking_network(net, VALUES[name])
    whole, *_ = watched(net, made, parts=(20, 40, COUNT))
    resumed, *_ = watched(net, made, parts=(20, 40, COUNT), again=True)
    assert whole.summary(1) == resumed.summary(1)
    cosines = np.array(whole.summary(1)["accumulated_cosine"]["w_ff"])
    assert ((cosines > 0.3) & (cosines < 0.99999)).all()


def test_gamma_always_on_does_not_follow_the_rule():
    net = network()
    made = spiking_network(net, VALUES["packet"])
    rule, *_ = watched(net, made)
    control, *_ = watched(net, made, Control(always_open=True))
    assert min(rule.summary(0)["gate_agreement"]) > 0.85
    assert max(control.summary(0)["gate_agreement"]) < min(rule.summary(0)["gate_agreement"])

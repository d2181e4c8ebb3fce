"""Layers with two modulators, one for each score of a split W_pred (Eqs. 10-14), in every spiking world."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement.oracle import simulate
from agreement.small_spiking import BASE, UNITS, VALUES, network, stream
from agreement.test_disturbances import CONTROLS, UNRELIABLE, drawn_weights, made_of, uneven
from agreement.test_engine import mismatches

from neuroclapp.network import Prediction
from neuroclapp.plasticity import Control, permuted_dendrites
from neuroclapp.spiking.drawn import draw
from neuroclapp.spiking.engine import Engine, Simulation
from neuroclapp.spiking.populations import Modulator, Timing

SEPARATE = Prediction("split", "separate")
GATES = ("gamma", "total", "gamma_retro", "total_retro")


def two_gates(bias=False):
    return replace(network(bias=bias), prediction=SEPARATE)


def disagree(stretch):
    """Return in how many pairs the two gates of the layers differ."""
    return sum(int((layer.gamma != layer.gamma_retro).sum()) for layer in stretch.record.layers)


def assert_like_the_oracle(found, expected):
    for ours, theirs in zip(found.record.layers, expected.layers, strict=True):
        for name in ("count", *(name for name in GATES if len(getattr(theirs, name)))):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    for name, array in found.weights.items():
        np.testing.assert_allclose(array, expected.weights[name], rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["as it is", "loss_and_jitter", "noise", "failure"])
def test_the_engine_learns_like_the_oracle(name, library):
    net = two_gates(bias=name != "noise")
    made = made_of(net, replace(UNRELIABLE.get(name, BASE), grid=None))
    weights, shown = drawn_weights(net), stream(30)
    drawn = draw(made, shown, np.random.default_rng(1))
    for learn in (True, False):
        found = Engine(made, library, "cpu", at_once=7).run(shown, weights, learn=learn, drawn=drawn)
        expected = simulate(made, weights, shown.inputs, shown.sign, learn=learn, drawn=drawn)
        assert_like_the_oracle(found, expected)
        assert disagree(found) > 2
        assert {-1.0, 0.0, 1.0} == set(np.concatenate([layer.gamma_retro for layer in found.record.layers]))


@pytest.mark.parametrize("name", ["mean", "constant", "absent", "late", "permuted"])
def test_controls_are_like_the_oracle(name):
    net, shown = two_gates(), stream(24)
    made, weights = made_of(net, replace(BASE, grid=None)), drawn_weights(net)
    control = CONTROLS.get(name) or permuted_dendrites(24, 2, UNITS, np.random.default_rng(5))
    values = {key: getattr(control, key) for key in ("permutations", "dendrite", "level", "delay")}
    expected = simulate(made, weights, shown.inputs, shown.sign, **values)
    assert_like_the_oracle(Engine(made).run(shown, weights, control=control), expected)


def test_with_direct_feedback_only_the_top_layer_has_two_gates():
    net = replace(uneven("split", bias=True), prediction=SEPARATE)
    made, weights, shown = (
        made_of(net, replace(BASE, grid=None), "top"),
        drawn_weights(net, "top"),
        stream(30),
    )
    found = Engine(made).run(shown, weights)
    assert [layer.gates for layer in made.layers] == [("gamma",), ("gamma", "gamma_retro")]
    assert [layer.is_separate for layer in found.record.layers] == [False, True]
    assert_like_the_oracle(found, simulate(made, weights, shown.inputs, shown.sign))


def test_gates_that_are_always_open_take_the_sign_both():
    net, shown = two_gates(), stream(10)
    found = Engine(made_of(net, BASE)).run(shown, drawn_weights(net), control=Control(always_open=True))
    for layer in found.record.layers:
        np.testing.assert_array_equal(layer.gamma, shown.sign)
        np.testing.assert_array_equal(layer.gamma_retro, shown.sign)


def test_the_first_modulator_is_the_one_that_shared_gates_have():
    """The second one is wired, and its noise drawn, without touching what a shared gate has."""
    shared, separate = made_of(network(), UNRELIABLE["noise"]), made_of(two_gates(), UNRELIABLE["noise"])
    for one, two in zip(shared.layers, separate.layers, strict=True):
        first, second = np.split(two.listens, 2)
        np.testing.assert_array_equal(one.listens, first)
        assert not np.array_equal(first, second)
        np.testing.assert_allclose(second.reshape(2, -1, UNITS).mean(1), 1.0, atol=2.0**-12)


@pytest.mark.parametrize("name", ["packet", "decaying", "all"])
def test_simulations_side_by_side_are_each_like_one_alone(name):
    net = two_gates(bias=True)
    made = made_of(net, VALUES[name])
    streams = [stream(12, seed) for seed in range(3)]
    drawn = [draw(made, each, np.random.default_rng(n)) for n, each in enumerate(streams)]
    controls = [Control(), Control(delay=1), Control(dendrite="mean")]
    simulations = [
        Simulation(streams[n], drawn_weights(net, seed=n), None, controls[n], drawn[n]) for n in range(3)
    ]
    alone = [
        Engine(made).run(each.stream, each.weights, control=each.control, drawn=each.drawn)
        for each in simulations
    ]
    for library in ("numpy", "torch"):
        together = Engine(made, library, "cpu").run_many(simulations)
        assert [mismatches(*pair) for pair in zip(together, alone, strict=True)] == [0, 0, 0]
    one = simulations[1]
    half = Engine(made).run(one.stream[:5], one.weights, control=one.control, drawn=one.drawn[:5])
    assert half.state.layers[0].pending.shape == (2, 1)
    rest = Engine(made).run(
        one.stream[5:], half.weights, half.state, control=one.control, drawn=one.drawn[5:]
    )
    assert all(np.array_equal(rest.weights[key], alone[1].weights[key]) for key in half.weights)


def gradient(sign, x, x_context, w_ff, a_context, w_pred, w_retro, d):
    """Minus the gradient of Eq. 10 at one layer by autograd, and its two scores.

    ``d`` and ``a_context`` are as they stood in the context's presentation, before the weights changed.
    """
    w = {"w_ff": w_ff, "w_pred": w_pred, "w_retro": w_retro}
    w = {name: torch.tensor(array, requires_grad=True) for name, array in w.items()}
    x, x_context, a_context, d = map(torch.tensor, (x, x_context, a_context, d))
    still = {name: each.detach() for name, each in w.items()}
    z = torch.relu(w["w_ff"] @ x)
    c = torch.relu(a_context + (w["w_ff"] - still["w_ff"]) @ x_context)
    prediction = d + (w["w_pred"] - still["w_pred"]) @ c.detach()
    scores = z @ prediction, c @ (w["w_retro"] @ z.detach())
    loss = sum(torch.relu(1 - sign * score) for score in scores) / 2
    loss.backward()
    return {name: -each.grad.numpy() for name, each in w.items()}, [score.item() for score in scores]


def test_single_changes_follow_the_gradient_of_equation_10():
    """Regular input, fine spikes, 300 steps; on the same weights, in both layers."""
    fine = Modulator(units=32, fan_in=6, resolution=64.0, tonic=2000, burst=10000)
    timing = Timing(duration=0.3, flush=0.01)
    spiking = replace(BASE, timing=timing, neurons=64, input_gain=64.0, gain=(32.0, 32.0), modulator=fine)
    net, shown = two_gates(), stream(60)
    made, weights = made_of(net, replace(spiking, grid=None)), drawn_weights(net)
    kept = [{name: np.array(weights[name]) for name in weights}]
    [found] = Engine(made).run_many(
        [Simulation(shown, weights)],
        lambda w: kept.append({name: each[0].copy() for name, each in w.items()}),
    )
    cosines, gates = {name: [] for name in weights}, []
    before = {}
    for n, (sign, x) in enumerate(zip(shown.sign, shown.inputs, strict=True)):
        for index, name in enumerate("ab"):
            w = {key: kept[n][f"{name}.{key}"] for key in ("w_ff", "w_pred", "w_retro")}
            a = w["w_ff"] @ x
            if name in before:
                x_context, a_context, d = before[name]
                wanted, scores = gradient(
                    float(sign), x, x_context, w["w_ff"], a_context, *list(w.values())[1:], d
                )
                layer = found.record.layers[index]
                ours = layer.gamma[n], layer.gamma_retro[n]
                gates += [(bool(gamma), sign * u < 1) for gamma, u in zip(ours, scores, strict=True)]
                if all(bool(gamma) == (sign * u < 1) for gamma, u in zip(ours, scores, strict=True)):
                    for key, theirs in wanted.items():
                        change = kept[n + 1][f"{name}.{key}"] - kept[n][f"{name}.{key}"]
                        assert change.any() == theirs.any()
                        if theirs.any():
                            norm = np.linalg.norm(change) * np.linalg.norm(theirs)
                            cosines[f"{name}.{key}"].append(float((change * theirs).sum() / norm))
            before[name] = x, a, w["w_pred"] @ np.maximum(a, 0)
            x = np.maximum(a, 0)
    assert np.mean([ours == theirs for ours, theirs in gates]) > 0.98
    assert disagree(found) > 5
    for name, each in cosines.items():
        assert len(each) > 20, name
        assert np.mean(each) > 0.999, name


@pytest.mark.parametrize("name", ["packet", "neurons", "decaying", "leaky_alone", "all", "disturbed"])
def test_brian2_equals_the_engine(name):
    """Without a compiler: 16 presentations, two layers, learning: no spike, gate or weight differs."""
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import run_steps

    net, shown = two_gates(bias=name in ("packet", "neurons", "leaky_alone")), stream(16)
    made, weights = made_of(net, VALUES.get(name) or UNRELIABLE["all"]), drawn_weights(net)
    drawn = draw(made, shown, np.random.default_rng(1))
    expected = Engine(made).run(shown, weights, drawn=drawn)
    found, model = run_steps(made, shown, weights, drawn=drawn)
    assert disagree(expected) > 2
    assert all(np.abs(expected.weights[key] - weights[key]).max() > 1e-3 for key in weights)
    assert mismatches(found, expected) == 0
    assert set(model.monitors["soma1_steps"].record_variables) == {"apical", "gamma", "gamma_retro"}


@pytest.mark.parametrize(
    ("name", "value"),
    [("mean", "packet"), ("constant", "packet"), ("permuted", "packet"), ("permuted", "decaying")],
)
def test_brian2_equals_the_engine_under_controls(name, value):
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import run_steps

    net, shown = two_gates(), stream(10)
    made, weights = made_of(net, VALUES[value]), drawn_weights(net)
    control = CONTROLS.get(name) or permuted_dendrites(10, 2, UNITS, np.random.default_rng(5))
    expected = Engine(made).run(shown, weights, control=control)
    found, _ = run_steps(made, shown, weights, control=control, steps=False)
    assert mismatches(found, expected) == 0
    assert mismatches(found, Engine(made).run(shown, weights)) > 0


@pytest.mark.slow
def test_a_compiled_program_equals_the_engine(tmp_path):
    """C++: stretches of 4 and one of 3, with everything that is unreliable."""
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import CompiledNetwork, run_all

    net, shown = two_gates(bias=True), stream(11)
    made, weights = made_of(net, UNRELIABLE["all"]), drawn_weights(net)
    drawn = draw(made, shown, np.random.default_rng(1))
    expected = Engine(made).run(shown, weights, drawn=drawn)
    kept = []
    compiled = CompiledNetwork(made, 4, tmp_path / "build", permutable=True)
    found, _ = run_all(compiled, shown, weights, drawn=drawn, after=lambda done, each: kept.append(each))
    for index, layer in enumerate(expected.record.layers):
        for name in ("count", *GATES):
            ours = np.concatenate([getattr(each.record.layers[index], name) for each in kept])
            np.testing.assert_array_equal(ours, getattr(layer, name), err_msg=name)
    assert all(np.array_equal(found[name], expected.weights[name]) for name in found)

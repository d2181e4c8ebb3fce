"""What can be done to rule and spikes: the oracle, the engine and Brian2 do the same."""

from dataclasses import replace

import numpy as np
import pytest
from agreement.oracle import simulate
from agreement.small_spiking import BASE, UNITS, initial, network, stream
from agreement.test_engine import mismatches, opens_and_learns

from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.onchip.export import check as check_export
from neuroclapp.plasticity import Control, permuted_dendrites
from neuroclapp.spiking.drawn import draw
from neuroclapp.spiking.engine import Engine, Simulation
from neuroclapp.spiking.mapping import populations
from neuroclapp.spiking.populations import Timing
from neuroclapp.spiking.variants import Axon, Decaying, Leaky, Poisson
from neuroclapp.weights import Initial, Weights

STEP = BASE.timing.dt
LATE = replace(BASE, timing=Timing(duration=0.02, flush=0.015))
LOST = Axon(loss=0.3)
#: What spikes and modulators suffer.
UNRELIABLE = {
    "loss": replace(BASE, axon=LOST, input_axon=Axon(loss=0.1)),
    "loss_of_input": replace(BASE, input_axon=LOST),
    "jitter": replace(LATE, axon=Axon(jitter=3 * STEP), input_axon=Axon(jitter=2 * STEP)),
    "loss_and_jitter": replace(LATE, axon=Axon(0.2, 2 * STEP), input_axon=Axon(0.2, STEP)),
    "loss_and_jitter_of_neurons": replace(LATE, axon=Axon(0.2, 2 * STEP), unit="neurons"),
    "loss_of_poisson": replace(LATE, code=Poisson(), input_axon=Axon(0.2, STEP), axon=LOST),
    "loss_with_hard_reset": replace(
        BASE, axon=LOST, neuron=Leaky(tau=0.03, reset="zero"), neurons=1, gain=(8.0, 8.0)
    ),
    "noise": replace(BASE, modulator=replace(BASE.modulator, noise=0.5, common_noise=0.2)),
    "failure": replace(BASE, modulator=replace(BASE.modulator, failure=0.4)),
    "all": replace(
        LATE,
        axon=Axon(0.2, 2 * STEP),
        input_axon=Axon(0.1, STEP),
        modulator=replace(BASE.modulator, noise=0.3, common_noise=0.1, failure=0.2),
        dendrite=Decaying(tau=0.05),
    ),
}
#: What is done to dendrites and gamma.
CONTROLS = {
    "mean": Control(dendrite="mean"),
    "constant": Control(dendrite="constant", level=0.25),
    "absent": Control(dendrite="absent"),
    "late": Control(delay=1),
    "later": Control(delay=2),
    "always_open_and_late": Control(always_open=True, bound=0.75, delay=1),
}


def made_of(net, spiking, context="own", eta=0.12):
    return populations(net, spiking, (eta, eta), (eta, eta), np.random.default_rng(2), context)


def uneven(feedback, bias=False):
    """Layers of 6 and 4 units, so that W_pred from the top is not square."""
    layers = (Layer("a", 6, bias=bias), Layer("b", 4, bias=bias))
    return Network("uneven", (9,), layers, prediction=Prediction(feedback))


def drawn_weights(net, context="own", seed=3):
    weights = Initial(w_ff=2.0, w_pred=3.0, w_retro=2.0).draw(net, np.random.default_rng(seed), context)
    return Weights({name: array + 0.3 * name.endswith("bias") for name, array in weights.items()})


def assert_like_the_oracle(found, expected):
    np.testing.assert_array_equal(found.record.input_count, expected.input_count)
    for ours, theirs in zip(found.record.layers, expected.layers, strict=True):
        for name in ("count", "gamma", "total"):
            np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
        np.testing.assert_allclose(ours.charge, theirs.charge, atol=1e-10)
    for name, array in found.weights.items():
        np.testing.assert_allclose(array, expected.weights[name], rtol=0, atol=1e-12, err_msg=name)


ORACLE = ["loss", "loss_of_input", "jitter", "loss_and_jitter", "noise", "failure"]


@pytest.mark.parametrize("name", ORACLE)
def test_unreliable_spikes_and_modulators_like_the_oracle(name):
    net = network(bias=name == "loss_and_jitter")
    made, weights, shown = made_of(net, replace(UNRELIABLE[name], grid=None)), drawn_weights(net), stream(20)
    drawn = draw(made, shown, np.random.default_rng(1))
    found = Engine(made).run(shown, weights, drawn=drawn)
    assert_like_the_oracle(found, simulate(made, weights, shown.inputs, shown.sign, drawn=drawn))
    reliable = Engine(made_of(net, replace(BASE, grid=None))).run(shown, weights)
    assert opens_and_learns(found, {key: weights[key] for key in weights if "bias" not in key})
    assert not np.array_equal(found.weights["b.w_ff"], reliable.weights["b.w_ff"])


@pytest.mark.parametrize("feedback", ["symmetric", "blocked", "split"])
@pytest.mark.parametrize("name", list(CONTROLS))
def test_controls_like_the_oracle(name, feedback):
    net, control = network(feedback), CONTROLS[name]
    made, weights, shown = made_of(net, replace(BASE, grid=None)), drawn_weights(net), stream(24)
    found = Engine(made).run(shown, weights, control=control)
    if control.always_open:
        np.testing.assert_array_equal(found.record.layers[0].gamma[1:], shown.sign[:-1])
        assert np.abs(found.weights["a.w_ff"]).max() <= 0.75
        return
    expected = simulate(
        made,
        weights,
        shown.inputs,
        shown.sign,
        dendrite=control.dendrite,
        level=control.level,
        delay=control.delay,
    )
    assert_like_the_oracle(found, expected)
    assert np.array_equal(found.weights["a.w_ff"], weights["a.w_ff"]) == (name == "absent")


@pytest.mark.parametrize("feedback", ["symmetric", "blocked", "split"])
def test_direct_feedback_like_the_oracle(feedback):
    """W_pred of the lower layer is (6, 4); only the top layer has a second half."""
    net = uneven(feedback, bias=True)
    made, weights = made_of(net, replace(BASE, grid=None), "top"), drawn_weights(net, "top")
    shown = stream(30)
    found = Engine(made).run(shown, weights)
    assert weights["a.w_pred"].shape == (6, 4)
    assert "a.w_retro" not in weights
    assert_like_the_oracle(found, simulate(made, weights, shown.inputs, shown.sign))
    assert opens_and_learns(found, weights)


def test_simulations_under_several_controls_side_by_side_are_each_like_one_alone():
    net = network()
    made, shown, weights = made_of(net, UNRELIABLE["all"]), stream(12), drawn_weights(net)
    drawn = draw(made, shown, np.random.default_rng(1))
    controls = [*CONTROLS.values(), Control(), permuted_dendrites(12, 2, UNITS, np.random.default_rng(5))]
    together = Engine(made).run_many([Simulation(shown, weights, None, each, drawn) for each in controls])
    for control, stretch in zip(controls, together, strict=True):
        alone = Engine(made).run(shown, weights, control=control, drawn=drawn)
        assert mismatches(stretch, alone) == 0
        half = Engine(made, "torch", "cpu").run(shown[:5], weights, None, True, control[:5], drawn[:5])
        rest = Engine(made).run(shown[5:], half.weights, half.state, True, control[5:], drawn[5:])
        assert all(np.array_equal(rest.weights[key], alone.weights[key]) for key in weights)
    assert len({float(stretch.weights["b.w_pred"].sum()) for stretch in together}) == len(controls)


@pytest.mark.parametrize("name", ["late", "mean", "constant"])
def test_without_learning_controls_act_as_with_a_rate_of_0(name):
    net = network()
    made, shown, weights = made_of(net, UNRELIABLE["all"]), stream(11), drawn_weights(net)
    still = replace(made, layers=tuple(replace(layer, eta=0.0, eta_pred=0.0) for layer in made.layers))
    drawn, control = draw(made, shown, np.random.default_rng(1)), CONTROLS[name]
    expected = Engine(still).run(shown, weights, control=control, drawn=drawn)
    found = Engine(made, at_once=4).run(shown, weights, learn=False, control=control, drawn=drawn)
    assert mismatches(found, expected) == 0


#: Those that the others are made of take longer to hold to Brian2 once more.
QUICK = ["loss_and_jitter", "loss_and_jitter_of_neurons", "loss_of_poisson", "loss_with_hard_reset", "all"]
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in UNRELIABLE if name not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_brian2_equals_the_engine_where_spikes_and_modulators_are_unreliable(name):
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import run_steps

    net = network(bias=name in ("loss_and_jitter", "loss_and_jitter_of_neurons"))
    made, weights, shown = made_of(net, UNRELIABLE[name]), drawn_weights(net), stream(12)
    drawn = draw(made, shown, np.random.default_rng(1))
    expected = Engine(made).run(shown, weights, drawn=drawn)
    found, _ = run_steps(made, shown, weights, steps=False, drawn=drawn)
    assert opens_and_learns(expected, weights)
    assert mismatches(found, expected) == 0


@pytest.mark.parametrize(
    ("name", "feedback"), [("mean", "split"), ("constant", "symmetric"), ("absent", "split")]
)
def test_brian2_equals_the_engine_under_controls_of_dendrites(name, feedback):
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import run_steps

    net = network(feedback, bias=True)
    made, weights, shown = made_of(net, BASE), drawn_weights(net), stream(10)
    expected = Engine(made).run(shown, weights, control=CONTROLS[name])
    found, _ = run_steps(made, shown, weights, control=CONTROLS[name], steps=False)
    assert mismatches(found, expected) == 0


def test_brian2_permutes_dendrites_of_somata_that_fire_in_the_first_step():
    """A bias of 2 fires in every step, also while the dendrite turns to what it holds for a presentation."""
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import run_steps

    net = network(bias=True)
    weights, shown = drawn_weights(net), stream(8)
    weights = weights.replace({"a.bias": np.full(UNITS, 2.0)})
    made = made_of(net, BASE)
    for control in (permuted_dendrites(8, 2, UNITS, np.random.default_rng(5)), CONTROLS["mean"]):
        expected = Engine(made).run(shown, weights, control=control)
        found, _ = run_steps(made, shown, weights, control=control, steps=False)
        assert mismatches(found, expected) == 0


@pytest.mark.parametrize("feedback", ["symmetric", "split", pytest.param("blocked", marks=pytest.mark.slow)])
def test_brian2_equals_the_engine_with_direct_feedback(feedback):
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import run_steps

    net = uneven(feedback)
    made, weights, shown = made_of(net, BASE, "top"), drawn_weights(net, "top"), stream(14)
    expected = Engine(made).run(shown, weights)
    found, _ = run_steps(made, shown, weights, steps=False)
    assert opens_and_learns(expected, weights)
    assert mismatches(found, expected) == 0


@pytest.mark.parametrize(
    ("control", "spiking", "key"),
    [
        (Control(delay=1), BASE, "control.delay"),
        (Control(dendrite="mean"), replace(BASE, dendrite=Decaying()), "control.dendrite"),
    ],
)
def test_brian2_names_the_control_that_it_does_not_have(control, spiking, key):
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import run_steps

    net = network()
    with pytest.raises(InputError, match="the engine") as caught:
        run_steps(made_of(net, spiking), stream(3), initial(net), control=control)
    assert caught.value.key == key


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("spiking", "context", "dendrite", "control"),
    [
        (UNRELIABLE["loss_and_jitter_of_neurons"], "own", "intact", Control()),
        (UNRELIABLE["all"], "own", "constant", CONTROLS["constant"]),
        (BASE, "top", "mean", CONTROLS["mean"]),
    ],
    ids=["neurons", "all_and_constant", "mean_from_the_top"],
)
def test_compiled_programs_equal_the_engine(tmp_path, spiking, context, dendrite, control):
    """C++, in stretches of 4 presentations; a control that a program was not built for is refused."""
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import CompiledNetwork, run_all

    net = Network("even", (9,), (Layer("a", 8), Layer("b", 8)), prediction=Prediction("split"))
    made, weights, shown = made_of(net, spiking, context), drawn_weights(net, context), stream(11)
    drawn = draw(made, shown, np.random.default_rng(1))
    expected = Engine(made).run(shown, weights, control=control, drawn=drawn)
    compiled = CompiledNetwork(made, 4, tmp_path / "build", dendrite=dendrite)
    found, _ = run_all(compiled, shown, weights, control=control, drawn=drawn)
    assert all(np.array_equal(found[key], expected.weights[key]) for key in weights)
    other = Control(dendrite="constant" if dendrite == "mean" else "mean")
    with pytest.raises(InputError, match=r"the program was built for|the engine takes"):
        run_all(compiled, shown, weights, control=other, drawn=drawn)


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"axon": LOST}, "spiking.axon.loss"),
        ({"input_axon": Axon(jitter=STEP), "timing": LATE.timing}, "spiking.input_axon.jitter"),
        ({"modulator": replace(BASE.modulator, noise=0.1)}, "spiking.modulator.noise"),
        ({"modulator": replace(BASE.modulator, failure=0.1)}, "spiking.modulator.failure"),
    ],
)
def test_export_names_what_no_chip_has(values, key):
    with pytest.raises(InputError, match="what is exported has reliable") as caught:
        check_export(made_of(network(), replace(BASE, grid=None, **values)))
    assert caught.value.key == key


def test_export_refuses_direct_feedback():
    with pytest.raises(InputError, match="predicts from 'own' activity"):
        check_export(made_of(network(), replace(BASE, grid=None), "top"))

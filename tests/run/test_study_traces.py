"""What a chip's traces hold beside the rate network's values."""

import numpy as np
import pytest
from run.test_study import MODEL, STUDY

from neuroclapp.data import digits
from neuroclapp.onchip.fixed.fit import fitted, ranges
from neuroclapp.onchip.fixed.schemes import per_product
from neuroclapp.rate.online import train_online
from neuroclapp.report.bits import traces as drawn
from neuroclapp.report.document import png
from neuroclapp.run.study_traces import DRAWN, beside, scales_in, traces
from neuroclapp.run.study_worlds import Worlds
from neuroclapp.study import load_study
from neuroclapp.weights import Weights

CHIP = """
[[conditions]]
name = "integers"
title = "in integers"
chip.fit_seeds = [100]
"""
SEED = 3


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A condition on a chip, its scales, weights that are whole even steps of them, and what is shown."""
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "model.toml").write_text(MODEL.replace("units = 12\n[pred", "units = 12\nbias = false\n[pred"))
    text = STUDY.format(model=folder / "model.toml")
    (folder / "small.toml").write_text(text[: text.index("[[conditions]]")] + CHIP)
    worlds = Worlds(load_study(str(folder / "small.toml"))[0].condition("integers").settings, digits.load())
    stream, learning = worlds.stream(SEED), worlds.settings.learning
    end = train_online(worlds.network, worlds.initial(SEED), stream, learning.eta, learning.eta_pred).weights
    wanted = worlds.settings.on_chip
    scales = fitted(
        worlds.populations, ranges(worlds.populations, [(end, stream)]), wanted.scheme, wanted.words
    )
    steps = {name: 2.0 ** -scales.matrices[name].exponent for name in end}
    even = {
        name: 2 * steps[name] * np.clip(np.round(array / steps[name] / 2), -127, 127)
        for name, array in end.items()
    }
    return worlds, scales, Weights(even), stream[-200:]


@pytest.fixture(scope="module")
def held(learned):
    worlds, scales, weights, shown = learned
    return traces(worlds.populations, worlds.settings.on_chip.chip, scales, weights, shown)


def by_equations(weights, shown, layer):
    """x and gamma d rho' of a layer, (presentations - 1, units), Eqs. 1, 2 and 13 written out."""
    x, found, before = shown.inputs, [], None
    for name in "ab"[: "ab".index(layer) + 1]:
        below, a = x, x @ weights[f"{name}.w_ff"].T
        x = np.maximum(a, 0)
    for now, active, sign in zip(x, a > 0, shown.sign, strict=True):
        if before is not None:
            d = weights[f"{layer}.w_pred"] @ before
            found.append(sign * (sign * (now @ d) < 1) * d * active)
        before = now
    return below[1:], np.array(found)


@pytest.mark.parametrize("layer", ["a", "b"])
def test_float_values_are_those_of_the_equations_in_the_traces_own_steps(layer, learned, held):
    """x1 (y1 - 64) is worth as many tag steps as eta / 2 gamma d rho' x is; a multiplier has 8 bits."""
    _, scales, weights, shown = learned
    x, y = by_equations(weights, shown, layer)
    scale = scales.matrices[f"{layer}.w_ff"]
    unit = 2.0**-scale.exponent / scale.carry * per_product(scales.scheme, scale.product, scales.words)
    one, other = held[layer]["x1"], held[layer]["y1"]
    change = 0.1 / 2 * np.outer(y[-DRAWN:, other["unit"]], x[-DRAWN:, one["unit"]])
    traced = unit * np.outer(np.array(other["rate"]) - 64, one["rate"])
    assert np.abs(change).max() > 0
    np.testing.assert_allclose(traced, change, rtol=0.005, atol=1e-12)


def test_an_input_trace_is_the_count_in_its_steps(learned, held):
    """A regular neuron is at most one spike off its activity, and the trace half a step off the count."""
    worlds, scales, _, shown = learned
    one, population = held["a"]["x1"], worlds.populations.input
    step = population.quantum * 2 ** scales.replay["input"]
    float_value = shown.inputs[-DRAWN:, one["unit"]] / step
    np.testing.assert_allclose(one["rate"], float_value)
    assert np.abs(one["chip"] - float_value).max() <= 0.5 + 2.0 ** -scales.replay["input"]
    assert np.ptp(one["chip"]) > 0


@pytest.mark.parametrize("layer", ["a", "b"])
def test_traces_follow_the_float_values(layer, held):
    assert held[layer]["x1"]["cosine"] > 0.98
    assert held[layer]["y1"]["cosine"] > 0.9
    assert held[layer]["x1"]["limits"] == [0, 127]
    for trace in held[layer].values():
        assert len(trace["chip"]) == len(trace["rate"]) == DRAWN
        assert min(trace["limits"]) <= min(trace["chip"]) <= max(trace["chip"]) <= max(trace["limits"])


def test_what_is_said_of_a_trace_by_hand():
    chip = np.array([[64, 1], [67, 64], [64, 60]])
    rate = np.array([[64.0, 0.0], [68.0, 64.0], [64.0, 61.0]])
    found = beside(chip, rate, 64, (1, 127))
    assert (found["unit"], found["chip"], found["rate"]) == (1, [1, 64, 60], [0.0, 64.0, 61.0])
    expected = (63 * 64 + 3 * 4 + 4 * 3) / np.sqrt((63**2 + 9 + 16) * (64**2 + 16 + 9))
    assert found["cosine"] == pytest.approx(expected)
    assert found["full"] == pytest.approx(1 / 3)  # of those that are not 64


def test_scales_come_back_from_results(learned):
    worlds, scales, _, _ = learned
    results = {"scales": {name: vars(one) for name, one in scales.matrices.items()}, "replay": scales.replay}
    assert scales_in(results, worlds.settings.on_chip) == scales


def test_the_picture_names_its_axes_and_has_both_values(held):
    made = drawn(held)
    assert png(made).startswith(b"\x89PNG")
    assert [axes.get_ylabel()[:2] for axes in made.axes] == ["x1", "x1", "y1", "y1"]
    assert all(axes.get_xlabel() == "presentation" for axes in made.axes[2:])
    for axes, one in zip(made.axes, (held["a"]["x1"], held["b"]["x1"]), strict=False):
        assert axes.lines[0].get_ydata().tolist() == one["rate"]
        assert axes.patches[0].get_data().values.tolist() == one["chip"]

"""The comparison on shared weights, on runs whose agreement is known beforehand."""

import numpy as np
import pytest
from agreement.oracle import simulate

from neuroclapp.analysis.agreement import Comparison
from neuroclapp.analysis.readout import few, fit
from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.presentations import Presentations
from neuroclapp.spiking.mapping import Spiking, populations
from neuroclapp.spiking.populations import Modulator
from neuroclapp.spiking.state import LayerRecord, Record
from neuroclapp.weights import Initial, Weights


def stretch(gain, count=80, feedback="split"):
    layers = (Layer("a", 10, bias=False), Layer("b", 8))
    net = Network("small", (12,), layers, prediction=Prediction(feedback))
    modulator = Modulator(fan_in=8, resolution=64.0, tonic=2000, burst=10000)
    spiking = Spiking(neurons=64, input_gain=gain, gain=(gain, gain), modulator=modulator)
    pops = populations(net, spiking, (0.1, 0.1), (0.1, 0.1), np.random.default_rng(0))
    weights = Initial(w_ff=2.0, w_pred=4.0, w_retro=4.0).draw(net, np.random.default_rng(1))
    draw = np.random.default_rng(2)
    images = draw.random((9, 12))
    image = np.repeat(draw.integers(9, size=count // 2), 2)
    sign = np.where(np.arange(count) % 2 == 1, 1, -1).astype(np.int8)
    sign[0] = 0
    stream = Presentations(
        np.clip(images[image] + 0.1 * draw.standard_normal((count, 12)), 0, None), sign, image
    )
    left = simulate(pops, weights, stream.inputs, stream.sign)
    record = Record(left.input_count, [LayerRecord(x.count, x.charge, x.gamma, x.total) for x in left.layers])
    return net, pops, weights, stream, record, Weights(left.weights)


@pytest.mark.parametrize("feedback", ["symmetric", "blocked", "split"])
def test_fine_spikes_agree_with_rates_and_the_record_explains_the_weights(feedback):
    net, pops, weights, stream, record, after = stretch(32.0, feedback=feedback)
    comparison = Comparison(net, pops, weights, np.random.default_rng(0))
    comparison.walk(stream, record, after)
    figures = comparison.summary()
    assert figures["largest_weight_mismatch"] < 1e-12
    for target, cosines in figures["accumulated_cosine"].items():
        assert min(cosines) > 0.99, target
    assert min(figures["gate_agreement"]) > 0.95
    assert max(figures["score_rmse"]) < 0.05


def test_coarse_spikes_agree_less():
    figures = []
    for gain in (32.0, 0.1):
        net, pops, weights, stream, record, after = stretch(gain)
        comparison = Comparison(net, pops, weights, np.random.default_rng(0))
        comparison.walk(stream, record, after)
        figures.append(comparison.summary()["update_cosine"]["w_ff"][1])
    assert figures[1] < figures[0] - 0.02


def test_a_record_that_does_not_explain_the_weights_is_found_out():
    net, pops, weights, stream, record, after = stretch(32.0)
    moved = after.replace({"a.w_pred": after["a.w_pred"] + 0.25})
    comparison = Comparison(net, pops, weights, np.random.default_rng(0))
    comparison.walk(stream, record, moved)
    assert comparison.largest_mismatch == pytest.approx(0.25, abs=1e-9)


def test_readout_chooses_its_penalty_on_validation_images():
    draw = np.random.default_rng(0)
    labels = draw.integers(3, size=200)
    features = np.eye(3)[labels] + 0.3 * draw.standard_normal((200, 3))
    readout = fit(features[:100], labels[:100], features[100:150], labels[100:150])
    nearest = 100 * np.mean(np.argmax(features[150:], axis=1) == labels[150:])
    assert abs(readout.accuracy(features[150:], labels[150:]) - nearest) <= 6


def test_few_labels_are_drawn_evenly():
    labels = np.repeat(np.arange(10), 30)
    chosen = few(labels, 150, np.random.default_rng(0))
    assert len(set(chosen)) == 150
    np.testing.assert_array_equal(np.bincount(labels[chosen]), 15)


def test_more_few_labels_than_the_rarest_class_allows_are_refused():
    labels = np.repeat([0, 1, 2], [5, 9, 7])
    assert len(few(labels, 15, np.random.default_rng(0))) == 15
    with pytest.raises(InputError, match="few_labels = 16: must be at most 15"):
        few(labels, 16, np.random.default_rng(0))

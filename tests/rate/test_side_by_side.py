"""Networks that learn side by side: each like one that learns alone."""

import numpy as np
import pytest

from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.presentations import Presentations
from neuroclapp.rate.online import train_online
from neuroclapp.rate.side_by_side import train_side_by_side
from neuroclapp.weights import Initial

ETA, ETA_PRED = (0.02, 0.01), (0.02, 0.01)


def stream(count, seed):
    draw = np.random.default_rng(seed)
    sign = np.where(np.arange(count) % 2 == 1, 1, -1).astype(np.int8)
    sign[0] = 0
    return Presentations(draw.random((count, 7)), sign, np.arange(count))


@pytest.mark.parametrize("context", ["own", "top"])
@pytest.mark.parametrize(
    ("feedback", "gate"),
    [("symmetric", "shared"), ("blocked", "shared"), ("split", "shared"), ("split", "separate")],
)
def test_networks_side_by_side_learn_like_each_alone(feedback, gate, context):
    """Against torch, one at a time: until sums in another order differ, within 1e-10 of weights around 1."""
    layers = (Layer("a", 5), Layer("b", 4, bias=False))
    net = Network("small", (7,), layers, prediction=Prediction(feedback, gate))
    starts = [Initial(3.0, 9.0, 9.0).draw(net, np.random.default_rng(n), context) for n in range(3)]
    streams = [stream(150, n) for n in range(3)]
    found = train_side_by_side(net, starts, streams, ETA, ETA_PRED, context)
    for start, shown, ours in zip(starts, streams, found, strict=True):
        alone = train_online(net, start, shown, ETA, ETA_PRED, context=context)
        assert set(ours) == set(start)
        for name, array in alone.weights.items():
            np.testing.assert_allclose(ours[name], array, rtol=0, atol=1e-10, err_msg=name)
            assert np.abs(array - start[name]).max() > 1e-3
        is_open = alone.gamma[1:] != 0
        assert 0 < is_open.mean() < 1


def test_streams_of_several_lengths_are_refused():
    net = Network("small", (7,), (Layer("a", 5),))
    starts = [Initial().draw(net, np.random.default_rng(0))] * 2
    with pytest.raises(ValueError, match=r"one length, not \[2, 3\]"):
        train_side_by_side(net, starts, [stream(2, 0), stream(3, 0)], (0.1,), (0.1,))

"""The torch module: gradients from the rule, minibatch training, and the estimator on top."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.utils.estimator_checks import parametrize_with_checks

from neuroclapp.data import digits
from neuroclapp.errors import InputError
from neuroclapp.network import Layer, Network, Prediction, load_network
from neuroclapp.rate.encoder import CLAPPEncoder
from neuroclapp.rate.module import CLAPPNetwork, train_minibatch
from neuroclapp.weights import Initial


def module(feedback="symmetric"):
    network = Network("two", (6,), (Layer("a", 5), Layer("b", 4)), prediction=Prediction(feedback))
    weights = Initial(w_ff=2.0).draw(network, np.random.default_rng(0))
    return CLAPPNetwork(network, weights, torch.float64)


def test_gradients_equal_autograd_with_detached_layers():
    net = module()
    x, y = torch.rand(2, 8, 6, dtype=torch.float64)
    sign = torch.tensor([1.0, -1.0] * 4, dtype=torch.float64)
    net.compare(x, y, sign)
    found = {name: p.grad.clone() for name, p in net.arrays.items()}
    net.zero_grad()
    loss = torch.zeros(())
    c, z = x, y
    for name in "ab":
        w = net.layer(name)
        c, z = (torch.relu(v.detach() @ w["w_ff"].T + w["bias"]) for v in (c, z))
        loss = loss + torch.relu(1 - sign * (z * (c @ w["w_pred"].T)).sum(1)).mean()
    loss.backward()
    for name, parameter in net.arrays.items():
        torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-14)


def test_training_lowers_the_loss():
    net = module()
    draw = torch.Generator().manual_seed(0)
    bases = torch.rand(10, 6, dtype=torch.float64, generator=draw)

    def pairs(batch):
        context = torch.randint(10, (batch,), generator=draw)
        other = (context + torch.randint(1, 10, (batch,), generator=draw)) % 10
        sign = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(batch // 2)
        return bases[context], bases[torch.where(sign > 0, context, other)], sign

    def loss():
        context, sample, sign = pairs(400)
        return [
            float(torch.relu(1 - sign * change.score).mean()) for change in net.compare(context, sample, sign)
        ]

    before = loss()
    train_minibatch(net, pairs, 500, optimiser=torch.optim.Adam(net.parameters(), lr=1e-2))
    assert all(after < start - 0.1 for after, start in zip(loss(), before, strict=True))


def test_features_are_the_rectified_layers():
    net = module()
    x = torch.rand(3, 6, dtype=torch.float64)
    w = net.weights()
    a = np.maximum(x.numpy() @ w["a.w_ff"].T + w["a.bias"], 0)
    b = np.maximum(a @ w["b.w_ff"].T + w["b.bias"], 0)
    np.testing.assert_allclose(net(x).detach().numpy(), b, atol=1e-14)


def test_what_is_not_dense_is_refused_by_name():
    with pytest.raises(InputError, match=r"layers\.conv1\.kind = 'conv'"):
        CLAPPNetwork(load_network("vgg6"), {})


@parametrize_with_checks([CLAPPEncoder(units=(8, 4), batches=3)])
def test_estimator_keeps_scikit_learns_conventions(estimator, check):
    check(estimator)


def test_encoder_finds_better_features_than_random_ones():
    """Validation images; the untrained encoder is the same one before its first batch has any effect."""
    split = digits.load()
    scores = {}
    for batches in (1, 1000):
        encoder = CLAPPEncoder(batches=batches).fit(split.training.images)
        features, unseen = (encoder.transform(part.images) for part in (split.training, split.validation))
        scale = features.std(axis=0) + 1e-6
        readout = LogisticRegression(C=0.1, max_iter=500).fit(features / scale, split.training.labels)
        scores[batches] = readout.score(unseen / scale, split.validation.labels)
    assert scores[1000] > scores[1] + 0.03

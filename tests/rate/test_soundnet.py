"""The closed form of encoders of sound against autograd, in float64, array by array."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from rate.gru_oracle import states
from torch.nn.functional import conv1d, cross_entropy, relu, softplus

from neuroclapp.data.patches import Batch
from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.objective import Contrast, InTime, System
from neuroclapp.rate import eprop
from neuroclapp.rate.frames import FRAME, framed, strides, unframed
from neuroclapp.rate.modular import Randomness, initial
from neuroclapp.rate.pairs import draw
from neuroclapp.rate.soundnet import SoundNetwork
from neuroclapp.rate.training import Learner
from neuroclapp.recipe import Recipe

SAMPLES, SOUNDS, CLASSES = 8 * FRAME, 3, 5
LAYERS = (
    Layer("conv1", 6, "conv1d", kernel=10, stride=10, padding=2),
    Layer("conv2", 5, "conv1d", kernel=8, stride=4, padding=2),
    Layer("conv3", 4, "conv1d", kernel=5, stride=2, padding=2),
)
GRU = Layer("gru", 3, "gru")
NETWORK = Network("sound", (1, SAMPLES), (*LAYERS, GRU))


def built(network, system, in_time, seed=0):
    arrays = initial(network, system, CLASSES, seed, 2**0.5)
    arrays = {name: 1.5 * array for name, array in arrays.items()}
    return SoundNetwork(network, system, arrays, in_time, CLASSES, torch.float64)


def sounds(seed=1):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(SOUNDS, SAMPLES)))


def gru(x, w, recurrent):
    return states(w, x, "gates" if recurrent == "eprop" else "nowhere")


def losses(net, x, randomness, labels):
    """Every module's loss by autograd, and which arrays it is to change: name to loss."""
    w = dict(net.named_arrays())
    total, below, stride = x.new_zeros(()), x.unsqueeze(2), 1
    for module in net.modules_of:
        inside = below.detach()
        z, c = inside, None
        for layer in module.layers:
            own = {key.split(".")[1]: value for key, value in w.items() if key.split(".")[0] == layer.name}
            if layer.kind == "gru":
                # Samples below may be plastic, contexts never reach further down than the module.
                heard = z if len(module.layers) > 1 else inside
                c = gru(heard, own, net.in_time.recurrent)
                if len(module.layers) == 1 and net.in_time.below == "plastic":
                    z = below
                if net.in_time.recurrent == "nothing":
                    c = (
                        c.detach()
                        if len(module.layers) == 1
                        else gru(z, {k: v.detach() for k, v in own.items()}, "")
                    )
            else:
                bias = own.get("bias")
                z = relu(conv1d(z.transpose(1, 2), own["w_ff"], bias, layer.stride, layer.padding)).transpose(
                    1, 2
                )
                stride *= layer.stride
        total = total + loss_of(net, module.layers[-1].name, z, c, stride, w, randomness, labels)
        below = z if c is None else c
    return total


def loss_of(net, name, z, c, stride, w, randomness, labels):
    if net.system.learns == "labels":
        top = z if c is None else c
        frames = SAMPLES // FRAME
        mean = torch.stack(
            [
                top[
                    :,
                    [min(s, top.shape[1] - 1) for s in range(f * FRAME // stride, (f + 1) * FRAME // stride)],
                ].mean(1)
                for f in range(frames)
            ],
            1,
        )
        known = labels >= 0
        return cross_entropy((mean @ w[f"{name}.w_head"].T + w[f"{name}.b_head"])[known], labels[known])
    contrast, generator = net.system.contrast, randomness(name)
    steps = z.shape[1]
    window = min(net.in_time.window or steps, steps)
    begin = int(generator.integers(steps - window + 1))
    if c is not None and net.in_time.recurrent_source:
        contrast = replace(contrast, source=net.in_time.recurrent_source)
    z = z[:, begin : begin + window].reshape(-1, z.shape[2])
    c = z if c is None else c[:, begin : begin + window].reshape(-1, c.shape[2])
    pairs = draw(contrast, SOUNDS, window, 1, generator, z)
    matrix = torch.cat([torch.full((stop - start,), k) for k, start, stop in pairs.bounds])
    feedback = contrast.prediction.feedback
    halves = [(c if feedback == "symmetric" else c.detach(), z, w[f"{name}.w_pred"])]
    if feedback == "split":
        halves.append((c, z.detach(), w[f"{name}.w_retro"].transpose(1, 2)))
    found = []
    for context, sample, matrices in halves:
        d = torch.einsum("mzc,mc->mz", matrices[matrix], context[pairs.context])
        up = (sample[pairs.sample] * d).sum(1)
        down = torch.einsum("mnz,mz->mn", sample[pairs.negative], d)
        if contrast.loss == "hinge":
            each = relu(1 - up) + relu(1 + down).mean(1)
        elif contrast.loss == "cross_entropy":
            each = softplus(-up) + softplus(down).mean(1)
        else:
            each = -torch.log_softmax(torch.cat([up[:, None], down], 1), 1)[:, 0]
        found.append((pairs.positive_weight * each).sum())
    return sum(found) / len(found)


SPLIT = Prediction("split", "separate")
CASES = {
    "CLAPP, e-prop": (System("", contrast=Contrast(steps=3, skip=0)), InTime(6, "eprop")),
    "CLAPP, BPTT": (System("", contrast=Contrast(steps=3, skip=0)), InTime(6, "bptt")),
    "CLAPP, e-prop, negatives of the units from the same sound": (
        System("", contrast=Contrast(steps=3, skip=0, negatives=2)),
        InTime(6, "eprop", recurrent_source="same_image"),
    ),
    "CLAPP, e-prop, traces carried at every step": (
        System("", contrast=Contrast(steps=3, skip=0)),
        InTime(6, "eprop", chunk=1),
    ),
    "CLAPP, e-prop, traces carried every three steps": (
        System("", contrast=Contrast(steps=3, skip=0)),
        InTime(6, "eprop", chunk=3),
    ),
    "CLAPP, samples blocked": (System("", contrast=Contrast(steps=3, skip=0)), InTime(0, "eprop", "blocked")),
    "CLAPP, recurrent units at rest": (System("", contrast=Contrast(steps=2)), InTime(5, "nothing")),
    "CLAPP, blocked": (
        System("", contrast=Contrast(steps=3, prediction=Prediction("blocked"))),
        InTime(6, "nothing"),
    ),
    "CLAPP, split": (System("", contrast=Contrast(steps=3, prediction=SPLIT)), InTime(6, "eprop")),
    "GIM": (System("", contrast=Contrast("info_nce", steps=3, skip=0, negatives=4)), InTime(6)),
    "GIM, 2 modules": (
        System("", modules=(2, 2), contrast=Contrast("info_nce", steps=3, skip=0, negatives=4)),
        InTime(6),
    ),
    "CPC": (System("", modules=(4,), contrast=Contrast("info_nce", steps=3, skip=0, negatives=4)), InTime(5)),
    "CPC, e-prop": (System("", modules=(4,), contrast=Contrast(steps=3, skip=0)), InTime(5, "eprop")),
    "CPC, split": (
        System("", modules=(4,), contrast=Contrast(steps=3, skip=0, prediction=SPLIT)),
        InTime(5),
    ),
    "hinge loss CPC": (System("", modules=(4,), contrast=Contrast(steps=3, skip=0)), InTime(0)),
    "binary comparison": (System("", modules=(4,), contrast=Contrast("cross_entropy", steps=3)), InTime(0)),
    "supervised": (System("", "labels", (4,)), InTime()),
    "greedy supervised": (System("", "labels"), InTime()),
    "greedy supervised, e-prop": (System("", "labels"), InTime(recurrent="eprop")),
}


@pytest.mark.parametrize("case", CASES)
def test_closed_form_equals_autograd(case):
    system, in_time = CASES[case]
    net, x, randomness = built(NETWORK, system, in_time), sounds(), Randomness(3, 7)
    labels = torch.from_numpy(np.random.default_rng(2).integers(-1, CLASSES, (SOUNDS, SAMPLES // FRAME)))
    learned = net.learn(x, randomness, labels if system.learns == "labels" else None)
    found = {name: array.grad for name, array in net.named_arrays()}
    for _, array in net.named_arrays():
        array.grad = None
    loss = losses(net, x, randomness, labels)
    loss.backward()
    assert sum(one.loss for one in learned).item() == pytest.approx(loss.item(), rel=1e-12)
    moved = 0
    for name, array in net.named_arrays():
        expected = torch.zeros_like(array) if array.grad is None else array.grad
        scale = expected.abs().max().item()
        assert (found[name] - expected).abs().max().item() <= 1e-12 * max(scale, 1e-9), name
        moved += scale > 0
    still = 4 if in_time.recurrent == "nothing" else 0
    assert moved == len(found) - still


@pytest.mark.parametrize(("chunk", "carried"), [(128, 0), (5, 4), (1, 16)])
def test_a_chunk_says_how_often_traces_are_carried_forward(monkeypatch, chunk, carried):
    """Sixteen steps: never where they are one chunk; else at each chunk's end, and at each single step."""
    calls = []
    for name in ("carry", "step"):
        kept = getattr(eprop.Projection, name)
        monkeypatch.setattr(eprop.Projection, name, lambda *a, kept=kept: calls.append(1) or kept(*a))
    system, in_time = CASES["CLAPP, e-prop"]
    net = built(NETWORK, system, replace(in_time, chunk=chunk))
    net.learn(sounds(), Randomness(3, 7), None)
    assert len(calls) == 2 * carried  # w_ih and w_hh


def test_without_recurrent_units_the_top_convolution_predicts_itself():
    network = Network("sound", (1, SAMPLES), LAYERS)
    system = System("", contrast=Contrast(steps=3, skip=0))
    net, x, randomness = built(network, system, InTime(6)), sounds(), Randomness(3, 7)
    net.learn(x, randomness)
    found = {name: array.grad.clone() for name, array in net.named_arrays()}
    net.zero_grad()
    losses(net, x, randomness, None).backward()
    for name, array in net.named_arrays():
        assert (found[name] - array.grad).abs().max() <= 1e-12 * array.grad.abs().max()


def test_no_gradient_crosses_a_module():
    """What lies above, or how it learns, leaves no bit of a module's gradient otherwise."""
    system = System("", contrast=Contrast(steps=3, skip=0))
    found = []
    for network in (
        NETWORK,
        Network("sound", (1, SAMPLES), LAYERS),
        Network("sound", (1, SAMPLES), LAYERS[:1]),
    ):
        net = built(network, system, InTime(6, below="blocked"))
        net.learn(sounds(), Randomness(3, 7))
        found.append({name: array.grad for name, array in net.named_arrays()})
    for other in found[1:]:
        for name, change in other.items():
            assert torch.equal(change, found[0][name]), name
    plastic = built(NETWORK, system, InTime(6, below="plastic"))
    plastic.learn(sounds(), Randomness(3, 7))
    differ = {name for name, array in plastic.named_arrays() if not torch.equal(array.grad, found[0][name])}
    assert differ == {"conv3.w_ff", "conv3.bias"}


def test_joint_loss_of_two_modules_would_be_caught():
    """The check above is able to fail: in one module, what lies above changes what is below."""
    one = built(NETWORK, System("", modules=(4,), contrast=Contrast(steps=3, skip=0)), InTime(6))
    several = built(NETWORK, System("", contrast=Contrast(steps=3, skip=0)), InTime(6))
    for net in (one, several):
        net.learn(sounds(), Randomness(3, 7))
    assert not torch.equal(
        dict(one.named_arrays())["conv1.w_ff"].grad, dict(several.named_arrays())["conv1.w_ff"].grad
    )


@pytest.mark.parametrize("stride", [5, 40, 80, 160, 320])
def test_frames_are_means_of_their_steps(stride):
    steps, frames = 8 * FRAME // stride - (1 if stride < FRAME else 0), 8
    z = torch.from_numpy(np.random.default_rng(0).normal(size=(2, steps, 3))).requires_grad_()
    mean = framed(z, stride, frames)
    for frame in range(frames):
        span = range(frame * FRAME // stride, max(frame * FRAME // stride + 1, (frame + 1) * FRAME // stride))
        expected = z[:, [min(step, steps - 1) for step in span]].mean(1)
        torch.testing.assert_close(mean[:, frame], expected, rtol=0, atol=1e-14)
    delta = torch.randn_like(mean)
    (gradient,) = torch.autograd.grad(mean, z, delta)
    torch.testing.assert_close(unframed(delta, stride, steps), gradient, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("network", "system", "in_time", "said"),
    [
        (
            replace(NETWORK, layers=(*LAYERS, GRU, replace(GRU, name="two"))),
            System(""),
            InTime(),
            "only on top",
        ),
        (NETWORK, System("", contrast=Contrast(task="around")), InTime(), "'rows' and 'own'"),
        (NETWORK, System("", contrast=Contrast(context="top")), InTime(), "'rows' and 'own'"),
        (
            NETWORK,
            System("", contrast=Contrast(prediction=Prediction("blocked"))),
            InTime(),
            "nothing for rec",
        ),
        (replace(NETWORK, layers=(replace(LAYERS[0], stride=7),)), System(""), InTime(), "7 samples"),
    ],
)
def test_what_does_not_fit_is_said(network, system, in_time, said):
    with pytest.raises(ValueError, match=said):
        built(network, system, in_time)


def test_strides_multiply():
    assert strides(NETWORK) == (10, 40, 80, 80)


def test_recurrent_units_have_a_pace_of_their_own():
    """Adam's first step is the learning rate for every weight that has a gradient."""
    system = System("", contrast=Contrast(steps=3, skip=0))
    recipe = Recipe(batch=SOUNDS, learning_rate=1e-3, prediction_rate=10.0)
    learner = Learner(built(NETWORK, system, InTime(6, "eprop", recurrent_rate=3.0)), recipe)
    before = {name: array.detach().clone() for name, array in learner.network.named_arrays()}
    learner.update(Batch(sounds().numpy(), None, np.arange(SOUNDS), None), 0, 100)
    for name, array in learner.network.named_arrays():
        rate = {"w_pred": 1e-2, "w_ih": 3e-3, "b_hh": 3e-3}.get(name.split(".")[1])
        if rate is not None:
            assert (array - before[name]).abs().max().item() == pytest.approx(rate, rel=1e-3), name

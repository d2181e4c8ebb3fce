"""What image systems should learn, by torch's autograd from losses written out pair by pair: the oracle.

It shares no code with the closed form. Places are (image, row, column) throughout; of the pairs that a batch
was given it takes what chance decided, the negatives and the coins, and finds everything else by itself.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch.nn import functional

#: Directions of the predictions: rows and columns from a context to its sample, per unit of distance.
DIRECTIONS = {"rows": [(1, 0)], "around": [(1, 0), (-1, 0), (0, 1), (0, -1)]}


def layer_response(layer, w, bias, x):
    """z = rho(W x + b), then the max-pool; without rho where a convolution is left unrectified."""
    if layer.kind == "dense":
        return torch.relu(functional.linear(x.flatten(1), w, bias))
    z = functional.conv2d(x, w, bias, stride=layer.stride, padding=layer.padding)
    z = torch.relu(z) if layer.rectified else z
    return functional.max_pool2d(z, layer.pool) if layer.pool > 1 else z


def seen_by_the_loss(z, blocks):
    """Means over the map, or over each of blocks x blocks parts of it: (images, units * blocks * blocks)."""
    if z.dim() == 2:
        return z
    if blocks == 1:
        return z.mean((2, 3))
    tall, wide = z.shape[2] // blocks, z.shape[3] // blocks
    parts = [
        z[:, unit, y * tall : (y + 1) * tall, x * wide : (x + 1) * wide].mean((1, 2))
        for unit in range(z.shape[1])
        for y in range(blocks)
        for x in range(blocks)
    ]
    return torch.stack(parts, 1)


def compared(contrast, rows, columns):
    """Yield (matrix, [(context, sample), ...]) with both as (row, column), for each group of pairs."""
    if contrast.task == "views":
        first, second = [(row, column) for row in range(rows) for column in range(columns)]
        yield 0, [(first, second)]
        yield 0, [(second, first)]
        return
    matrix = 0
    for down, right in DIRECTIONS[contrast.task]:
        for k in range(1, contrast.steps + 1):
            far, found = k + contrast.skip, []
            for row in range(rows):
                for column in range(columns):
                    sample = (row + far * down, column + far * right)
                    if sample[0] in range(rows) and sample[1] in range(columns):
                        found.append(((row, column), sample))
            if found:
                yield matrix, found
            matrix += 1


def decoded(contrast, pairs, images, rows, columns):
    """Return the negatives (image, row, column) of each (group, image, context), and each image's coins.

    Asserts that pairs are the legal ones, each there once, and that each negative is one that its ``source``
    may have.
    """

    def place(number):
        image, rest = divmod(int(number), rows * columns)
        assert 0 <= image < images
        return image, *divmod(rest, columns)

    groups = list(compared(contrast, rows, columns))
    assert [matrix for matrix, _ in groups] == [matrix for matrix, _, _ in pairs.bounds]
    negatives, coins = {}, {}
    begin = 0
    for number, ((_, found), (_, first, last)) in enumerate(zip(groups, pairs.bounds, strict=True)):
        assert first == begin
        begin, samples, others = last, {sample for _, sample in found}, {}
        for n in range(first, last):
            image, *context = place(pairs.context[n])
            sample_image, *sample = place(pairs.sample[n])
            assert image == sample_image
            assert (tuple(context), tuple(sample)) in found
            fakes = [place(fake) for fake in pairs.negative[n]]
            assert len(fakes) == contrast.negatives
            for fake in fakes:
                assert fake[1:] in samples
                if contrast.source == "same_image":
                    assert fake[0] == image
                elif contrast.source != "anywhere":
                    assert fake[0] != image
                    assert fake[1:] == tuple(sample)
                if contrast.source == "one_image":
                    assert others.setdefault(image, fake[0]) == fake[0]
            key = number, image, tuple(context)
            assert key not in negatives
            negatives[key] = fakes
            coin = float(pairs.positive_weight[n]) > 0, float(pairs.negative_weight[n]) > 0
            assert coins.setdefault(image, coin) == coin
        assert last - first == images * len(found)
    assert begin == len(pairs.context) == len(pairs.sample) == len(pairs.negative)
    for coin in coins.values():
        assert coin == (True, True) if contrast.pairs == "both" else sum(coin) == 1
    return negatives, coins


def parts(loss, positive, negative):
    """What one context loses by its positive and by its negatives: Eq. 2, its smooth twin, or Eq. 1."""
    if loss == "hinge":
        return torch.relu(1 - positive), torch.relu(1 + negative).mean()
    if loss == "cross_entropy":
        return -functional.logsigmoid(positive), -functional.logsigmoid(-negative).mean()
    everything = positive.exp() + negative.exp().sum()
    return -torch.log(positive.exp() / everything), torch.zeros_like(positive)


def contrast_loss(contrast, prediction, features, context, w_pred, w_retro, pairs, grid):
    """Return the mean loss, as a function whose slope is what the design names, of one context.

    ``features`` and ``context`` are (images, rows, columns, n).
    """
    images, rows, columns = grid
    negatives, coins = decoded(contrast, pairs, *grid)
    groups = list(compared(contrast, rows, columns))
    totals = []
    for group, (k, found) in enumerate(groups):
        positives_lost, negatives_lost = [], []
        for image in range(images):
            for at, to in found:
                c, true = context[(image, *at)], features[(image, *to)]
                fakes = torch.stack([features[fake] for fake in negatives[group, image, at]])
                samples = torch.cat([true[None], fakes])
                lost = pair_loss(contrast.loss, prediction, c, samples, w_pred[k], w_retro, k)
                positive, negative = coins[image]
                if positive:
                    positives_lost.append(lost[0])
                if negative:
                    negatives_lost.append(lost[1])
        for lost in (positives_lost, negatives_lost):
            if lost:
                totals.append(torch.stack(lost).mean())
    return torch.stack(totals).sum() / len(groups)


def pair_loss(loss, prediction, c, samples, w_pred, w_retro, k):
    """Return what a context loses by its positive ``samples[0]`` and by its negatives ``samples[1:]``."""
    if prediction.feedback == "symmetric":
        u = samples @ (w_pred @ c)
        return parts(loss, u[0], u[1:])
    u_z = samples @ (w_pred @ c.detach())  # Eq. 9; the first part of Eq. 10
    if prediction.feedback == "blocked":
        return parts(loss, u_z[0], u_z[1:])
    u_c = (samples.detach() @ w_retro[k].T) @ c  # W_c^pred z, then c: the second part of Eq. 10
    if prediction.gate == "separate":
        halves = zip(parts(loss, u_z[0], u_z[1:]), parts(loss, u_c[0], u_c[1:]), strict=True)
        return tuple((half_z + half_c) / 2 for half_z, half_c in halves)
    assert loss == "hinge"
    open_positive, open_negative = (u_z[0] < 1).to(u_z), (u_z[1:] > -1).to(u_z)
    u = (u_z + u_c) / 2
    return -open_positive.detach() * u[0], (open_negative.detach() * u[1:]).mean()


def gradients(network, system, arrays, x, pairs=(), labels=None):
    """Return the negative gradients of every array by name, and each module's loss.

    ``x`` (images, rows, columns, ...); ``pairs`` those that each module was given, lowest module first.
    """
    network = system.cut(network)
    w = {name: torch.as_tensor(array).double().clone().requires_grad_() for name, array in arrays.items()}
    grid, modules, maps = tuple(x.shape[:3]), network.split(), x.flatten(0, 2).double()
    features = []
    for number, module in enumerate(modules):
        maps = maps.detach()
        for layer in module.layers:
            maps = layer_response(layer, w[f"{layer.name}.w_ff"], w.get(f"{layer.name}.bias"), maps)
        blocks = system.contrast.blocks[number] if system.contrast.blocks else 1
        features.append(seen_by_the_loss(maps, blocks).view(*grid, -1))
    losses = []
    for number, module in enumerate(modules):
        name = module.layers[-1].name
        if system.learns == "labels":
            guess = functional.linear(features[number].mean((1, 2)), w[f"{name}.w_head"], w[f"{name}.b_head"])
            losses.append(functional.cross_entropy(guess, labels))
            continue
        contrast, top, lost = system.contrast, features[-1].detach(), []
        below = number < len(modules) - 1
        if contrast.context != "top" or not below:
            lost.append(
                contrast_loss(
                    contrast,
                    contrast.prediction,
                    features[number],
                    features[number],
                    w[f"{name}.w_pred"],
                    w.get(f"{name}.w_retro"),
                    pairs[number],
                    grid,
                )
            )
        if contrast.context != "own" and below:
            matrix = w[f"{name}.w_top" if contrast.context == "both" else f"{name}.w_pred"]
            blocked = SimpleNamespace(feedback="blocked", gate="shared")
            lost.append(
                contrast_loss(contrast, blocked, features[number], top, matrix, None, pairs[number], grid)
            )
        losses.append(sum(lost))
    found = torch.autograd.grad(sum(losses), list(w.values()), allow_unused=True)
    changes = {
        name: torch.zeros_like(array) if gradient is None else -gradient
        for (name, array), gradient in zip(w.items(), found, strict=True)
    }
    return changes, [loss.detach() for loss in losses]

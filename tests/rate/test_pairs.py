"""Pairs and negatives: legal by brute force, and distributed as their source says."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from agreement import image_oracle
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from neuroclapp.objective import Contrast
from neuroclapp.rate.pairs import draw, groups

LIKE = torch.zeros((), dtype=torch.float64)
#: A fair draw gives a smaller p-value once in a thousand seeds; the seeds here are fixed.
UNLIKELY = 1e-3


def drawn(contrast, grid, seed=0):
    return draw(contrast, *grid, np.random.default_rng(seed), LIKE)


@given(
    task=st.sampled_from(["rows", "around", "views"]),
    steps=st.integers(1, 4),
    skip=st.integers(0, 2),
    source=st.sampled_from(["anywhere", "same_place", "one_image"]),
    negatives=st.integers(1, 5),
    pairs=st.sampled_from(["both", "either"]),
    grid=st.tuples(st.integers(2, 5), st.integers(1, 6), st.integers(1, 5)),
    seed=st.integers(0, 2**32 - 1),
)
def test_pairs_are_all_that_the_task_allows(task, steps, skip, source, negatives, pairs, grid, seed):
    """The oracle goes through all places; it asserts that each pair is there once, with legal negatives."""
    contrast = Contrast(
        task=task,
        steps=steps,
        skip=skip,
        source=source,
        negatives=negatives if source == "anywhere" else 1,
        pairs=pairs,
    )
    grid = (grid[0], 2, 1) if task == "views" else grid
    if not list(image_oracle.compared(contrast, *grid[1:])):
        with pytest.raises(ValueError, match="places"):
            groups(contrast, *grid[1:])
        return
    found = drawn(contrast, grid, seed)
    negatives, coins = image_oracle.decoded(contrast, found, *grid)
    assert len(negatives) == len(found.context)

    # What a pair counts: the mean over the images that have it, over places, and over matrices.
    of_matrices = list(image_oracle.compared(contrast, *grid[1:]))
    positive, negative = (sum(coin[n] for coin in coins.values()) for n in (0, 1))
    for (_, places), (_, first, last) in zip(of_matrices, found.bounds, strict=True):
        for n in range(first, last):
            image = int(found.context[n]) // (grid[1] * grid[2])
            each = 1 / (len(places) * len(of_matrices))
            for coin, total, weights in (
                (coins[image][0], positive, found.positive_weight),
                (coins[image][1], negative, found.negative_weight),
            ):
                assert float(weights[n]) == pytest.approx(each / total if coin else 0.0)


def test_rows_of_seven_by_seven_patches_predict_downward_from_two_to_six():
    """The paper's grid: one row is skipped, five predictions with a matrix each."""
    found = groups(Contrast(), 7, 7)
    assert [group.matrix for group in found] == [0, 1, 2, 3, 4]
    for k, group in enumerate(found, start=1):
        assert group.context == tuple(range((7 - 1 - k) * 7))
        assert group.sample == tuple(place + 7 * (k + 1) for place in group.context)


def test_around_has_a_matrix_for_each_direction_and_distance():
    found = {group.matrix: group for group in groups(Contrast(task="around", steps=2, skip=0), 3, 3)}
    middle = {
        matrix: group.sample[group.context.index(4)] for matrix, group in found.items() if matrix % 2 == 0
    }
    assert middle == {0: 7, 2: 1, 4: 5, 6: 3}  # down, up, right, left
    assert {matrix: len(group.context) for matrix, group in found.items()} == dict(enumerate([6, 3] * 4))


def counted(values, outcomes):
    counts = dict.fromkeys(outcomes, 0)
    for value in values:
        counts[value] += 1
    return list(counts.values())


def test_negatives_from_anywhere_are_uniform_and_independent():
    contrast, (images, rows, columns) = Contrast(steps=1, skip=1, negatives=2), (3, 4, 2)
    first, couples = [], []
    for seed in range(200):
        negatives, _ = image_oracle.decoded(contrast, drawn(contrast, (3, 4, 2), seed), images, rows, columns)
        first += [fakes[0] for fakes in negatives.values()]
        couples += [tuple(fake[0] for fake in fakes) for fakes in negatives.values()]
    legal = list(product(range(images), (2, 3), range(columns)))
    assert stats.chisquare(counted(first, legal)).pvalue > UNLIKELY
    assert stats.chisquare(counted(couples, product(range(images), repeat=2))).pvalue > UNLIKELY


def test_negatives_from_the_same_place_are_uniform_over_other_images_and_independent_of_each_other():
    contrast, grid = Contrast(steps=1, skip=0, source="same_place"), (4, 2, 2)
    of_places, of_images = [], []
    for seed in range(600):
        negatives, _ = image_oracle.decoded(contrast, drawn(contrast, grid, seed), *grid)
        of_places.append(tuple(negatives[0, 1, (0, column)][0][0] for column in (0, 1)))
        of_images.append(tuple(negatives[0, image, (0, 0)][0][0] for image in (0, 1)))
    assert stats.chisquare(counted(of_places, product((0, 2, 3), repeat=2))).pvalue > UNLIKELY
    assert stats.chisquare(counted(of_images, product((1, 2, 3), (0, 2, 3)))).pvalue > UNLIKELY


def test_negatives_from_the_same_image_are_uniform_over_its_samples_and_independent():
    contrast, (images, rows, columns) = Contrast(steps=1, skip=0, negatives=2, source="same_image"), (3, 4, 2)
    couples = []
    for seed in range(200):
        negatives, _ = image_oracle.decoded(contrast, drawn(contrast, (3, 4, 2), seed), images, rows, columns)
        for (_, image, _), fakes in negatives.items():
            assert {fake[0] for fake in fakes} == {image}
            couples.append(tuple(fake[1:] for fake in fakes))
    legal = list(product((1, 2, 3), range(columns)))
    assert stats.chisquare(counted(couples, product(legal, repeat=2))).pvalue > UNLIKELY


def test_negatives_from_one_image_are_uniform_over_other_images_and_drawn_for_each_group_and_image():
    contrast, grid = Contrast(steps=2, skip=0, source="one_image"), (4, 3, 2)
    of_groups, of_images = [], []
    for seed in range(600):
        negatives, _ = image_oracle.decoded(contrast, drawn(contrast, grid, seed), *grid)
        of_groups.append(tuple(negatives[group, 1, (0, 0)][0][0] for group in (0, 1)))
        of_images.append(tuple(negatives[0, image, (0, 0)][0][0] for image in (0, 1)))
    assert stats.chisquare(counted(of_groups, product((0, 2, 3), repeat=2))).pvalue > UNLIKELY
    assert stats.chisquare(counted(of_images, product((1, 2, 3), (0, 2, 3)))).pvalue > UNLIKELY


def test_either_has_a_fair_coin_for_each_image():
    contrast, grid = Contrast(steps=1, skip=0, pairs="either"), (3, 2, 1)
    tosses = []
    for seed in range(800):
        _, coins = image_oracle.decoded(contrast, drawn(contrast, grid, seed), *grid)
        tosses.append(tuple(coins[image][0] for image in range(3)))
    assert stats.chisquare(counted(tosses, product((True, False), repeat=3))).pvalue > UNLIKELY


@pytest.mark.parametrize("images", [1, 2, 5])
def test_either_weighs_on_average_as_both_do(images):
    """Whenever a batch has a positive, positives weigh 1 together; it has none once in 2^images."""
    grid = (images, 3, 2)
    contrast = Contrast(steps=2, skip=0, pairs="either")
    both = drawn(replace(contrast, pairs="both"), grid).positive_weight
    assert float(both.sum()) == pytest.approx(1)
    total, draws = torch.zeros(2, len(both)).double(), 3000
    for seed in range(draws):
        found = drawn(contrast, grid, seed)
        weights = torch.stack([found.positive_weight, found.negative_weight])
        for side in weights.sum(1).tolist():
            assert side == 0 or side == pytest.approx(1)
        total += weights
    expected = both * (1 - 2.0**-images)
    # A weight is at most `images` times that of "both": its mean over the draws has this error at most.
    error = images * both / draws**0.5
    assert bool(((total / draws - expected).abs() < 4 * error).all())


def test_weights_have_the_type_of_the_features():
    like = torch.zeros((), dtype=torch.float32)
    found = draw(Contrast(steps=1, skip=0), 2, 3, 1, np.random.default_rng(0), like)
    assert found.positive_weight.dtype == found.negative_weight.dtype == torch.float32
    assert found.context.dtype == found.sample.dtype == found.negative.dtype == torch.int64


@pytest.mark.parametrize("source", ["same_place", "one_image"])
def test_another_image_needs_two(source):
    with pytest.raises(ValueError, match="at least two images"):
        drawn(Contrast(steps=1, skip=0, source=source), (1, 3, 1))


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 1), (7, 7)])
def test_views_are_two(rows, columns):
    with pytest.raises(ValueError, match="two views of each image, not"):
        groups(Contrast(task="views"), rows, columns)

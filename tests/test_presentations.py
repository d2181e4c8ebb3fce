"""The stream that all worlds share."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.data import digits
from neuroclapp.presentations import Glimpse, Order, Presentations, fixations, generator, survey


@given(seed=st.integers(0, 2**32 - 1), images=st.integers(2, 9), count=st.integers(1, 41))
def test_the_eye_sees_each_image_twice_and_then_another(seed, images, count):
    pixels = np.random.default_rng(seed).random((images, 5))
    stream = fixations(pixels, pixels.mean(0), count, Glimpse(noise=0.1), np.random.default_rng(seed))
    same = stream.image[1:] == stream.image[:-1]
    assert stream.sign[0] == 0
    np.testing.assert_array_equal(same, stream.sign[1:] > 0)
    np.testing.assert_array_equal(stream.sign[1:], np.where(np.arange(1, count) % 2, 1, -1))


@given(seed=st.integers(0, 2**32 - 1))
def test_a_glimpse_without_noise_holds_the_centred_image(seed):
    pixels = np.random.default_rng(seed).random((4, 6))
    seen = Glimpse(contrast=0.5).look(pixels, pixels.mean(0), np.random.default_rng(0))
    assert (seen >= 0).all()
    np.testing.assert_allclose(seen[:, :6] - seen[:, 6:], 0.5 * (pixels - pixels.mean(0)), atol=1e-15)
    assert (seen[:, :6] * seen[:, 6:] == 0).all()


def test_noise_is_fresh_in_every_glimpse_and_of_the_stated_size():
    pixels = np.zeros((1, 64))
    stream = fixations(np.zeros((2, 64)), pixels[0], 2000, Glimpse(noise=0.3), generator(0, "test"))
    seen = stream.inputs[:, :64] - stream.inputs[:, 64:]
    assert abs(seen.std() - 0.3) < 0.005
    assert abs(np.corrcoef(seen[:-1].ravel(), seen[1:].ravel())[0, 1]) < 0.02


def test_the_same_seed_gives_the_same_stream_and_other_seeds_others():
    split = digits.load()

    def draw(seed):
        return fixations(split.training.images, split.mean, 50, Glimpse(noise=0.3), generator(seed, "stream"))

    assert np.array_equal(draw(3).inputs, draw(3).inputs)
    assert not np.array_equal(draw(3).inputs, draw(4).inputs)
    assert not np.array_equal(generator(3, "stream").random(5), generator(3, "survey").random(5))


def test_a_survey_shows_every_image_once_without_pairs():
    pixels = np.random.default_rng(0).random((7, 4))
    seen = survey(pixels, pixels.mean(0), Glimpse(), np.random.default_rng(0))
    np.testing.assert_array_equal(seen.image, np.arange(7))
    assert not seen.sign.any()


def test_training_validation_and_test_images_are_disjoint():
    split = digits.load()
    parts = [split.training, split.validation, split.test]
    assert [len(part.images) for part in parts] == [1000, 297, 500]
    from sklearn.datasets import load_digits

    rows = np.concatenate([part.images for part in parts]) * 16
    assert np.array_equal(np.unique(rows, axis=0), np.unique(load_digits().data, axis=0))
    assert split.training.images.max() == 1.0
    np.testing.assert_allclose(split.mean, split.training.images.mean(axis=0))


def numbered(count):
    """Presentations n = 0, 1, ... whose only input is n: A1 A2 B1 B2 ..."""
    sign = np.where(np.arange(count) % 2 == 1, 1, -1).astype(np.int8)
    sign[:1] = 0
    n = np.arange(count)
    return Presentations(n[:, None] * 1.0, sign, n // 2)


@pytest.mark.parametrize(
    ("order", "shown"),
    [
        (Order("seen"), [0, 1, 2, 3, 4, 5]),
        (Order("alternating"), [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]),
        (Order("day_and_night", 1), [0, 1, 1, 2, 2, 3, 3, 4, 4, 5]),
        (Order("day_and_night", 2), [0, 1, 2, 3, 1, 2, 3, 4, 4, 5]),
        (Order("day_and_night", 9), [0, 1, 2, 3, 4, 5, 1, 2, 3, 4]),
    ],
)
def test_pairs_are_shown_in_the_order_asked_for(order, shown):
    arranged = order.arranged(numbered(6), np.random.default_rng(0))
    np.testing.assert_array_equal(arranged.inputs[:, 0], shown)
    np.testing.assert_array_equal(arranged.image, np.array(shown) // 2)


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 30),
    block=st.integers(1, 12),
    kind=st.sampled_from(["alternating", "shuffled", "day_and_night"]),
)
def test_every_order_has_the_same_pairs_with_their_signs(seed, count, block, kind):
    arranged = Order(kind, block).arranged(numbered(count), np.random.default_rng(seed))
    assert not arranged.sign[0::2].any()
    inputs, sign = arranged.inputs[:, 0], arranged.sign
    pairs = sorted((inputs[n - 1], inputs[n], sign[n]) for n in range(1, len(arranged), 2))
    assert pairs == [(n - 1, n, 1 if n % 2 else -1) for n in range(1, count)]


def test_a_shuffled_order_stays_within_its_blocks_and_depends_on_the_generator():
    first, second = (
        Order("shuffled", 3).arranged(numbered(13), np.random.default_rng(seed)).inputs[1::2, 0]
        for seed in (0, 1)
    )
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first[:6]), np.arange(1, 7))
    np.testing.assert_array_equal(np.sort(first[6:]), np.arange(7, 13))

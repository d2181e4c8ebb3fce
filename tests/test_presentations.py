"""The stream that all worlds share."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.data import digits
from neuroclapp.presentations import Glimpse, fixations, generator, survey


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

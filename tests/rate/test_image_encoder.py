"""The image estimator: scikit-learn's conventions, and what it does is what the parts below it do."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from neuroclapp.errors import InputError
from neuroclapp.rate.image_encoder import CLAPPImageEncoder

MODEL = """
title = "two layers"
input = [1, 8, 8]
[[layers]]
name = "one"
kind = "conv"
units = 6
pool = 2
[[layers]]
name = "two"
kind = "conv"
units = 5
"""


def images(count=12, seed=0, colour=False):
    draw = np.random.default_rng(seed)
    return draw.integers(0, 256, (count, 24, 24, 3) if colour else (count, 24, 24)).astype(np.uint8)


@pytest.fixture
def encoder(tmp_path):
    path = tmp_path / "two.toml"
    path.write_text(MODEL, encoding="utf-8")
    return CLAPPImageEncoder(str(path), 1.0, steps=1, patch=8, stride=4, updates=20, batch=4)


def test_features_have_a_row_for_each_image_and_the_layers_units(encoder):
    found = encoder.fit(images()).transform(images(7, 1))
    assert found.shape == (7, 5)
    assert encoder.set_params(layer=0).transform(images(7, 1)).shape == (7, 6)


def test_the_same_random_state_gives_the_same_bits(encoder):
    first, second = (clone(encoder).fit(images()).transform(images(3, 1)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = clone(encoder).set_params(random_state=1).fit(images()).transform(images(3, 1))
    assert not np.array_equal(first, other)


def test_colour_is_learned_from_as_three_channels(encoder):
    encoder.fit(images(colour=True))
    assert dict(encoder.network_.named_arrays())["one.w_ff"].shape[1] == 3


def test_training_lowers_the_loss(encoder):
    draw = np.random.default_rng(2)
    stripes = np.repeat(draw.integers(0, 256, (40, 1, 24)), 24, axis=1).astype(np.uint8)
    encoder.set_params(updates=400).fit(stripes)
    assert np.mean(encoder.history_.loss[-1]) < np.mean(encoder.history_.loss[0]) - 0.1


@pytest.mark.parametrize("wrong", [images() / 255.0, images()[0], images()[..., None]])
def test_what_is_not_images_is_refused(encoder, wrong):
    with pytest.raises(InputError, match="must be uint8"):
        encoder.fit(wrong)


def test_an_encoder_that_has_not_learned_says_so(encoder):
    with pytest.raises(NotFittedError):
        encoder.transform(images())

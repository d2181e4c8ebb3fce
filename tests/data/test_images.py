"""Grey values, statistics, and how a set is divided."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from neuroclapp.catalog import describe
from neuroclapp.data.images import CHUNK, ImageData, Images, Statistics, load
from neuroclapp.errors import InputError


def write(path, per_class=10, classes=3, side=8):
    """Write an .npz set in which the pixels of an image all hold its number."""
    labels = np.tile(np.arange(classes), per_class)
    pixels = np.broadcast_to(np.arange(len(labels), dtype=np.uint8)[:, None, None], (len(labels), side, side))
    known = {"training_labels": labels, "test_labels": labels[:4]}
    np.savez(path, training_images=pixels, test_images=pixels[:4] + np.uint8(200), **known)
    return labels


def described(path, **changed):
    settings = {"crop": 8, "patch": 4, "stride": 2, "validation_per_class": 3, **changed}
    return ImageData(name="npz", path=str(path), **settings)


def numbers(images):
    return images.pixels[:, 0, 0, 0].tolist()


def test_grey_is_that_of_pillow():
    levels = np.array([0, 1, 2, 63, 64, 127, 128, 200, 254, 255], dtype=np.uint8)
    corners = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(-1, 10, 10, 3)
    noise = np.random.default_rng(0).integers(0, 256, (CHUNK + 3, 10, 10, 3), dtype=np.uint8)
    pixels = np.concatenate([corners, noise])
    expected = [np.asarray(Image.fromarray(image).convert("L")) for image in pixels]
    grey = Images(pixels.transpose(0, 3, 1, 2), np.arange(len(pixels))).grey()
    np.testing.assert_array_equal(grey.pixels[:, 0], expected)
    np.testing.assert_array_equal(grey.labels, np.arange(len(pixels)))


@given(seed=st.integers(0, 2**32 - 1), channels=st.sampled_from([1, 3]))
def test_statistics_are_mean_and_standard_deviation_of_the_full_range(seed, channels):
    pixels = np.random.default_rng(seed).integers(0, 256, (3, channels, 4, 5), dtype=np.uint8)
    statistics = Statistics.of(Images(pixels))
    np.testing.assert_allclose(statistics.mean, (pixels / 255).mean(axis=(0, 2, 3)), atol=1e-12)
    np.testing.assert_allclose(statistics.std, (pixels / 255).std(axis=(0, 2, 3)), atol=1e-12)


@pytest.mark.parametrize(
    ("pixels", "labels"),
    [
        (np.zeros((2, 1, 4, 4)), None),
        (np.zeros((2, 4, 4), np.uint8), None),
        (np.zeros((2, 2, 4, 4), np.uint8), None),
        (np.zeros((2, 1, 4, 4), np.uint8), np.zeros(3, np.int64)),
    ],
)
def test_images_of_another_shape_are_refused(pixels, labels):
    with pytest.raises(ValueError, match=r"uint8|do not belong"):
        Images(pixels, labels)


@given(crop=st.integers(1, 40), patch=st.integers(1, 40), stride=st.integers(1, 12))
def test_the_grid_counts_the_patches_that_fit(crop, patch, stride):
    if patch > crop:
        with pytest.raises(ValidationError, match=f"patch = {patch} is larger than crop = {crop}"):
            ImageData(name="npz", crop=crop, patch=patch, stride=stride)
        return
    starts = [start for start in range(0, crop, stride) if start + patch <= crop]
    assert ImageData(name="npz", crop=crop, patch=patch, stride=stride).grid == (len(starts), len(starts))


def test_the_papers_grid_is_seven_by_seven():
    assert ImageData(name="stl10").grid == (7, 7)


def test_a_description_names_the_key_at_fault():
    with pytest.raises(InputError, match=r"mine\.toml.*: patch = 16 is larger than crop = 8; at most 8"):
        describe({"name": "stl10", "crop": 8}, ImageData, "mine.toml")
    with pytest.raises(InputError, match=r"mine\.toml: name = 'mnist'"):
        describe({"name": "mnist"}, ImageData, "mine.toml")


def test_validation_is_held_out_by_class_and_the_rest_is_learned_from(tmp_path):
    labels = write(tmp_path / "set.npz")
    images = load(described(tmp_path / "set.npz"))
    np.testing.assert_array_equal(np.bincount(images.validation.labels), [3, 3, 3])
    assert set(numbers(images.training)) | set(numbers(images.validation)) == set(range(30))
    assert not set(numbers(images.unlabelled)) & set(numbers(images.validation))
    assert len(images.unlabelled) == 21
    np.testing.assert_array_equal(labels[numbers(images.training)], images.training.labels)
    assert numbers(images.test) == [200, 201, 202, 203]
    assert images.classes == ("0", "1", "2")


def test_few_labels_are_among_more_and_do_not_depend_on_validation(tmp_path):
    write(tmp_path / "set.npz")
    parts = {
        (few, held): load(described(tmp_path / "set.npz", labels_per_class=few, validation_per_class=held))
        for few, held in ((1, 3), (4, 3), (4, 5))
    }
    training = {key: set(numbers(images.training)) for key, images in parts.items()}
    assert training[1, 3] < training[4, 3] == training[4, 5]
    assert set(numbers(parts[4, 3].validation)) < set(numbers(parts[4, 5].validation))
    assert [len(images.unlabelled) for images in parts.values()] == [21, 21, 15]
    np.testing.assert_array_equal(np.bincount(parts[4, 3].training.labels), [4, 4, 4])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"validation_per_class": 10}, "validation_per_class = 10: class '0' has 10 labelled images"),
        ({"labels_per_class": 8}, "labels_per_class = 8: class '0' has 10 labelled images"),
        ({"crop": 9}, "crop = 9: the images have 8x8 pixels, so at most 8"),
    ],
)
def test_what_a_set_cannot_give_is_named(changed, message, tmp_path):
    write(tmp_path / "set.npz")
    with pytest.raises(InputError, match=rf"set\.npz: {message}"):
        load(described(tmp_path / "set.npz", **changed))


def test_images_without_contrast_are_refused(tmp_path):
    blank, labels = np.full((8, 8, 8), 7, np.uint8), np.zeros(8, np.int64)
    arrays = {
        "training_images": blank,
        "training_labels": labels,
        "test_images": blank,
        "test_labels": labels,
    }
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(InputError, match="all pixels of the images to learn from are equal"):
        load(described(tmp_path / "set.npz"))

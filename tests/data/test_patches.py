"""Batches of patches: against loops over single pixels, and the same for the same step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.data.images import ImageData, Images, Statistics
from neuroclapp.data.patches import Batches, centre_crops, crops, normalisation, patches, survey
from neuroclapp.errors import InputError

DATA = ImageData(name="npz", crop=12, patch=4, stride=2)  # a grid of 5x5
GREY = Statistics(mean=(0.4,), std=(0.25,))
COLOUR = Statistics(mean=(0.4, 0.5, 0.6), std=(0.25, 0.2, 0.3))


def photographs(count=11, channels=1, height=16, width=15, seed=0):
    shape = (count, channels, height, width)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Images(pixels, np.arange(count) % 3)


def statistics(channels):
    return GREY if channels == 1 else COLOUR


def cut(image, size, y, x, flip):
    """Cut a square from one image (channels, height, width)."""
    square = image[:, y : y + size, x : x + size]
    return square[:, :, ::-1] if flip else square


def grid(crop, data, statistics):
    """Return the normalised patches (rows, columns, channels, patch, patch) of one crop, one by one."""
    rows, columns = data.grid
    seen = np.empty((rows, columns, len(crop), data.patch, data.patch))
    for row in range(rows):
        for column in range(columns):
            for channel in range(len(crop)):
                y, x = row * data.stride, column * data.stride
                part = crop[channel, y : y + data.patch, x : x + data.patch]
                seen[row, column, channel] = (part / 255 - statistics.mean[channel]) / statistics.std[channel]
    return seen


def same(one, other):
    """Whether two batches are equal to the bit."""
    names = ("patches", "labels", "index", "columns")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.integers(1, 9),
    channels=st.sampled_from([1, 3]),
    extra=st.integers(0, 4),
)
def test_crops_are_squares_of_the_images_mirrored_where_asked(seed, size, channels, extra):
    draw = np.random.default_rng(seed)
    pixels = photographs(4, channels, size + extra, size + 2, seed).pixels
    y, x, flip = draw.integers(0, extra + 1, 4), draw.integers(0, 3, 4), draw.random(4) < 0.5
    expected = [cut(*each) for each in zip(pixels, [size] * 4, y, x, flip, strict=True)]
    found = crops(pixels, size, y, x, flip)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8


def test_centre_crops_leave_equal_margins():
    pixels = photographs(2, 3, 10, 12).pixels
    np.testing.assert_array_equal(centre_crops(pixels, 6), pixels[:, :, 2:8, 3:9])


@given(
    seed=st.integers(0, 2**32 - 1),
    channels=st.sampled_from([1, 3]),
    crop=st.integers(4, 14),
    patch=st.integers(1, 4),
    stride=st.integers(1, 5),
    taken=st.integers(0, 5),
)
def test_patches_are_those_of_a_loop_over_rows_and_columns(seed, channels, crop, patch, stride, taken):
    data = ImageData(name="npz", crop=crop, patch=patch, stride=stride)
    pixels = photographs(3, channels, crop, crop, seed).pixels
    draw = np.random.default_rng(seed)
    columns = draw.integers(0, data.grid[1], (3, taken)) if taken else None
    found = patches(pixels, patch, stride, columns, normalisation(statistics(channels)))
    expected = np.stack([grid(image, data, statistics(channels)) for image in pixels])
    if columns is not None:
        expected = np.stack([one[:, chosen] for one, chosen in zip(expected, columns, strict=True)])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
    assert found.dtype == np.float32
    assert found.flags.c_contiguous


def test_a_table_of_other_channels_is_refused():
    with pytest.raises(ValueError, match="1 channels does not fit images of 3"):
        patches(photographs(2, 3).pixels, 4, 2, None, normalisation(GREY))


@pytest.mark.parametrize("columns", [None, 2])
def test_a_step_is_the_same_whatever_was_asked_before(columns):
    images = photographs()

    def fresh(seed=5):
        return Batches(images, DATA, GREY, batch=3, seed=seed, columns=columns)

    used = fresh()
    for step in (0, 7, 2, 30, 1, 7):
        assert same(used[step], fresh()[step])
    assert not np.array_equal(fresh(6)[7].patches, used[7].patches)
    assert not np.array_equal(used[8].patches, used[7].patches)


def test_an_epoch_shows_an_image_once_and_drops_an_incomplete_batch():
    batches = Batches(photographs(11), DATA, GREY, batch=3, seed=0)
    assert batches.per_epoch == 3
    epochs = [np.concatenate([batches[3 * epoch + step].index for step in range(3)]) for epoch in range(4)]
    for index in epochs:
        assert len(set(index.tolist())) == 9
    assert not np.array_equal(epochs[0], epochs[1])
    assert set(np.concatenate(epochs).tolist()) == set(range(11))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_batch_holds_columns_of_the_grid_of_a_crop_of_its_image(channels):
    images = photographs(6, channels)
    batches = Batches(images, DATA, statistics(channels), batch=6, seed=1, columns=2)
    whole = Batches(images, DATA, statistics(channels), batch=6, seed=1)
    offsets, mirrored, chosen = set(), set(), set()
    for step in range(6):
        batch, full = batches[step], whole[step]
        assert batch.patches.shape == (6, 5, 2, channels, 4, 4)
        assert full.patches.shape == (6, 5, 5, channels, 4, 4)
        np.testing.assert_array_equal(full.columns, [[0, 1, 2, 3, 4]] * 6)
        np.testing.assert_array_equal(batch.labels, batch.index % 3)
        assert (np.diff(batch.columns, axis=1) > 0).all()
        for number, image in enumerate(images.pixels[batch.index]):
            seen = full.patches[number]
            np.testing.assert_array_equal(batch.patches[number], seen[:, batch.columns[number]])
            chosen.add(tuple(batch.columns[number].tolist()))
            places = [
                (y, x, flip)
                for y in range(5)
                for x in range(4)
                for flip in (False, True)
                if np.allclose(seen, grid(cut(image, 12, y, x, flip), DATA, statistics(channels)), atol=1e-5)
            ]
            assert len(places) == 1
            offsets.add(places[0][:2])
            mirrored.add(places[0][2])
    assert len(offsets) > 10
    assert mirrored == {False, True}
    assert len(chosen) > 5


def test_every_pair_of_columns_is_drawn_equally_often():
    batches = Batches(photographs(50), DATA, GREY, batch=50, seed=2, columns=2)
    drawn = np.concatenate([batches[step].columns for step in range(40)])
    counts = np.unique(drawn, axis=0, return_counts=True)[1]
    # 2000 draws among 10 pairs: 200 each, with a standard deviation of 13.4; five of them are allowed.
    assert len(counts) == 10
    assert (abs(counts - 200) < 67).all()


def test_without_flip_no_image_is_mirrored():
    images = photographs(4, height=12, width=12)
    data = ImageData(name="npz", crop=12, patch=4, stride=2, flip=False)
    batches = Batches(images, data, GREY, batch=4, seed=0)
    for step in range(8):
        batch = batches[step]
        for seen, index in zip(batch.patches, batch.index, strict=True):
            np.testing.assert_allclose(seen, grid(images.pixels[index], data, GREY), atol=1e-5)


def test_without_augmentation_the_centre_is_seen():
    images = photographs(4)
    batch = Batches(images, DATA, GREY, batch=4, seed=0, augment=False)[3]
    centre = centre_crops(images.pixels, 12)
    for seen, index in zip(batch.patches, batch.index, strict=True):
        np.testing.assert_allclose(seen, grid(centre[index], DATA, GREY), atol=1e-5)


def test_a_survey_shows_the_centre_of_every_image_in_order():
    images = photographs(7)
    batches = list(survey(images, DATA, GREY, batch=3))
    assert [len(batch.index) for batch in batches] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([batch.index for batch in batches]), np.arange(7))
    np.testing.assert_array_equal(np.concatenate([batch.labels for batch in batches]), images.labels)
    seen = np.concatenate([batch.patches for batch in batches])
    expected = [grid(crop, DATA, GREY) for crop in centre_crops(images.pixels, 12)]
    np.testing.assert_allclose(seen, expected, atol=1e-5)


def test_unlabelled_images_give_batches_without_labels():
    images = Images(photographs(4).pixels)
    assert Batches(images, DATA, GREY, batch=2, seed=0)[0].labels is None
    assert next(survey(images, DATA, GREY, batch=2)).labels is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch": 12}, "npz: batch = 12: must be 1 to 11, the number of images"),
        ({"batch": 0}, "npz: batch = 0"),
        ({"columns": 6}, "npz: columns = 6: must be 1 to 5"),
        ({"columns": 0}, "npz: columns = 0"),
    ],
)
def test_a_batch_that_cannot_be_filled_is_refused(changed, message):
    with pytest.raises(InputError, match=message):
        Batches(photographs(11), DATA, GREY, **{"batch": 2, "seed": 0, **changed})


def test_there_is_no_step_before_the_first():
    with pytest.raises(IndexError, match="step -1"):
        Batches(photographs(), DATA, GREY, batch=2, seed=0)[-1]

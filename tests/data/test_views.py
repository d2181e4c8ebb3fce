"""Two views of an image: against Pillow, scipy and hand calculation, and the same for the same step."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import gaussian_filter1d

from neuroclapp.catalog import describe
from neuroclapp.data.images import ImageData, Images, Statistics
from neuroclapp.data.patches import Batches
from neuroclapp.data.views import Augmentation, Views, blurring, boxes, jitter, resampling
from neuroclapp.errors import InputError

DATA = ImageData(name="npz", crop=8, patch=4)
GREY = Statistics(mean=(0.4,), std=(0.25,))
COLOUR = Statistics(mean=(0.4, 0.5, 0.6), std=(0.25, 0.2, 0.3))
#: Every view is the whole image.
WHOLE = {"scale": (1.0, 1.0), "flip": False, "jitter": 0.0, "blur": 0.0}


def photographs(count=11, channels=1, height=16, width=16, seed=0, least=0, most=255):
    shape = (count, channels, height, width)
    pixels = np.random.default_rng(seed).integers(least, most, shape, dtype=np.uint8, endpoint=True)
    return Images(pixels, np.arange(count) % 3)


def ramps(count, height, width):
    """Return images whose channels are 6 times the column, 6 times the row, and the image's number."""
    rows, columns = np.mgrid[:height, :width] * 6
    return Images(np.stack([[columns, rows, np.full_like(rows, n)] for n in range(count)]).astype(np.uint8))


def seen(views, step):
    """Return the views of a step in grey values (images, 2, channels, crop, crop)."""
    mean, std = (np.array(part)[:, None, None] for part in (views.statistics.mean, views.statistics.std))
    return (views[step].patches[:, :, 0] * std + mean) * 255


def made(images, step=0, data=DATA, **how):
    statistics = GREY if images.pixels.shape[1] == 1 else COLOUR
    return seen(Views(images, data, statistics, len(images), 1, Augmentation(**how)), step)


def bilinear(line, start, length, size):
    """Interpolate one line at the centres of ``size`` pixels of its part, one by one."""
    result = []
    for pixel in range(size):
        place = start + (pixel + 0.5) * length / size - 0.5
        place = min(max(place, 0), len(line) - 1)
        left = min(math.floor(place), len(line) - 2)
        result.append(line[left] + (place - left) * (line[left + 1] - line[left]))
    return result


@given(
    seed=st.integers(0, 2**32 - 1), side=st.integers(2, 20), size=st.integers(1, 24), share=st.floats(0, 1)
)
def test_enlarging_interpolates_linearly_between_pixel_centres(seed, side, size, share):
    draw = np.random.default_rng(seed)
    line, length = draw.uniform(0, 255, side), min(share * side + 1e-3, size, side)
    start = draw.uniform(0, side - length)
    matrix = resampling(np.array(start), np.array(length), side, size)
    np.testing.assert_allclose(matrix @ line, bilinear(line, start, length, size), atol=5e-3)
    assert matrix.dtype == np.float32


@given(seed=st.integers(0, 2**32 - 1), height=st.integers(2, 40), width=st.integers(2, 40))
def test_parts_are_resized_as_by_pillow(seed, height, width):
    draw = np.random.default_rng(seed)
    image, size = draw.uniform(0, 255, (height, width)).astype(np.float32), 8
    high, wide = draw.uniform(0.5, height, 3), draw.uniform(0.5, width, 3)
    top, left = draw.random(3) * (height - high), draw.random(3) * (width - wide)
    rows, columns = resampling(top, high, height, size), resampling(left, wide, width, size)
    for each in range(3):
        box = left[each], top[each], left[each] + wide[each], top[each] + high[each]
        expected = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box=box)
        np.testing.assert_allclose(rows[each] @ image @ columns[each].T, np.asarray(expected), atol=1e-2)


@given(seed=st.integers(0, 2**32 - 1), sigma=st.floats(0.1, 5), size=st.integers(1, 30))
def test_blur_is_the_gaussian_of_scipy_over_the_pixels_that_are_there(seed, sigma, size):
    lines = np.random.default_rng(seed).uniform(0, 255, (size, 2))
    found = blurring(np.array([sigma, 1.0]), size)[0] @ lines

    def filtered(values):
        return gaussian_filter1d(values, sigma, axis=0, mode="constant", truncate=300)

    np.testing.assert_allclose(found, filtered(lines) / filtered(np.ones_like(lines)), atol=1e-3)


@given(
    seed=st.integers(0, 2**32 - 1),
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    ends=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)).map(sorted),
)
def test_a_box_lies_in_the_image_and_covers_its_share(seed, height, width, ends):
    how, uniform = Augmentation(scale=tuple(ends)), np.random.default_rng(seed).random((2, 50))
    high, wide = boxes(how, height, width, uniform)
    assert ((high > 0) & (high <= height) & (wide > 0) & (wide <= width)).all()
    share = ends[0] + (ends[1] - ends[0]) * uniform[0]
    np.testing.assert_allclose(high * wide, share * height * width, rtol=1e-9)
    inside = (wide / high > 3 / 4 - 1e-9) & (wide / high < 4 / 3 + 1e-9)
    # The sides of a box out of range are those of the image: within the range, none of its area fits.
    assert (inside | np.isclose(high, height) | np.isclose(wide, width)).all()
    if height == width:
        assert inside.all()


def test_the_ratio_of_small_boxes_is_drawn_uniformly_in_its_logarithm():
    how, uniform = Augmentation(scale=(0.1, 0.5)), np.array([[0.3] * 3, [0.0, 0.25, 0.5]])
    high, wide = boxes(how, 90, 90, uniform)
    np.testing.assert_allclose(wide / high, [3 / 4, (3 / 4) ** 0.5, 1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("height", "width", "crop"), [(16, 16, 16), (16, 16, 8), (16, 24, 8), (12, 5, 16)])
def test_without_augmentation_both_views_are_the_whole_image_resized(channels, height, width, crop):
    images = photographs(5, channels, height, width)
    statistics = GREY if channels == 1 else COLOUR
    data = ImageData(name="npz", crop=crop, patch=4)
    batch = Views(images, data, statistics, 5, 0, Augmentation(**WHOLE))[2]
    assert batch.patches.shape == (5, 2, 1, channels, crop, crop)
    assert batch.patches.dtype == np.float32
    assert batch.patches.flags.c_contiguous
    np.testing.assert_array_equal(batch.labels, batch.index % 3)
    np.testing.assert_array_equal(batch.columns, np.zeros((5, 1)))
    for pair, index in zip(batch.patches, batch.index, strict=True):
        for channel in range(channels):
            image = Image.fromarray(images.pixels[index, channel].astype(np.float32))
            resized = np.asarray(image.resize((crop, crop), Image.Resampling.BILINEAR))
            expected = (resized / 255 - statistics.mean[channel]) / statistics.std[channel]
            np.testing.assert_allclose(pair[:, 0, channel], [expected, expected], atol=1e-4)


def test_each_view_is_a_random_box_of_its_image():
    images, data = ramps(40, 40, 40), ImageData(name="npz", crop=40, patch=4)
    how = Augmentation(scale=(0.2, 1), jitter=0, blur=0)
    views = Views(images, data, COLOUR, 40, 0, how)
    shares, ratios, starts, tops, mirrored = [], [], [], [], []
    for step in range(10):
        number, found = views[step].index[:, None, None, None], seen(views, step)
        np.testing.assert_allclose(found[:, :, 2], number + np.zeros((40, 2, 40, 40)), atol=1e-3)
        # A ramp that is enlarged is a ramp: its pixels tell where they lie, but for those near the edges.
        x, y = found[:, :, 0, 4:36, 4:36] / 6 + 0.5, found[:, :, 1, 4:36, 4:36] / 6 + 0.5
        wide, high = 40 / 31 * (x[..., 0, -1] - x[..., 0, 0]), 40 / 31 * (y[..., -1, 0] - y[..., 0, 0])
        line, places = np.linspace(-31 / 80, 31 / 80, 32), (40, 2, 32, 32)
        middle_x, middle_y = x.mean(axis=(2, 3)), y.mean(axis=(2, 3))
        straight_x = middle_x[..., None, None] + wide[..., None, None] * line
        straight_y = middle_y[..., None, None] + high[..., None, None] * line[:, None]
        np.testing.assert_allclose(x, np.broadcast_to(straight_x, places), atol=1e-3)
        np.testing.assert_allclose(y, np.broadcast_to(straight_y, places), atol=1e-3)
        assert (high > 0).all()
        left, top = middle_x - abs(wide) / 2, middle_y - high / 2
        assert (np.minimum(left, top) > -1e-3).all()
        assert (np.maximum(left + abs(wide), top + high) < 40 + 1e-3).all()
        shares.append(abs(wide) * high / 1600)
        ratios.append(abs(wide) / high)
        starts.append(left / (40.01 - abs(wide)))
        tops.append(top / (40.01 - high))
        mirrored.append(wide < 0)
    shares, ratios, starts, tops, mirrored = map(np.concatenate, (shares, ratios, starts, tops, mirrored))
    assert shares.min() > 0.2 - 1e-3
    assert ratios.min() > 3 / 4 - 1e-3
    assert ratios.max() < 4 / 3 + 1e-3
    # 800 draws: the standard deviation of the mean is 0.8 / sqrt(12 * 800) = 0.008, 0.010 and 0.018.
    assert abs(shares.mean() - 0.6) < 0.04
    assert abs(starts.mean() - 0.5) < 0.06
    assert abs(tops.mean() - 0.5) < 0.06
    assert abs(np.corrcoef(starts.ravel(), tops.ravel())[0, 1]) < 0.18
    assert abs(mirrored.mean() - 0.5) < 0.09
    # The two views of an image are drawn independently: 400 pairs, a standard deviation of 0.05.
    for values in (shares, starts, tops, mirrored):
        assert abs(np.corrcoef(values.T)[0, 1]) < 0.25
    assert abs(np.diff(shares)).min() > 0


def test_flip_mirrors_left_and_right():
    images = photographs(30)
    how = {"jitter": 0.0, "blur": 0.0}
    plain, flipped = made(images, flip=False, **how), made(images, flip=True, **how)
    mirrored = ~np.isclose(plain, flipped).all(axis=(2, 3, 4))
    assert 15 < mirrored.sum() < 45
    np.testing.assert_array_equal(flipped[~mirrored], plain[~mirrored])
    np.testing.assert_allclose(flipped[mirrored], plain[mirrored][..., ::-1], atol=1e-3)
    asymmetric = ImageData(name="npz", crop=8, patch=4, flip=False)
    np.testing.assert_array_equal(made(images, data=asymmetric, flip=True, **how), plain)


def test_blurred_views_are_those_of_scipy():
    images = photographs(30, 3)
    plain = made(images, jitter=0.0, blur=0.0)
    some, every = (made(images, jitter=0.0, blur=share, sigma=(1.5, 1.5)) for share in (0.5, 1.0))
    blurred = ~np.isclose(plain, some).all(axis=(2, 3, 4))
    assert 15 < blurred.sum() < 45
    np.testing.assert_allclose(some, np.where(blurred[..., None, None, None], every, plain), atol=1e-3)

    def filtered(values):
        rows = gaussian_filter1d(values, 1.5, axis=-2, mode="constant", truncate=20)
        return gaussian_filter1d(rows, 1.5, axis=-1, mode="constant", truncate=20)

    np.testing.assert_allclose(every, filtered(plain) / filtered(np.ones((8, 8))), atol=1e-2)


def test_the_width_of_the_blur_is_drawn_for_each_view():
    point = np.zeros((40, 1, 9, 9), np.uint8)
    point[:, :, 4, 4] = 255
    data = ImageData(name="npz", crop=9, patch=4)
    found = made(Images(point), data=data, **{**WHOLE, "blur": 1.0, "sigma": (0.5, 1.5)})
    # The ratio of a neighbour to the point is exp(-1 / 2 sigma^2), whatever the ends of the line do.
    sigma = (-2 * np.log(found[:, :, 0, 4, 3] / found[:, :, 0, 4, 4])) ** -0.5
    assert sigma.min() > 0.5
    assert sigma.max() < 1.6  # the point's row and its neighbours are not cut off at the same distance
    assert len(np.unique(sigma.round(6))) == 80


def test_jitter_is_that_of_a_loop_over_pixels():
    draw = np.random.default_rng(0)
    before = draw.uniform(0, 255, (2, 2, 3, 4, 4)).astype(np.float32)
    brightness, contrast = np.array([[1, 1.8], [0.5, 1]]), np.array([[1, 1.5], [1, 0]])
    after = before.copy()
    jitter(after, brightness, contrast)
    for view in np.ndindex(2, 2):
        bright = [brightness[view] * float(value) for value in before[view].ravel()]
        mean = sum(bright) / len(bright)
        expected = [min(max(contrast[view] * (value - mean) + mean, 0), 255) for value in bright]
        np.testing.assert_allclose(after[view].ravel(), expected, atol=1e-3)
    np.testing.assert_array_equal(after[0, 0], before[0, 0])
    assert after[0, 1].max() == 255


@pytest.mark.parametrize(("brightness", "contrast"), [(0.4, 0.4), (0.0, 0.4), (0.4, 0.0), (3.0, 0.0)])
def test_factors_are_drawn_for_each_view_within_their_range(brightness, contrast):
    images = photographs(200, height=8, width=8, least=20, most=40)
    how = {**WHOLE, "jitter": 0.8, "brightness": brightness, "contrast": contrast}
    plain, found = made(images, **WHOLE), made(images, **how)
    centred = plain - plain.mean(axis=(2, 3, 4), keepdims=True)
    mean, slope = (
        found.mean(axis=(2, 3, 4)),
        (found * centred).sum(axis=(2, 3, 4)) / (centred**2).sum(axis=(2, 3, 4)),
    )
    np.testing.assert_allclose(
        found, mean[..., None, None, None] + slope[..., None, None, None] * centred, atol=1e-2
    )
    b = mean / plain.mean(axis=(2, 3, 4))
    c = slope / b
    jittered = np.zeros(b.shape, dtype=bool)
    for factor, value in ((b, brightness), (c, contrast)):
        low, high = max(0, 1 - value), 1 + value
        assert factor.min() > low - 1e-3
        assert factor.max() < high + 1e-3
        changed = abs(factor - 1) > 1e-3
        jittered |= changed
        if value:
            # About 320 uniform draws; five standard deviations of their mean.
            allowed = 5 * (high - low) / math.sqrt(12 * changed.sum())
            assert abs(factor[changed].mean() - (low + high) / 2) < allowed
            assert abs(np.corrcoef(factor.T)[0, 1]) < 0.36  # 200 pairs
        else:
            assert not changed.any()
    # 400 draws with probability 0.8: 320, with a standard deviation of 8.
    assert abs(jittered.sum() - 320) <= 40


def test_a_step_is_the_same_whatever_was_asked_before():
    images = photographs()

    def fresh(seed=5):
        return Views(images, DATA, GREY, 3, seed, Augmentation())

    used = fresh()
    for step in (0, 7, 2, 30, 1, 7):
        one, other = used[step], fresh()[step]
        for name in ("patches", "labels", "index", "columns"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert not np.array_equal(fresh(6)[7].patches, used[7].patches)


def test_an_image_is_seen_otherwise_in_every_step_and_with_every_seed():
    runs = [Views(photographs(1), DATA, GREY, 1, seed, Augmentation()) for seed in (0, 1)]
    found = np.concatenate([views[step].patches.reshape(2, -1) for views in runs for step in range(10)])
    assert len(np.unique(found, axis=0)) == 40


def test_images_come_in_the_order_of_batches_of_patches():
    images = photographs()
    views = Views(images, DATA, GREY, 3, 4, Augmentation())
    batches = Batches(images, DATA, GREY, 3, 4)
    assert views.per_epoch == batches.per_epoch == 3
    for step in (0, 1, 2, 3, 10):
        np.testing.assert_array_equal(views[step].index, batches[step].index)


def test_unlabelled_images_give_views_without_labels():
    assert Views(Images(photographs(4).pixels), DATA, GREY, 2, 0, Augmentation())[0].labels is None


@pytest.mark.parametrize("batch", [0, 12])
def test_a_batch_that_cannot_be_filled_is_refused(batch):
    with pytest.raises(InputError, match=f"npz: batch = {batch}: must be 1 to 11, the number of images"):
        Views(photographs(11), DATA, GREY, batch, 0, Augmentation())


def test_there_is_no_step_before_the_first():
    with pytest.raises(IndexError, match="step -1"):
        Views(photographs(), DATA, GREY, 2, 0, Augmentation())[-1]


def test_statistics_of_other_channels_are_refused():
    with pytest.raises(ValueError, match="1 channels do not fit images of 3"):
        Views(photographs(channels=3), DATA, GREY, 2, 0, Augmentation())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scale": [0, 1]}, r"scale = \[0\.0, 1\.0\]: must be least and most, above 0 and at most 1"),
        ({"scale": [0.5, 1.5]}, r"scale = \[0\.5, 1\.5\]: .* at most 1"),
        ({"scale": [0.5, 0.2]}, r"scale = \[0\.5, 0\.2\]: must be least and most"),
        ({"scale": [0.5]}, r"scale\.1"),
        ({"ratio": [-1, 1]}, r"ratio = \[-1\.0, 1\.0\]: must be least and most, above 0$"),
        ({"ratio": [1, math.inf]}, r"ratio\.1 = inf: should be a finite number"),
        ({"sigma": [0, 2]}, r"sigma = \[0\.0, 2\.0\]: must be least and most, above 0$"),
        ({"sigma": [math.nan, 2]}, r"sigma\.0 = nan: should be a finite number"),
        ({"blur": 1.5}, r"blur = 1\.5: should be less than or equal to 1"),
        ({"jitter": -0.1}, r"jitter = -0\.1: should be greater than or equal to 0"),
        ({"brightness": -1}, r"brightness = -1: should be greater than or equal to 0"),
        ({"contrast": math.inf}, r"contrast = inf: should be a finite number"),
        ({"hue": 0.1}, r"hue = 0\.1: unknown key"),
    ],
)
def test_a_setting_out_of_range_is_named_with_what_is_allowed(changed, message):
    with pytest.raises(InputError, match=rf"mine\.toml.*{message}"):
        describe(changed, Augmentation, "mine.toml")


def test_ranges_are_read_from_toml():
    assert describe({"scale": [1, 1]}, Augmentation, "mine.toml") == Augmentation(scale=(1.0, 1.0))

"""What a small eye sees of photographs: coarse pixels less their surround, moved, in ON and OFF channels."""

import numpy as np

from neuroclapp.data.gaze import Eye, Gaze
from neuroclapp.data.images import Images

GAZE = Gaze(shrink=2, surround=3, crop=4, shift=1, noise=0.0, contrast=0.5)


def images(count=5, side=12):
    pixels = np.random.default_rng(0).integers(0, 256, size=(count, 1, side, side), dtype=np.uint8)
    return Images(pixels, np.arange(count))


def contrast_by_hand(pixels, y, x):
    """A coarse pixel less the mean over the 3 x 3 around it, far from the border."""
    coarse = pixels.reshape(6, 2, 6, 2).mean((1, 3)) / 255
    return coarse[y, x] - coarse[y - 1 : y + 2, x - 1 : x + 2].mean()


def test_a_survey_sees_the_middle_in_units_of_the_images_contrast():
    seen, eye = images(), Eye.used_to(images(), GAZE)
    found = eye.survey(seen).reshape(5, 2, 4, 4)
    np.testing.assert_array_equal(found.min(1), 0)  # ON or OFF
    for y in range(4):
        for x in range(4):
            for n in range(5):
                expected = 0.5 * contrast_by_hand(seen.pixels[n, 0], y + 1, x + 1) / eye.scale
                np.testing.assert_allclose(found[n, 0, y, x] - found[n, 1, y, x], expected, atol=1e-12)


def test_a_fixation_is_the_same_image_moved_and_a_saccade_another_one():
    eye = Eye.used_to(images(), GAZE)
    stream = eye.fixations(images(), 400, np.random.default_rng(1))
    assert stream.sign[:5].tolist() == [0, 1, -1, 1, -1]
    same = stream.image[1:] == stream.image[:-1]
    np.testing.assert_array_equal(same, stream.sign[1:] > 0)
    wide = Eye(Gaze(shrink=2, surround=3, crop=6, shift=0, noise=0.0, contrast=0.5), eye.scale)
    whole = wide.survey(images()).reshape(5, 2, 6, 6)
    moves = set()
    for inputs, image in zip(stream.inputs.reshape(-1, 2, 4, 4), stream.image, strict=True):
        places = [
            (y, x)
            for y in range(3)
            for x in range(3)
            if np.array_equal(inputs, whole[image][:, y : y + 4, x : x + 4])
        ]
        assert len(places) == 1
        moves |= set(places)
    assert len(moves) == 9  # all movements occur


def test_noise_is_fresh_at_every_presentation():
    noisy = Eye.used_to(images(), Gaze(shrink=2, surround=3, crop=4, shift=0, noise=0.3, contrast=1.0))
    stream = noisy.fixations(images(), 400, np.random.default_rng(1))
    signed = stream.inputs.reshape(400, 2, 16)
    first, second = (signed[start::2, 0] - signed[start::2, 1] for start in (0, 1))
    assert abs((first - second).std() / (0.3 * np.sqrt(2)) - 1) < 0.05

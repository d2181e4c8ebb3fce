"""Each published format, in small files written here: what is read is what was written."""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuroclapp.catalog import describe
from neuroclapp.data import SETS, cifar10, imagenette96, stl10
from neuroclapp.data.images import ROOT, ImageData, load
from neuroclapp.errors import InputError

#: Images of the parts of each small set: 2 classes with 4 labelled images each, 3 test images.
KNOWN, TEST = np.array([0, 1, 0, 1, 1, 0, 1, 0]), np.array([1, 0, 1])


#: How many images and numbers the small files hold, in place of the published counts.
STL10, FOLD = {"unlabeled": 5, "train": 8, "test": 3}, 3
CIFAR10 = {**dict(zip(cifar10.BATCHES, (2, 2, 2, 1, 1), strict=True)), "test_batch.bin": 3}


@pytest.fixture
def small_counts(monkeypatch):
    monkeypatch.setattr(stl10, "IMAGES", STL10)
    monkeypatch.setattr(stl10, "IN_FOLD", FOLD)
    monkeypatch.setattr(cifar10, "IMAGES", CIFAR10)


def photographs(count, side, seed):
    """Draw images (count, side, side, 3), no two alike."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def write_stl10(folder):
    """Write the archive's files: each channel of an image column by column, labels from 1."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = {
        "unlabeled": photographs(5, 96, 0),
        "train": photographs(8, 96, 1),
        "test": photographs(3, 96, 2),
    }
    for part, images in parts.items():
        with (folder / f"{part}_X.bin").open("wb") as file:
            for image in images:
                for channel in range(3):
                    for column in range(96):
                        file.write(image[:, column, channel].tobytes())
    (folder / "train_y.bin").write_bytes(bytes((KNOWN + 1).tolist()))
    (folder / "test_y.bin").write_bytes(bytes([2, 1, 2]))
    (folder / "class_names.txt").write_text("airplane\nbird\n")
    (folder / "fold_indices.txt").write_text("0 2 4 \n7 6 5 \n")
    return parts["unlabeled"], parts["train"], parts["test"]


def write_cifar10(folder):
    """Write the archive's files: a byte of label, then red, green and blue row by row."""
    folder.mkdir(parents=True, exist_ok=True)
    train, test = photographs(8, 32, 1), photographs(3, 32, 2)

    def write(name, images, labels):
        records = [
            bytes([label]) + image.transpose(2, 0, 1).tobytes()
            for image, label in zip(images, labels, strict=True)
        ]
        (folder / name).write_bytes(b"".join(records))

    for number, (start, end) in enumerate([(0, 2), (2, 4), (4, 6), (6, 7), (7, 8)], start=1):
        write(f"data_batch_{number}.bin", train[start:end], KNOWN[start:end])
    write("test_batch.bin", test, TEST)
    (folder / "batches.meta.txt").write_text("airplane\nautomobile\n\n")
    return None, train, test


def write_imagenette96(folder):
    """Write JPEG files one after another; return what Pillow decodes from them."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays, decoded = {"class_names": np.array(["tench", "church"])}, []
    for part, labels, seed in (("train", KNOWN, 1), ("val", TEST, 2)):
        files = []
        for image in photographs(len(labels), 96, seed):
            file = BytesIO()
            Image.fromarray(image).save(file, "JPEG", quality=92)
            files.append(file.getvalue())
        arrays[f"{part}_jpeg"] = np.frombuffer(b"".join(files), dtype=np.uint8)
        arrays[f"{part}_offsets"] = np.cumsum([0, *map(len, files)])
        arrays[f"{part}_y"] = labels.astype(np.uint8)
        decoded.append(np.stack([np.asarray(Image.open(BytesIO(file))) for file in files]))
    np.savez(folder / imagenette96.FILE, **arrays)
    return None, *decoded


def write_folder(folder):
    """Write PNG files into one folder for each class."""
    unlabelled, train, test = photographs(5, 20, 0), photographs(8, 20, 1), photographs(3, 20, 2)
    names = ("ant", "bee")
    for part, images, labels in (("train", train, KNOWN), ("test", test, TEST)):
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / part / names[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
    (folder / "unlabelled").mkdir()
    for number, image in enumerate(unlabelled):
        Image.fromarray(image).save(folder / "unlabelled" / f"{number}.PNG")
    (folder / "unlabelled" / "notes.txt").write_text("no image")
    by_class = [np.argsort(labels, kind="stable") for labels in (KNOWN, TEST)]
    return unlabelled, train[by_class[0]], test[by_class[1]]


def write_npz(folder):
    folder.mkdir(parents=True, exist_ok=True)
    unlabelled, train, test = photographs(5, 20, 0), photographs(8, 20, 1), photographs(3, 20, 2)
    arrays = {"training_images": train, "training_labels": KNOWN, "test_images": test, "test_labels": TEST}
    np.savez(folder / "images.npz", unlabelled=unlabelled, **arrays)
    return unlabelled, train, test


WRITERS = {
    "stl10": write_stl10,
    "cifar10": write_cifar10,
    "imagenette96": write_imagenette96,
    "folder": write_folder,
    "npz": write_npz,
}


def small(name, folder, **changed):
    """Describe a set of the small files."""
    settings = {"crop": 16, "patch": 8, "stride": 4, "validation_per_class": 1, "colour": True, **changed}
    return ImageData(name=name, path=str(folder), **settings)


def rows_first(images):
    """Return images as (images, height, width, channels)."""
    return images.pixels.transpose(0, 2, 3, 1)


@pytest.mark.parametrize("name", WRITERS)
def test_every_pixel_and_label_is_read_where_it_was_written(name, tmp_path, small_counts):
    unlabelled, train, test = WRITERS[name](tmp_path / "set")
    images = load(small(name, tmp_path / "set"))
    np.testing.assert_array_equal(rows_first(images.test), test)
    expected = np.sort(TEST) if name == "folder" else TEST
    np.testing.assert_array_equal(images.test.labels, expected)
    known = np.sort(KNOWN) if name == "folder" else KNOWN
    for part, count in ((images.training, 6), (images.validation, 2)):
        assert len(part) == count
        for image, label in zip(rows_first(part), part.labels, strict=True):
            place = next(n for n, other in enumerate(train) if np.array_equal(image, other))
            assert known[place] == label
    if unlabelled is None:
        np.testing.assert_array_equal(images.unlabelled.pixels, images.training.pixels)
    else:
        np.testing.assert_array_equal(rows_first(images.unlabelled), unlabelled)
    assert images.unlabelled.labels is None
    assert len(images.classes) == 2


@pytest.mark.parametrize("name", WRITERS)
def test_missing_files_are_named_with_what_to_do(name, tmp_path, monkeypatch):
    monkeypatch.setenv(ROOT, str(tmp_path))
    with pytest.raises(InputError) as caught:
        load(ImageData(name=name))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / name}{os.sep}")
    assert ROOT in message
    assert f"into {tmp_path / name}" in message
    assert {"stl10": "stl10_binary.tar.gz", "cifar10": "cifar-10-binary.tar.gz"}.get(name, "") in message


def test_the_first_missing_file_is_named(tmp_path, small_counts):
    write_stl10(tmp_path)
    (tmp_path / "unlabeled_X.bin").unlink()
    with pytest.raises(InputError, match=r"unlabeled_X\.bin: no such file.*stl10_binary\.tar\.gz"):
        load(small("stl10", tmp_path))


def test_without_the_environment_variable_sets_lie_in_data(monkeypatch):
    monkeypatch.delenv(ROOT, raising=False)
    assert ImageData(name="stl10").folder == Path("data/stl10")
    assert ImageData(name="stl10", path="elsewhere").folder == Path("elsewhere")


@pytest.mark.parametrize(
    ("name", "inner", "write"),
    [("stl10", "stl10_binary", write_stl10), ("cifar10", "cifar-10-batches-bin", write_cifar10)],
)
def test_an_archive_may_stay_as_it_unpacks(name, inner, write, tmp_path, small_counts):
    write(tmp_path / inner)
    assert len(load(small(name, tmp_path)).test) == 3


@pytest.mark.parametrize(
    ("name", "file"),
    [("stl10", "unlabeled_X.bin"), ("stl10", "train_X.bin"), ("cifar10", "data_batch_3.bin")],
)
@pytest.mark.parametrize("left", [0, -1])
def test_a_file_cut_short_is_named(name, file, left, tmp_path, small_counts):
    WRITERS[name](tmp_path)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:left])
    with pytest.raises(InputError, match=rf"{file}: bytes = \d+: must be \d+, \d records .*cut short"):
        load(small(name, tmp_path))


#: Files of the published archives, their records, and bytes of each, as their authors state them.
PUBLISHED = [
    ("stl10", "unlabeled_X.bin", 100_000, 27_648),
    ("stl10", "train_X.bin", 5000, 27_648),
    ("stl10", "test_X.bin", 8000, 27_648),
    ("cifar10", "data_batch_2.bin", 10_000, 3073),
    ("cifar10", "test_batch.bin", 10_000, 3073),
]


@pytest.mark.parametrize(("name", "file", "count", "size"), PUBLISHED)
@pytest.mark.parametrize("more", [-1, 1])
def test_a_file_that_ends_with_another_image_than_the_published_is_named(
    name, file, count, size, more, tmp_path
):
    """The other files have their published lengths, without a byte on the disk."""
    whole = {other: (number, each) for set_, other, number, each in PUBLISHED if set_ == name}
    if name == "cifar10":
        whole |= {f"data_batch_{number}.bin": (10_000, 3073) for number in range(1, 6)}
    for other, (number, each) in whole.items():
        with (tmp_path / other).open("wb") as opened:
            opened.truncate((number + more * (other == file)) * each)
    for part, number in (("train", 5000), ("test", 8000)):
        (tmp_path / f"{part}_y.bin").write_bytes(b"\x01" * number)
    for names in ("class_names.txt", "batches.meta.txt"):
        (tmp_path / names).write_text("airplane\n")
    found, right = (count + more) * size, count * size
    said = f"bytes = {found}: must be {right}, {count} records of {size} each, not {count + more};"
    with pytest.raises(InputError, match=rf"{file}: {said}"):
        load(small(name, tmp_path))


def test_labels_must_be_as_many_as_images(tmp_path, small_counts):
    write_stl10(tmp_path)
    (tmp_path / "train_y.bin").write_bytes(bytes([1, 2, 1]))
    with pytest.raises(InputError, match=r"train_y\.bin: labels = \(3,\): must be one for each of 8 images"):
        load(small("stl10", tmp_path))


@pytest.mark.parametrize("label", [0, 3])
def test_a_label_outside_the_classes_is_named(label, tmp_path, small_counts):
    write_stl10(tmp_path)
    (tmp_path / "test_y.bin").write_bytes(bytes([1, label, 1]))
    with pytest.raises(InputError, match=rf"test_y\.bin: labels\[1\] = {label}: must be 1 to 2"):
        load(small("stl10", tmp_path))


@pytest.mark.parametrize(("fold", "inside"), [(0, [0, 2, 4]), (1, [5, 6, 7])])
def test_labelled_images_to_train_on_are_those_of_the_fold(fold, inside, tmp_path, small_counts):
    unlabelled, train, test = write_stl10(tmp_path)
    images = load(small("stl10", tmp_path, fold=fold))
    np.testing.assert_array_equal(rows_first(images.training), train[inside])
    np.testing.assert_array_equal(images.training.labels, KNOWN[inside])
    np.testing.assert_array_equal(np.sort(images.validation.labels), [0, 1])
    for image, label in zip(rows_first(images.validation), images.validation.labels, strict=True):
        (place,) = (n for n, other in enumerate(train) if np.array_equal(image, other))
        assert place not in inside
        assert KNOWN[place] == label
    np.testing.assert_array_equal(rows_first(images.unlabelled), unlabelled)
    np.testing.assert_array_equal(rows_first(images.test), test)


def test_few_labels_of_a_fold_are_of_the_fold(tmp_path, small_counts):
    _, train, _ = write_stl10(tmp_path)
    images = load(small("stl10", tmp_path, fold=1, labels_per_class=1))
    np.testing.assert_array_equal(np.sort(images.training.labels), [0, 1])
    for image in rows_first(images.training):
        assert any(np.array_equal(image, train[place]) for place in (5, 6, 7))
    with pytest.raises(InputError, match=r"labels_per_class = 2: .*4 labelled images, 1 of them in fold 1"):
        load(small("stl10", tmp_path, fold=1, labels_per_class=2))
    with pytest.raises(InputError, match=r"validation_per_class = 3: .*2 of them in fold 1; .*the other 2"):
        load(small("stl10", tmp_path, fold=1, validation_per_class=3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0 2 4\n", "fold = 1: must be 0 to 0, one for each line"),
        ("0 2 4\n0 x 1\n", "must be whole numbers"),
        (f"0 2 4\n0 1 {10**20}\n", "must be whole numbers"),
        ("0 2 4\n0 1\n", "must be 3 different numbers from 0 to 7, but holds 2"),
        ("0 2 4\n0 1 1\n", "must be 3 different numbers"),
        ("0 2 4\n0 1 8\n", "must be 3 different numbers"),
        ("0 2 4\n-1 1 2\n", "must be 3 different numbers"),
    ],
)
def test_a_fold_that_is_no_part_of_the_training_images_is_named(text, message, tmp_path, small_counts):
    write_stl10(tmp_path)
    (tmp_path / "fold_indices.txt").write_text(text)
    with pytest.raises(InputError, match=rf"fold_indices\.txt: .*{message}"):
        load(small("stl10", tmp_path, fold=1))


def test_missing_folds_are_named_with_what_to_do(tmp_path, small_counts):
    write_stl10(tmp_path)
    (tmp_path / "fold_indices.txt").unlink()
    assert len(load(small("stl10", tmp_path)).training) == 6
    with pytest.raises(InputError, match=r"fold_indices\.txt: no such file.*stl10_binary\.tar\.gz"):
        load(small("stl10", tmp_path, fold=0))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": "stl10", "fold": 10}, "fold = 10: should be less than or equal to 9"),
        ({"name": "stl10", "fold": -1}, "fold = -1: should be greater than or equal to 0"),
        ({"name": "cifar10", "fold": 0}, "fold = 0: 'cifar10' has no folds"),
    ],
)
def test_a_fold_that_is_not_published_is_refused(values, message):
    with pytest.raises(InputError, match=rf"mine\.toml.*: {message}"):
        describe(values, ImageData, "mine.toml")


def make_folder(path):
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def make_file(path):
    for inner in sorted(path.rglob("*"), reverse=True):
        inner.rmdir() if inner.is_dir() else inner.unlink()
    path.rmdir()
    path.write_bytes(b"")


WRONG_KINDS = [
    ("npz", "images.npz", make_folder, "not an .npz file of plain arrays: .*irectory"),
    ("imagenette96", imagenette96.FILE, make_folder, "not an .npz file of plain arrays: .*irectory"),
    ("folder", "train", make_file, "must be a folder, but is a file. Put folders train/CLASS"),
    ("folder", "test", make_file, "must be a folder, but is a file"),
    ("folder", "unlabelled", make_file, "must be a folder, but is a file"),
    ("folder", "train/ant/x.png", make_folder, "cannot be read as a file: Is a directory"),
    ("stl10", "class_names.txt", make_folder, "cannot be read as a file: Is a directory"),
    ("stl10", "fold_indices.txt", make_folder, "cannot be read as a file: Is a directory"),
    ("stl10", "train_y.bin", make_folder, "cannot be read as a file: Is a directory"),
    ("stl10", "unlabeled_X.bin", make_folder, "must be a file, but is a folder"),
    ("cifar10", "data_batch_1.bin", make_folder, "must be a file, but is a folder"),
    ("cifar10", "batches.meta.txt", make_folder, "cannot be read as a file: Is a directory"),
]


@pytest.mark.parametrize(("name", "file", "make", "message"), WRONG_KINDS)
def test_a_folder_in_place_of_a_file_and_a_file_in_place_of_a_folder_are_named(
    name, file, make, message, tmp_path, small_counts
):
    WRITERS[name](tmp_path)
    make(tmp_path / file)
    fold = {"fold": 0} if name == "stl10" else {}
    with pytest.raises(InputError, match=rf"{file}: {message}"):
        load(small(name, tmp_path, **fold))


def test_only_grey_stl10_has_published_statistics(tmp_path, small_counts):
    write_stl10(tmp_path)
    assert load(small("stl10", tmp_path, colour=False)).statistics.mean == (0.4120,)
    assert load(small("stl10", tmp_path, colour=False)).statistics.std == (0.2570,)
    colour = load(small("stl10", tmp_path))
    for channel in range(3):
        seen = colour.unlabelled.pixels[:, channel] / 255
        assert colour.statistics.mean[channel] == pytest.approx(seen.mean(), abs=1e-12)
        assert colour.statistics.std[channel] == pytest.approx(seen.std(), abs=1e-12)


def test_a_broken_photograph_is_named(tmp_path):
    write_imagenette96(tmp_path)
    arrays = dict(np.load(tmp_path / imagenette96.FILE))
    arrays["train_jpeg"][arrays["train_offsets"][2] : arrays["train_offsets"][3]] = 0
    np.savez(tmp_path / imagenette96.FILE, **arrays)
    with pytest.raises(InputError, match=r"\.npz: train image 2: not an image that can be read"):
        load(small("imagenette96", tmp_path))


def test_photographs_cut_short_are_named(tmp_path):
    write_imagenette96(tmp_path)
    arrays = dict(np.load(tmp_path / imagenette96.FILE))
    np.savez(tmp_path / imagenette96.FILE, **{**arrays, "val_jpeg": arrays["val_jpeg"][:-1]})
    with pytest.raises(InputError, match=r"\.npz: val_offsets = .*cut short"):
        load(small("imagenette96", tmp_path))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_npz_is_named(content, tmp_path):
    (tmp_path / "images.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"images\.npz: not an \.npz file of plain arrays"):
        load(small("npz", tmp_path))


def test_pickles_are_not_read(tmp_path):
    write_npz(tmp_path)
    arrays = dict(np.load(tmp_path / "images.npz"))
    np.savez(tmp_path / "images.npz", **{**arrays, "unlabelled": np.array([{}], dtype=object)})
    with pytest.raises(InputError, match=r"not an \.npz file of plain arrays"):
        load(small("npz", tmp_path))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("training_images", None, "has no array 'training_images'"),
        ("training_images", np.zeros((8, 20, 20)), "training_images = 'float64 .*must be uint8"),
        ("test_labels", np.array([0.0, 1.0, 0.0]), "test_labels = 'float64 .*must be whole numbers"),
        ("test_labels", np.array([0, 1, 2]), r"test_labels\[2\] = 2: must be 0 to 1"),
        (
            "unlabelled",
            np.zeros((2, 30, 20, 3), np.uint8),
            "size = '3x30x20': images of all parts must have one size",
        ),
        ("test_images", np.zeros((3, 20, 20), np.uint8), "size = '1x20x20': images of all parts"),
    ],
)
def test_an_array_that_does_not_fit_is_named(key, value, message, tmp_path):
    write_npz(tmp_path)
    arrays = {**np.load(tmp_path / "images.npz"), key: value}
    np.savez(tmp_path / "images.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=rf"images\.npz: {message}"):
        load(small("npz", tmp_path))


def test_grey_arrays_need_no_channels_and_have_no_colour(tmp_path):
    grey = photographs(8, 20, 1)[..., 0]
    arrays = {"training_labels": KNOWN, "test_images": grey[:3], "test_labels": TEST}
    np.savez(tmp_path / "mine.npz", training_images=grey, classes=np.array(["a", "b"]), **arrays)
    images = load(small("npz", tmp_path / "mine.npz", colour=False))
    np.testing.assert_array_equal(images.test.pixels[:, 0], grey[:3])
    assert images.classes == ("a", "b")
    with pytest.raises(InputError, match="colour = True: the images are grey, so it must be false"):
        load(small("npz", tmp_path / "mine.npz"))


def test_images_in_folders_must_have_one_size(tmp_path):
    write_folder(tmp_path)
    Image.new("RGB", (20, 21)).save(tmp_path / "train" / "bee" / "x.png")
    with pytest.raises(InputError, match=r"x\.png: size = '21x20': all images must have one size"):
        load(small("folder", tmp_path))


def test_folders_of_test_images_must_be_the_classes(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "test" / "cat").mkdir()
    with pytest.raises(InputError, match=r"test: classes = .*must be those of .*train: ant, bee"):
        load(small("folder", tmp_path))


def test_an_empty_folder_and_deep_pixels_are_named(tmp_path):
    write_folder(tmp_path)
    Image.fromarray(np.zeros((20, 20), dtype=np.uint16)).save(tmp_path / "unlabelled" / "0.PNG")
    with pytest.raises(InputError, match=r"0\.PNG: mode = 'I;16': images must have 8 bits"):
        load(small("folder", tmp_path))
    for path in (tmp_path / "train" / "ant").iterdir():
        path.unlink()
    (tmp_path / "unlabelled" / "0.PNG").unlink()
    with pytest.raises(InputError, match=r"ant: must hold images"):
        load(small("folder", tmp_path))


def test_the_list_of_sets_names_every_reader():
    assert set(WRITERS) < set(SETS)


def test_imagenette_has_its_published_counts():
    beside = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    roots = [Path(os.environ[ROOT])] if os.environ.get(ROOT) else [beside]
    folder = roots[0] / "imagenette96"
    if not (folder / imagenette96.FILE).is_file():
        pytest.skip(f"{imagenette96.FILE} is not in {folder}")
    images = load(ImageData(name="imagenette96", path=str(folder), labels_per_class=50))
    counts = [len(part) for part in (images.unlabelled, images.training, images.validation, images.test)]
    assert counts == [9469 - 1000, 500, 1000, 3925]
    test = [387, 395, 357, 386, 409, 394, 389, 419, 399, 390]
    np.testing.assert_array_equal(np.bincount(images.test.labels), test)
    np.testing.assert_array_equal(np.bincount(images.training.labels), [50] * 10)
    assert images.unlabelled.pixels.shape[1:] == (1, 96, 96)
    assert images.classes[0] == "tench"
    assert 0.4 < images.statistics.mean[0] < 0.5

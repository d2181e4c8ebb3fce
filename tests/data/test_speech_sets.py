"""Each format of speech, in small files written here: what is read is what was written."""

import numpy as np
import pytest
import soundfile

from neuroclapp.data import speechocean762
from neuroclapp.data.speech import ROOT, SpeechData, load
from neuroclapp.errors import InputError

#: Utterances of the small LibriSpeech: three of each of four speakers to learn from, one more each to test.
TRAIN = [f"{speaker}-10-{number:04}" for speaker in (19, 26, 103, 8975) for number in range(3)]
TEST = [f"{speaker}-11-0000" for speaker in (19, 26, 103, 8975)]
#: Kaldi's windows of 400 samples that lie in 4800, 160 apart: (4800 - 400) // 160 + 1. 30 frames are there.
KALDI = 28


def noise(seed, samples=4800):
    return np.random.default_rng(seed).integers(-9000, 9000, samples).astype(np.int16)


def drawn(seed, count, classes=41):
    return np.random.default_rng(seed).integers(0, classes, count)


def pcm_of(utterance):
    return utterance.read() * 32768


# LibriSpeech


def flac(folder, name):
    speaker, chapter, _ = name.split("-")
    return folder / "LibriSpeech" / "train-clean-100" / speaker / chapter / f"{name}.flac"


@pytest.fixture
def librispeech(tmp_path):
    """Write the archive's tree and the three lists."""
    labels = []
    for seed, name in enumerate([*TRAIN, *TEST]):
        path = flac(tmp_path, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise(seed), 16000, subtype="PCM_16")
        labels.append(" ".join([name, *map(str, drawn(seed, KALDI))]))
    (tmp_path / "train_split.txt").write_text("\n".join(TRAIN) + "\n")
    (tmp_path / "test_split.txt").write_text("\n".join(TEST) + "\n")
    (tmp_path / "converted_aligned_phones.txt").write_text("\n".join(labels) + "\n")
    return tmp_path


def described(folder, name="librispeech", **changed):
    return SpeechData(name, path=str(folder), **{"excerpt": 1600, "validation_speakers": 1, **changed})


def test_librispeech_is_read_where_it_was_written(librispeech):
    found = load(described(librispeech))
    assert sorted(each.name for each in (*found.training, *found.validation)) == sorted(TRAIN)
    assert [each.name for each in found.test] == TEST
    for each in (*found.training, *found.validation, *found.test):
        seed = [*TRAIN, *TEST].index(each.name)
        np.testing.assert_array_equal(pcm_of(each), noise(seed))
        np.testing.assert_array_equal(each.phones, [*drawn(seed, KALDI), -1, -1])
        assert each.speaker == each.name.split("-")[0]
    assert (len(found.phones), found.silence, found.skipped) == (41, (0,), ())


def test_librispeech_s_speakers_are_in_both_lists_but_validation_s_not_in_training(librispeech):
    found = load(described(librispeech))
    assert found.shared_speakers == ("103", "19", "26", "8975")
    (held,) = {each.speaker for each in found.validation}
    assert held not in {each.speaker for each in found.training}


def test_librispeech_s_speakers_are_told_apart_on_the_lists_as_in_greedy_infomax(librispeech):
    """All names of the training list, validation's speakers and those without phones included."""
    rewrite(librispeech / "converted_aligned_phones.txt", TRAIN[1], lambda labels: [])
    found = load(described(librispeech))
    assert found.speakers == ("103", "19", "26", "8975")
    assert [each.name for each in found.speaker_training] == TRAIN
    assert [each.name for each in found.speaker_test] == TEST


def test_librispeech_s_lists_may_lie_as_greedy_infomax_has_them(librispeech):
    lists = librispeech / "LibriSpeech100_labels_split"
    lists.mkdir()
    for path in librispeech.glob("*.txt"):
        path.rename(lists / path.name)
    (librispeech / "LibriSpeech" / "train-clean-100").rename(librispeech / "train-clean-100")
    assert len(load(described(librispeech)).test) == len(TEST)


def lose(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[:5000])


def become_a_folder(path):
    path.unlink()
    path.mkdir()


def stereo(path):
    soundfile.write(path, noise(0).reshape(-1, 2), 16000)


def slow(path):
    soundfile.write(path, noise(0), 8000)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lose, "cannot|System error|No such"),
        (cut, "cannot be read"),
        (become_a_folder, "not an audio file"),
        (stereo, "channels = 2"),
        (slow, "8000"),
    ],
)
def test_librispeech_s_broken_files_are_named_and_left_out(librispeech, capsys, damage, reason):
    damage(flac(librispeech, TRAIN[4]))
    found = load(described(librispeech))
    ((name, why),) = found.skipped
    assert name == TRAIN[4]
    assert f"{TRAIN[4]}.flac" in why
    assert any(part in why for part in reason.split("|"))
    assert TRAIN[4] not in {each.name for each in (*found.unlabelled, *found.validation)}
    assert TRAIN[4] in capsys.readouterr().err


def rewrite(path, name, change):
    """Change the labels in one line of the alignments, or take the line away."""
    lines = []
    for line in path.read_text().splitlines():
        first, *labels = line.split()
        if first == name:
            labels = change(labels)
        lines.append(" ".join([first, *labels]) if labels else "")
    path.write_text("\n".join(lines))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda labels: [], "no line"),
        (lambda labels: labels[:26], "26 labels"),
        (lambda labels: labels * 2, "56 labels"),
    ],
)
def test_librispeech_without_fitting_labels_is_still_learned_from(librispeech, change, reason):
    speakers = {each.speaker for each in load(described(librispeech)).validation}
    name = next(each for each in TRAIN if each.split("-")[0] not in speakers)
    rewrite(librispeech / "converted_aligned_phones.txt", name, change)
    found = load(described(librispeech))
    assert name in {each.name for each in found.unlabelled}
    assert name not in {each.name for each in found.training}
    ((skipped, why),) = found.skipped
    assert skipped == name
    assert reason in why


@pytest.mark.parametrize("wrong", ["41", "-1", "AH"])
def test_librispeech_s_wrong_label_is_named(librispeech, wrong):
    path = librispeech / "converted_aligned_phones.txt"
    rewrite(path, TRAIN[1], lambda labels: [*labels[:5], wrong, *labels[6:]])
    message = rf"converted_aligned_phones\.txt: line 2, {TRAIN[1]} = '{wrong}': must be 0 to 40"
    with pytest.raises(InputError, match=message):
        load(described(librispeech))


def test_librispeech_s_test_is_not_learned_from(librispeech):
    (librispeech / "test_split.txt").write_text(f"{TEST[0]}\n{TRAIN[0]}\n")
    with pytest.raises(InputError, match=rf"test_split\.txt: name = '{TRAIN[0]}': stands in train_split"):
        load(described(librispeech))


@pytest.mark.parametrize("part", ["train", "test"])
def test_librispeech_s_lists_name_an_utterance_once(librispeech, part):
    names = {"train": TRAIN, "test": TEST}[part]
    (librispeech / f"{part}_split.txt").write_text("\n".join([*names, names[1]]) + "\n")
    message = rf"{part}_split\.txt: name {len(names) + 1} = '{names[1]}': is name 2 as well"
    with pytest.raises(InputError, match=message):
        load(described(librispeech))


@pytest.mark.parametrize("name", ["train_split.txt", "test_split.txt", "converted_aligned_phones.txt"])
def test_a_folder_in_the_place_of_librispeech_s_lists_is_named(librispeech, name):
    (librispeech / name).unlink()
    (librispeech / name).mkdir()
    with pytest.raises(InputError, match=rf"{name}: must be a file, and is a folder"):
        load(described(librispeech))


def test_librispeech_s_names_have_three_parts(librispeech):
    (librispeech / "train_split.txt").write_text(f"{TRAIN[0]}\n19-10\n")
    with pytest.raises(InputError, match=r"train_split\.txt: name 2 = '19-10': must be SPEAKER"):
        load(described(librispeech))


# speechocean762


@pytest.fixture
def packed():
    """The arrays of a small set: eight utterances of four speakers, and one speaker's two to test."""
    lengths = np.array([1600, 1759, 3200, 1601, 2000, 1700, 1800, 1900, 4000, 1650])
    frames = lengths // 160
    return {
        "offsets": np.cumsum([0, *lengths]),
        "frame_offsets": np.cumsum([0, *frames]),
        "frame_labels_10ms": drawn(7, frames.sum(), 3).astype(np.uint8),
        "labels": np.array(["AA", "B", "SIL"]),
        "utt": np.array([f"u{number}" for number in range(10)]),
        "speaker": np.array([*"aabbccdd", "x", "x"]),
        "split": np.array(["train"] * 8 + ["test"] * 2),
    }


def write_packed(folder, arrays):
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "index.npz", **arrays)
    soundfile.write(folder / "audio_16k.flac", noise(3, 21210), 16000, subtype="PCM_16")
    return described(folder, "speechocean762")


def test_speechocean762_is_read_where_it_was_written(tmp_path, packed):
    found = load(write_packed(tmp_path, packed))
    everyone = (*found.training, *found.validation, *found.test)
    assert {each.name for each in everyone} == set(packed["utt"])
    assert {each.name for each in found.test} == {"u8", "u9"}
    whole = noise(3, 21210)
    for each in everyone:
        number = int(each.name[1:])
        start, end = packed["offsets"][number : number + 2]
        first, last = packed["frame_offsets"][number : number + 2]
        np.testing.assert_array_equal(pcm_of(each), whole[start:end])
        np.testing.assert_array_equal(each.read(5, 100) * 32768, whole[start + 5 : start + 105])
        np.testing.assert_array_equal(each.phones, packed["frame_labels_10ms"][first:last])
        assert each.speaker == packed["speaker"][number]
    assert (found.phones, found.silence) == (("AA", "B", "SIL"), (2,))
    assert found.shared_speakers == ()


def test_speechocean762_s_audio_is_read_once_in_a_process(tmp_path, packed, monkeypatch):
    data = write_packed(tmp_path, packed)
    first = load(data).test[0]
    monkeypatch.setattr(speechocean762.soundfile, "SoundFile", None)
    np.testing.assert_array_equal(first.read(), load(data).test[0].read())


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("offsets", lambda x: x[:-1], r"offsets = .*: must be 11"),
        ("offsets", lambda x: np.append(x[:-1], 30000), r"offsets = \[0, 30000\]: must rise from 0 to 21210"),
        ("offsets", lambda x: x[[0, 2, 1, *range(3, 11)]], "must rise"),
        ("frame_offsets", lambda x: x + (np.arange(11) == 1), "labels of u0 = 11: must be 10"),
        (
            "frame_labels_10ms",
            lambda x: np.append(x[:-1], 3),
            r"frame_labels_10ms\[\d+\] = 3: must be 0 to 2",
        ),
        ("frame_labels_10ms", lambda x: x.astype(float), "whole numbers"),
        ("labels", lambda x: np.array(["AA", "B", "C"]), "'SIL'"),
        ("split", lambda x: np.array(["dev", *x[1:]]), r"split\[0\] = 'dev'"),
        ("speaker", lambda x: x[:-1], "speaker = "),
    ],
)
def test_speechocean762_s_wrong_index_is_named(tmp_path, packed, key, change, message):
    with pytest.raises(InputError, match=rf"index\.npz: .*{message}"):
        load(write_packed(tmp_path, {**packed, key: change(packed[key])}))


def test_speechocean762_lacks_nothing(tmp_path, packed):
    del packed["speaker"]
    with pytest.raises(InputError, match=r"index\.npz: has no array 'speaker'"):
        load(write_packed(tmp_path, packed))


@pytest.mark.parametrize("name", ["index.npz", "audio_16k.flac"])
def test_a_folder_in_the_place_of_speechocean762_s_files_is_named(tmp_path, packed, name):
    data = write_packed(tmp_path, packed)
    become_a_folder(tmp_path / name)
    with pytest.raises(InputError, match=name):
        load(data)


def test_speechocean762_cut_short_is_named(tmp_path, packed):
    data = write_packed(tmp_path, packed)
    cut(tmp_path / "audio_16k.flac")
    with pytest.raises(InputError, match=r"audio_16k\.flac: cannot be read"):
        load(data)


# All


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("librispeech", r"train-clean-100\.tar\.gz .*openslr"),
        ("speechocean762", r"audio_16k\.flac and index\.npz"),
        ("textgrids", "train/SPEAKER"),
    ],
)
def test_missing_speech_is_named_with_what_to_do(name, what, tmp_path, monkeypatch):
    monkeypatch.setenv(ROOT, str(tmp_path))
    with pytest.raises(InputError, match=rf"{tmp_path}.*no such file or folder.*{what}"):
        load(SpeechData(name))

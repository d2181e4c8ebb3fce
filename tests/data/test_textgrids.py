"""Text grids as Praat and the Montreal Forced Aligner write them become a phone for each 10 ms."""

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.data.speech import SpeechData, load
from neuroclapp.data.textgrids import intervals, labels, phone
from neuroclapp.errors import InputError


def long_grid(tiers, end):
    """Write tiers, name to (start [s], end [s], mark), in Praat's long form."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0 ", f"xmax = {end} "]
    lines += ["tiers? <exists> ", f"size = {len(tiers)} ", "item []: "]
    for number, (name, entries) in enumerate(tiers.items(), start=1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier" ', f'        name = "{name}" ']
        lines += ["        xmin = 0 ", f"        xmax = {end} ", f"        intervals: size = {len(entries)} "]
        for place, (start, stop, mark) in enumerate(entries, start=1):
            lines += [f"        intervals [{place}]:", f"            xmin = {start} "]
            lines += [f"            xmax = {stop} ", f'            text = "{mark}" ']
    return "\n".join(lines) + "\n"


def short_grid(tiers, end):
    """Write tiers in Praat's short form."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", f"{end}", "<exists>"]
    lines += [f"{len(tiers)}"]
    for name, entries in tiers.items():
        lines += ['"IntervalTier"', f'"{name}"', "0", f"{end}", f"{len(entries)}"]
        for start, stop, mark in entries:
            lines += [f"{start}", f"{stop}", f'"{mark}"']
    return "\n".join(lines) + "\n"


MARKS = st.sampled_from(["AH0", "AH1", "B", "spn", "", "sil", "S", "ŋ", "tʃ"])
MEANING = {"AH0": "AH", "AH1": "AH", "spn": "SIL", "": "SIL", "sil": "SIL"}


@given(
    lengths=st.lists(st.tuples(st.integers(1, 900), MARKS), min_size=1, max_size=12),
    form=st.sampled_from([long_grid, short_grid]),
    extra=st.integers(0, 500),
)
def test_a_frame_has_the_phone_at_its_centre(tmp_path_factory, lengths, form, extra):
    bounds = np.cumsum([0, *(length for length, _ in lengths)]).tolist()
    marks = [mark for _, mark in lengths]
    times = [f"{place / 16000:.7f}" for place in bounds]  # exact: a sample is 0.0000625 s
    entries = [(times[n], times[n + 1], mark) for n, mark in enumerate(marks)]
    path = tmp_path_factory.mktemp("grid") / "one.TextGrid"
    path.write_text(form({"words": [("0", times[-1], "word")], "phones": entries}, times[-1]))

    by_sample = [MEANING.get(mark, mark) for length, mark in lengths for _ in range(length)]
    samples = bounds[-1] + extra
    expected = [by_sample[c] if c < len(by_sample) else None for c in range(80, samples // 160 * 160, 160)]

    phones = sorted(set(by_sample))
    found = labels(intervals(path), {each: number for number, each in enumerate(phones)}, samples)
    assert [None if number == -1 else phones[number] for number in found] == expected
    assert found.dtype == np.int16


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        ("AH0", "AH"),
        ("ER2", "ER"),
        ("AH", "AH"),
        ("NG", "NG"),
        ("B1", "B1"),  # only vowels bear stress
        ("a1", "a1"),  # a tone of another alphabet
        (" T ", "T"),
        ("", "SIL"),
        ("  ", "SIL"),
        ("sp", "SIL"),
        ("spn", "SIL"),
        ("SIL", "SIL"),
        ("sil", "SIL"),
    ],
)
def test_marks_lose_stress_and_silence_has_one_name(mark, expected):
    assert phone(mark) == expected


def grid_of(seconds, *marks, name="phones"):
    step = seconds / len(marks)
    entries = [(n * step, (n + 1) * step, mark) for n, mark in enumerate(marks)]
    return long_grid({name: entries}, seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "can be read"),
        ("", "can be read"),
        ("no grid", "can be read"),
        (grid_of(1, "AA")[:120], "can be read"),
        (grid_of(1, "AA", name="words"), "tiers = .*'words'.*: must have one tier"),
        (long_grid({f"{who} - phones": [(0, 1, "AA")] for who in "ab"}, 1), "must have one tier"),
        (grid_of(1, "AA", "B").replace("xmax = 0.5", "xmax = 0.1").replace("xmin = 0.5", "xmin = 2"), "read"),
    ],
)
def test_grids_that_are_none_are_named(tmp_path, text, message):
    path = tmp_path / "one.TextGrid"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match=rf"one\.TextGrid: .*{message}"):
        intervals(path)


@pytest.fixture
def folder(tmp_path):
    """Two recordings of each of three speakers to learn from, one of a fourth to test."""
    files = [("train", who, number) for who in ("ann", "bob", "cid") for number in range(2)]
    for seed, (part, who, number) in enumerate([*files, ("test", "dan", 0)]):
        path = tmp_path / part / who / f"{number}.{'flac' if number else 'wav'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        pcm = np.random.default_rng(seed).integers(-9000, 9000, 4800).astype(np.int16)
        soundfile.write(path, pcm, 16000)
        tier = "phones" if number else f"{who} - phones"
        path.with_suffix(".TextGrid").write_text(grid_of(0.3, "", "OW1", "ZH", name=tier))
    return tmp_path


def described(folder):
    return SpeechData("textgrids", path=str(folder), excerpt=1600, validation_speakers=1)


def test_folders_are_read_where_they_were_written(folder):
    found = load(described(folder))
    assert (found.phones, found.silence, found.skipped) == (("SIL", "OW", "ZH"), (0,), ())
    everyone = sorted((*found.training, *found.validation, *found.test), key=lambda each: each.name)
    names = [f"train/{who}/{number}" for who in ("ann", "bob", "cid") for number in range(2)]
    assert [each.name for each in everyone] == ["test/dan/0", *names]
    for seed, each in zip([6, *range(6)], everyone, strict=True):
        pcm = np.random.default_rng(seed).integers(-9000, 9000, 4800)
        np.testing.assert_array_equal(each.read() * 32768, pcm)
        np.testing.assert_array_equal(each.phones, np.repeat([0, 1, 2], 10))
        assert each.speaker == each.name.split("/")[1]


def test_a_recording_without_a_grid_is_learned_from_and_named(folder):
    held = {each.speaker for each in load(described(folder)).validation}
    who = min({"ann", "bob", "cid"} - held)
    (folder / "train" / who / "1.TextGrid").unlink()
    found = load(described(folder))
    assert f"train/{who}/1" in {each.name for each in found.unlabelled}
    assert f"train/{who}/1" not in {each.name for each in found.training}
    ((name, why),) = found.skipped
    assert name == f"train/{who}/1"
    assert "1.TextGrid" in why


def test_a_broken_recording_is_left_out_and_named(folder):
    (folder / "train" / "bob" / "1.flac").write_bytes(b"fLaC")
    found = load(described(folder))
    assert [name for name, _ in found.skipped] == ["train/bob/1"]
    assert "train/bob/1" not in {each.name for each in (*found.unlabelled, *found.validation)}


def test_a_grid_that_ends_early_leaves_the_rest_unknown(folder):
    (folder / "test" / "dan" / "0.TextGrid").write_text(grid_of(0.1, "OW1"))
    (only,) = load(described(folder)).test
    np.testing.assert_array_equal(only.phones, [1] * 10 + [-1] * 20)


def named(folder, name):
    """The only recording that is told of is this one, and it is in no part."""
    found = load(described(folder))
    ((skipped, why),) = found.skipped
    assert skipped == name
    parts = (found.unlabelled, found.validation, found.test, found.speaker_training, found.speaker_test)
    assert name not in {each.name for part in parts for each in part}
    return why


def test_a_recording_that_was_cut_short_is_left_out_and_named(folder):
    path = folder / "train" / "bob" / "0.wav"
    path.write_bytes(path.read_bytes()[: int(0.5 * path.stat().st_size)])
    assert "cut short" in named(folder, "train/bob/0")


def test_a_recording_with_a_sample_that_is_no_number_is_left_out_and_named(folder):
    samples = np.full(4800, 0.1, dtype=np.float32)
    samples[2400] = np.nan
    soundfile.write(folder / "train" / "bob" / "0.wav", samples, 16000, subtype="FLOAT")
    assert "sample 2400 = nan: must be finite" in named(folder, "train/bob/0")


def test_a_folder_in_the_place_of_a_recording_is_left_out_and_named(folder):
    (folder / "train" / "bob" / "2.wav").mkdir()
    assert "2.wav: not an audio file" in named(folder, "train/bob/2")


@pytest.mark.parametrize(("frames", "fits"), [(-10, True), (0, True), (3, True), (4, False), (70, False)])
def test_a_grid_that_ends_after_its_audio_is_not_used_and_named(folder, frames, fits):
    """Three frames of 10 ms are borne, as in LibriSpeech; the audio has 0.3 s."""
    held = {each.speaker for each in load(described(folder)).validation}
    who = min({"ann", "bob", "cid"} - held)
    (folder / "train" / who / "1.TextGrid").write_text(grid_of(0.3 + 0.01 * frames, "OW1", "ZH"))
    found = load(described(folder))
    assert (f"train/{who}/1" in {each.name for each in found.training}) == fits
    assert f"train/{who}/1" in {each.name for each in found.unlabelled}
    assert [name for name, _ in found.skipped] == ([] if fits else [f"train/{who}/1"])
    if not fits:
        assert (
            f"end [s] = {round(0.3 + 0.01 * frames, 2)}: must be at most the 0.300 s" in found.skipped[0][1]
        )


def test_a_speaker_in_both_parts_is_refused(folder):
    for who in ("cid", "bob"):
        (folder / "test" / who).mkdir()
        for kind in ("wav", "TextGrid"):
            content = (folder / "train" / who / f"0.{kind}").read_bytes()
            (folder / "test" / who / f"0.{kind}").write_bytes(content)
    with pytest.raises(
        InputError, match=rf"^{folder}: speakers = 'bob, cid': are in train and in test; .* one"
    ):
        load(described(folder))

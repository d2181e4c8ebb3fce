"""Tables of a study, on the page and in the terminal, and what its captions say."""

from neuroclapp.report.study import MEASURES, TABLES, breaks, columns
from neuroclapp.report.text import ruled, stacked


def figure(*means):
    return {"mean": list(means), "interval": [0.5] * len(means), "per_seed": [list(means)] * 2}


def condition(title, x, cosines, picture="schemes"):
    by_target = {target: figure(*cosines) for target in ("w_ff", "w_pred")}
    names = (
        "gate_agreement",
        "gate_kappa",
        "trajectory_cosine",
        "trajectory_share",
        "spikes",
        "excess_spikes",
    )
    return {
        "title": title,
        "layers": ["one", "two"],
        "points": [{"picture": picture, "curve": "", "x": x}],
        "agreement": {
            "accumulated_cosine": by_target,
            "update_cosine": by_target,
            **{name: figure(0.9, 0.8) for name in names},
        },
        "accuracy": {
            "random": figure(50.0, 40.0),
            "random_spiking": figure(49.0, 39.0),
            "rate": figure(70.0, 60.0),
            "spiking": figure(69.0, 61.0),
        },
        "paired_difference": {"spiking_minus_rate": figure(-1.0, 1.0)},
    }


RESULTS = {
    "conditions": {
        "a": condition("first", "leak, hard reset", (0.99, 0.5)),
        "b": condition("second", "none", (0.99, 0.98)),
    }
}


def test_every_column_of_a_study_has_a_name_of_its_own():
    for name in TABLES:
        header, rows = columns(RESULTS, name)
        assert len(set(header)) == len(header) == len(rows[0])
    header, rows = columns(RESULTS, "Test accuracy")
    assert rows[1] == ["", "two", "40.0 ± 0.5", "39.0 ± 0.5", "60.0 ± 0.5", "61.0 ± 0.5", "+1.00 ± 0.50"]
    assert header[5] == "learned in spikes [%]"
    header, _ = columns(RESULTS, "Agreement with the rate rule")
    assert header[2] == MEASURES["accumulated_cosine.w_ff"] == "accumulated cosine, W"


def test_a_caption_quotes_names_which_may_hold_commas():
    said = breaks({"name": "schemes", "x": "scheme"}, RESULTS)
    assert said == (
        'Accumulated cosine of W in its worst layer, by scheme: best 0.980 at "none", below 0.97 at '
        '"leak, hard reset".'
    )


def test_a_wrapped_header_ends_in_its_last_line():
    lines = stacked(["a", "one two three"], 7)
    assert lines == [["", "one two"], ["a", "three"]]
    assert ruled(lines, [["b", "1"]]) == ["   one two", "a    three", "----------", "b        1"]

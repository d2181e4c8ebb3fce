"""Figures, table and report of image systems show the values of their results, and say what they are not."""

import itertools
import json
import re
from html import escape

import numpy as np
import pytest
import tomli_w

from neuroclapp.plasticity import third_factor
from neuroclapp.report.document import Shown, png
from neuroclapp.report.modules import modules
from neuroclapp.report.systems import accuracy, layers
from neuroclapp.report.systems_page import columns, page
from neuroclapp.report.training import loss, training
from neuroclapp.run.systems import SystemsRun
from neuroclapp.run.systems_plot import alike, plot_systems
from neuroclapp.run.systems_table import table

LAYERS = ["conv1", "conv2", "conv3", "conv4"]
#: Name, what it learns from, layers by module, the paper's value, test accuracy by layer of seed 0.
SYSTEMS = (
    ("random", "nothing", [1, 1, 1, 1], 21.8, [30.0, 29.0, 28.0, 27.0]),
    ("whole", "contrast", [4], 80.3, [31.0, 40.0, 50.0, 60.0]),
    ("upper", "contrast", [2, 1, 1], 75.4, [32.0, 41.0, 49.0, 57.0]),
    ("lower", "contrast", [1, 1, 2], None, [33.0, 42.0, 51.0, 58.0]),
    ("clapp", "contrast", [1, 1, 1, 1], 74.0, [34.0, 43.0, 55.0, 54.0]),
)
GROUPS = {"hinge loss": ["whole", "upper", "lower", "clapp"]}


def figures(values, seeds):
    """Each further seed has one point more; the interval of two is 12.706 * sqrt(1/2) / sqrt(2)."""
    each = np.array(values) + np.arange(seeds).reshape(-1, *[1] * np.ndim(values))
    interval = np.full(np.shape(values), 6.353 if seeds > 1 else 0.0)
    return {"mean": each.mean(0).tolist(), "interval": interval.tolist(), "per_seed": each.tolist()}


def above(reference, test, seeds=2):
    """What is left of a system's accuracy when a reference's is subtracted."""
    (its,) = (values for name, *_, values in SYSTEMS if name == reference)
    return figures([a - b for a, b in zip(test, its, strict=True)], seeds)


def several():
    """Results in which two systems are compared with others than the rest, and one cannot be compared."""
    found = results()
    systems, tests = found["systems"], {name: test for name, *_, test in SYSTEMS}
    systems["upper"]["minus"] = {"whole": above("whole", tests["upper"])}
    systems["clapp"]["minus"] |= {"whole": above("whole", tests["clapp"])}
    systems["lower"]["minus"], systems["lower"]["not_compared"] = {}, {"random": "their layers differ"}
    return found


def results(seeds=2, data="imagenette96", published=True, systems=SYSTEMS):
    made = {
        "experiment": "images <and> & more",
        "scale": "small",
        "data": data,
        "against": ["random"],
        "versions": {"python": "3.11"},
        "cost": {"train": {"wall_s": 90.0, "cpu_s": 180.0}},
        "systems": {},
    }
    for name, learns, cut, paper, test in systems:
        notes = [] if learns == "nothing" else [[2.0 + m, 1.0 + m, 0.5 + m] for m in range(len(cut))]
        one = {
            "title": f"the {name} <system>",
            "published": paper if published else None,
            "learns": learns,
            "modules": cut,
            "model": "small",
            "seeds": list(range(seeds)),
            "layers": LAYERS,
            "test": figures(test, seeds),
            "validation": figures([value - 2 for value in test], seeds),
            "updates": 0 if learns == "nothing" else 120,
            "cpu_minutes": figures(1.5, seeds),
            "waited_share": 0.0125,
            "loss": np.array(notes).T.tolist(),
            "share": [],
        }
        if name != "random":
            one["minus"] = {"random": above("random", test, seeds)}
        made["systems"][name] = one
    return made


def labels(made):
    """All that a figure's legends say."""
    found = [legend for axes in made.axes if (legend := axes.get_legend())] + made.legends
    return [text.get_text() for legend in found for text in legend.get_texts()]


def points(axes, marker):
    """Every single point that is drawn with a marker, (x, y)."""
    lines = [line for line in axes.lines if line.get_marker() == marker and len(line.get_xdata()) == 1]
    return [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in lines]


FIGURES = {
    "accuracy": accuracy,
    "layers": layers,
    "modules": lambda found: modules(found, {k: v for k, v in GROUPS.items() if found["systems"]}),
    "training": training,
    "loss": lambda found: loss(),
}
CASES = {
    "several seeds": {},
    "one seed": {"seeds": 1},
    "no published values": {"published": False},
    "no systems": {"systems": ()},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_drawn_and_its_axes_are_labelled(name, case):
    made = FIGURES[name](results(**CASES[case]))
    assert png(made).startswith(b"\x89PNG")
    if case != "no systems" or name == "loss":
        shown = [axes for axes in made.axes if axes.get_visible()]
        assert all(axes.get_ylabel() for axes in shown)
        assert shown[-1].get_xlabel()
    assert ("95 % interval of the mean" in labels(made)) == (
        name in ("accuracy", "modules") and case in ("several seeds", "no published values")
    )


def test_bars_are_the_top_layers_means_beside_the_papers_values():
    made = accuracy(results())
    (axes,) = made.axes
    widths = [bar.get_width() for bar in axes.patches]
    assert [width for width in widths if width] == [27.5, 60.5, 57.5, 58.5, 54.5]
    assert points(axes, "D") == [(21.8, 0.0), (80.3, 1.0), (75.4, 2.0), (74.0, 4.0)]
    assert [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "--"] == [27.5]
    assert [text.get_text() for text in axes.get_yticklabels()][1] == "the whole <system>"


@pytest.mark.parametrize(
    ("data", "text"),
    [("stl10", "paper, STL-10"), ("imagenette96", "paper, STL-10 (another data set than Imagenette)")],
)
def test_the_legend_says_when_the_papers_data_are_others(data, text):
    for draw in (accuracy, FIGURES["modules"]):
        assert text in labels(draw(results(data=data)))
        assert not any("paper" in said for said in labels(draw(results(data=data, published=False))))


def test_a_published_layer_stands_at_its_place():
    found = results()
    name = SYSTEMS[1][0]
    found["systems"][name]["published_layers"] = {LAYERS[-2]: 52.5}
    made = layers(found)
    (place,) = [point for point in points(made.axes[0], "D") if point[1] == 52.5]
    assert round(place[0]) == len(LAYERS) - 2
    assert any(said.startswith("paper, ") for said in labels(made))


def test_each_system_is_a_line_over_layers_and_the_reference_is_dashed_grey():
    (axes,) = layers(results()).axes
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert len(lines) == len(SYSTEMS)
    for name, _, _, _, test in SYSTEMS:
        np.testing.assert_allclose(lines[f"the {name} <system>"].get_ydata(), np.array(test) + 0.5)
    assert [name for name, line in lines.items() if line.get_linestyle() == "--"] == ["the random <system>"]
    assert [text.get_text() for text in axes.get_xticklabels()] == LAYERS


def test_encoders_with_other_layers_have_a_panel_of_their_own():
    found = results()
    found["systems"]["clapp"]["layers"] = ["a", "b", "c", "d"]
    ticks = [[text.get_text() for text in axes.get_xticklabels()] for axes in layers(found).axes]
    assert ticks == [LAYERS, ["a", "b", "c", "d"]]


def test_two_cuts_into_as_many_modules_are_two_points():
    (axes,) = modules(results(), GROUPS).axes
    drawn = points(axes, "o")
    assert [round(x) for x, y in drawn if y == 60.5] == [1]
    (upper,), (lower,) = ([x for x, y in drawn if y == value] for value in (57.5, 58.5))
    assert upper != lower
    assert upper + lower == 6
    assert {y for _, y in drawn} == {60.5, 57.5, 58.5, 54.5, 80.3, 75.4, 74.0}
    assert sorted(text.get_text() for text in axes.texts) == ["1+1+2", "2+1+1"]
    line = axes.lines[0]
    np.testing.assert_allclose(line.get_xdata(), [1, 3, 4])
    np.testing.assert_allclose(line.get_ydata(), [60.5, 58.0, 54.5])


def test_losses_stand_at_the_middle_of_their_updates():
    made = training(results())
    panels = [axes for axes in made.axes if axes.get_visible()]
    assert [axes.get_title() for axes in panels] == [f"the {name} <system>" for name, *_ in SYSTEMS[1:]]
    upper = panels[1]
    assert [line.get_label() for line in upper.lines] == ["conv1 to conv2", "conv3", "conv4"]
    for module, line in enumerate(upper.lines):
        np.testing.assert_allclose(line.get_xdata(), [25, 75, 110])  # the last note is of 20 updates
        np.testing.assert_allclose(line.get_ydata(), [2.0 + module, 1.0 + module, 0.5 + module])


def test_the_gate_is_the_negative_slope_of_the_loss():
    above, below = loss().axes
    for sign, curve, gate in zip((1, -1), above.lines, below.lines, strict=False):
        score = curve.get_xdata()
        middle = (score[1:] + score[:-1]) / 2
        np.testing.assert_allclose(
            -np.diff(curve.get_ydata()) / np.diff(score), third_factor(middle, sign), atol=1e-9
        )
        np.testing.assert_array_equal(gate.get_ydata(), third_factor(score, sign))
    at = np.searchsorted(above.lines[0].get_xdata(), 0.0)
    assert [line.get_ydata()[at] for line in above.lines[:2]] == [pytest.approx(1.0)] * 2


def test_the_table_has_all_values_of_a_system():
    header, rows = columns(results())
    assert header[4] == "minus the random <system>, paired [points]"
    assert rows[0] == [
        "the random <system>", "21.8", "27.5 ± 6.4", "30.5 ± 6.4, conv1", "-", "0", "2.0", "0, 1"
    ]  # fmt: skip
    assert rows[4] == [
        "the clapp <system>", "74.0", "54.5 ± 6.4", "55.5 ± 6.4, conv3", "+27.5 ± 6.4", "120", "2.0", "0, 1"
    ]  # fmt: skip
    assert rows[3][1] == "-"


def test_each_reference_has_a_column_of_its_own():
    header, rows = columns(several())
    assert header[4:6] == [f"minus the {name} <system>, paired [points]" for name in ("random", "whole")]
    assert [row[4:6] for row in rows] == [
        ["-", "-"],
        ["+33.5 ± 6.4", "-"],
        ["-", "-2.5 ± 6.4"],
        ["-", "-"],
        ["+27.5 ± 6.4", "-5.5 ± 6.4"],
    ]


def test_a_system_that_cannot_be_compared_is_named():
    sentence = "the lower <system> is not compared with the random <system>: their layers differ."
    assert sentence in table(several())
    assert escape(sentence) in page(several(), [], "seeds = [0, 1]")
    assert "not compared" not in table(results())


def test_references_are_dashed_along_what_is_compared_with_them():
    (axes,) = accuracy(several()).axes
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    assert [line.get_label() for line in dashed] == [
        f"the {name} <system>, Imagenette" for name in ("random", "whole")
    ]
    assert len({line.get_color() for line in dashed}) == 2
    for line, mean, along in zip(dashed, (27.5, 60.5), ([0, 1, 4], [1, 2, 4]), strict=True):
        assert set(line.get_xdata()) == {mean}
        y = line.get_ydata()
        covered = [at for at in range(5) if any(a <= at <= b for a, b in itertools.pairwise(y))]
        assert covered == along
    (axes,) = layers(several()).axes
    dashed = [line.get_label() for line in axes.lines if line.get_linestyle() == "--"]
    assert sorted(dashed) == ["the random <system>", "the whole <system>"]


def test_results_of_older_versions_have_one_reference():
    old, new = results(), results()
    old["against"] = "random"
    for one in old["systems"].values():
        if "minus" in one:
            one["minus_reference"] = one.pop("minus")["random"]
    assert columns(old) == columns(new)
    assert png(accuracy(old)) == png(accuracy(new))
    assert png(layers(old)) == png(layers(new))


def test_one_seed_has_no_interval():
    _, rows = columns(results(seeds=1))
    assert rows[4][2:5] == ["54.0", "55.0, conv3", "+27.0"]
    assert "±" not in table(results(seeds=1))


def test_the_terminals_table_is_the_same():
    text = table(results())
    _, rows = columns(results())
    for row in rows:
        (line,) = (line for line in text.splitlines() if line.startswith(row[0]))
        assert re.split(r"\s{2,}", line) == row
    assert "not comparable" in text
    assert "not comparable" not in table(results(data="stl10"))


def test_the_page_is_whole_and_escaped():
    found = results()
    shown = [(Shown(name, name, draw(found), "A < B."), b"png") for name, draw in FIGURES.items()]
    text = page(found, shown, "title = 'A < B'")
    assert text.startswith("<!doctype html>")
    assert text.count("data:image/png;base64,") == len(FIGURES)
    assert not re.search(r"(src|href)=['\"]?(?!data:)[a-z./]", text)
    assert "<script" not in text
    assert "<title>images &lt;and&gt; &amp; more</title>" in text
    assert "the clapp &lt;system&gt;" in text
    assert "<system>" not in text
    for said in (
        "Imagenette",
        "not comparable",
        "Seeds: 0, 1",
        "Scale: small",
        "title = &#x27;A &lt; B&#x27;",
    ):
        assert said in text


ROW = {"recipe": {}, "contrast": {"loss": "hinge"}}
EXPERIMENT = {
    "title": "images <and> & more",
    "kind": "systems",
    "scale": "small",
    "model": "vgg6",
    "seeds": [0, 1],
    "figures": list(FIGURES),
    "data": {"name": "imagenette96"},
    "systems": [
        {**ROW, "name": "random", "title": "random", "learns": "nothing"},
        {**ROW, "name": "whole", "title": "whole", "modules": [6]},
        {**ROW, "name": "upper", "title": "upper", "modules": [3, 1, 1, 1]},
        {**ROW, "name": "lower", "title": "lower", "modules": [1, 1, 1, 3]},
        {**ROW, "name": "clapp", "title": "clapp"},
        {**ROW, "name": "cpc", "title": "cpc", "modules": [6], "contrast": {"loss": "info_nce"}},
        {**ROW, "name": "supervised", "title": "supervised", "learns": "labels", "modules": [6]},
    ],
}


def a_run(folder, found):
    folder.mkdir()
    (folder / "experiment.toml").write_text(tomli_w.dumps(EXPERIMENT), encoding="utf-8")
    (folder / "results.json").write_text(json.dumps(found), encoding="utf-8")
    return SystemsRun(folder)


def test_plot_writes_every_figure_and_the_report(tmp_path):
    run = a_run(tmp_path / "images", results())
    plot_systems(run)
    assert {path.stem for path in (run.folder / "figures").iterdir()} == set(FIGURES)
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == len(FIGURES)
    assert escape((run.folder / "experiment.toml").read_text(encoding="utf-8")) in text
    assert "the whole &lt;system&gt; is the highest with 60.5 ± 6.4 %" in text
    assert "-6.0 points with hinge loss (4 instead of 1)" in text
    assert run.done("plot")


def test_only_systems_that_differ_in_their_cut_are_compared_by_modules(tmp_path):
    assert alike(a_run(tmp_path / "images", results()).experiment) == GROUPS

"""Figures have labelled axes; the page holds all of them and nothing from elsewhere."""

import re
from html import escape

import numpy as np
import pytest

from neuroclapp.network import Layer, Network
from neuroclapp.report.accuracy import accuracy
from neuroclapp.report.agreement import agreement
from neuroclapp.report.document import Shown, png
from neuroclapp.report.gates import Gates, gates, score_scatter
from neuroclapp.report.page import page
from neuroclapp.report.raster import Spikes, Steps, raster
from neuroclapp.report.style import NAMES
from neuroclapp.report.weights import Moving, matrices, norms, receptive_fields, single_weights, trajectories
from neuroclapp.spiking.mapping import Spiking, populations

DRAW = np.random.default_rng(0)
LAYERS = ["one", "two"]
PAIRED = ("paired_difference", "paired_difference_few_labels")
ABOUT = {
    "presentations": 18000,
    "labels": 1000,
    "few_labels": 150,
    "test_images": 500,
    "test_glimpses": 3,
    "inputs": 128,
    "units": [64, 32],
    "neurons": 16,
    "duration": 0.1,
    "flush": 0.025,
    "dt": 0.005,
}


def figures(seeds=3, layers=2):
    """As `summarise` makes them: one seed has no interval."""
    values = DRAW.random((seeds, layers))
    return {
        "mean": values.mean(axis=0).tolist(),
        "interval": values.std(axis=0).tolist() if seeds > 1 else None,
        "per_seed": values.tolist(),
    }


def results(targets=("w_ff", "w_pred", "w_retro"), lava=True, seeds=3):
    pairs = ("spiking_minus_rate", "rate_minus_raw")
    made = {
        **{key: {pair: figures(seeds) for pair in pairs} for key in PAIRED},
        "experiment": "digits <and> & more",
        "seeds": list(range(seeds)),
        "layers": LAYERS,
        "versions": {"python": "3.11"},
        "cost": {"train": {"wall_s": 1.0, "cpu_s": 2.0}},
        "agreement": {
            **{
                key: {target: figures(seeds) for target in targets}
                for key in ("accumulated_cosine", "update_cosine", "shuffled_gamma_cosine")
            },
            "trajectory_cosine": figures(seeds),
            "trajectory_ceiling": figures(seeds),
        },
    }
    for key in ("accuracy", "accuracy_few_labels"):
        made[key] = {world: figures(seeds, 1 if world == "raw" else 2) for world in NAMES}
    if lava:
        made["lava"] = {
            "samples": 100,
            "spike_mismatches": [0, 7],
            "update_cosine": {"w_ff": [0.99999, 0.98765], "bias": [None, 1.0]},
            "largest_weight_difference": 2e-16,
        }
    return made


def moving(world, targets=("w_ff", "w_pred", "w_retro")):
    arrays = {f"{layer}.{target}": DRAW.standard_normal((5, 6, 8)) for layer in LAYERS for target in targets}
    return Moving(world, np.arange(5) * 100, arrays)


def scores(world):
    return Gates(world, DRAW.standard_normal((300, 2)), DRAW.integers(-1, 2, (300, 2)).astype(float))


def a_raster(gates=1):
    network = Network("small", (4,), (Layer("one", 5, bias=False),))
    pops = populations(network, Spiking(), (0.1,), (0.1,), np.random.default_rng(0))
    steps = 2 * pops.timing.steps + 1
    events = Spikes(np.array([0, 5, 9]), np.array([0, 1, 1]), np.array([1.0, 2.0, 3.0]))
    evidence = [DRAW.random((steps, 64)) for _ in range(gates)]
    gamma = [DRAW.integers(-1, 2, steps).astype(float) for _ in range(gates)]
    layer = Steps(DRAW.random((steps, 5)), evidence, gamma)
    return raster({"input": events, "one": events, "modulator": events}, layer, [0, 1], pops, "one")


SIGN = np.tile(np.array([-1, 1], dtype=np.int8), 150)
FIGURES = {
    "accuracy": lambda: accuracy(results()),
    "agreement": lambda: agreement(results()),
    "agreement without w_retro": lambda: agreement(results(targets=("w_ff", "w_pred"))),
    "norms": lambda: norms([moving("rate"), moving("spiking")], LAYERS),
    "norms without w_retro": lambda: norms([moving("rate", ("w_ff", "w_pred"))], LAYERS),
    "single weights": lambda: single_weights([moving("rate"), moving("spiking")], LAYERS),
    "trajectories": lambda: trajectories(
        moving("rate"), moving("spiking"), dict.fromkeys(LAYERS, 0.9), LAYERS
    ),
    "matrices": lambda: matrices([moving("rate"), moving("spiking")], "one"),
    "gates": lambda: gates([scores("rate"), scores("spiking")], SIGN, LAYERS),
    "scores": lambda: score_scatter([DRAW.random(300)] * 2, [DRAW.random(300)] * 2, SIGN, LAYERS),
    "raster": a_raster,
    "raster with two gates": lambda: a_raster(2),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_axis_is_labelled(name):
    made = FIGURES[name]()
    assert png(made).startswith(b"\x89PNG")
    plotted = [axes for axes in made.axes if axes.get_label() != "<colorbar>"]
    for axes in plotted:
        assert axes.get_ylabel(), axes.get_title()
    assert any(axes.get_xlabel() for axes in plotted)
    if "raster" in name:
        assert plotted[-1].get_xlabel() == "time [ms]"


def test_receptive_fields_show_on_minus_off_of_the_same_units():
    start, end = DRAW.random((20, 32)), DRAW.random((20, 32))
    made = receptive_fields(start, {"rate": end}, 4, count=3)
    units = [int(axes.get_title()) for axes in made.axes[:3]]
    assert units == np.argsort(-np.linalg.norm(end, axis=1))[:3].tolist()
    shown = made.axes[3].images[0].get_array()
    np.testing.assert_allclose(shown, (end[units[0], :16] - end[units[0], 16:]).reshape(4, 4))


def test_one_seed_has_no_interval_on_the_page_and_no_bar_in_the_figure():
    """A page of three seeds has one interval for each value: of worlds, kinds of labels and layers."""
    values = 2 * (2 * len(NAMES) - 1) + 2 * 2 * 2 + 2 * (2 * 3 + 2)
    for seeds, expected in ((3, values), (1, 0)):
        text = page(results(seeds=seeds), [], "seeds = [0]")
        assert text.count(" ± ") == expected
        assert ("95 % interval" in text) == ("Seed 0 alone" not in text) == (seeds > 1)
        made = accuracy(results(seeds=seeds))
        bars = [one for axes in made.axes for one in axes.containers if hasattr(one, "has_yerr")]
        assert {one.has_yerr for one in bars} == {seeds > 1}


def test_the_page_holds_everything_and_asks_for_nothing():
    shown = [
        (Shown(name, name, make(), "A < B & C."), png(make())) for name, make in list(FIGURES.items())[:2]
    ]
    text = page(results(), shown, "seeds = [0]")
    assert text.count("data:image/png;base64,") == 2
    assert not re.search(r"(src|href)=['\"]?(?!data:)[a-z./]", text)
    assert "<script" not in text
    assert "digits &lt;and&gt; &amp; more" in text
    assert "A &lt; B &amp; C." in text


def test_differences_within_a_seed_are_on_the_page():
    found = results()
    found["paired_difference"]["spiking_minus_rate"]["mean"] = [-0.123, 4.567]
    found["paired_difference"]["spiking_minus_rate"]["interval"] = [1.0, 2.0]
    rows = page(found, [], "").split("<tr>")
    row = next(row for row in rows if "learned in spikes - learned in rates" in row)
    assert re.findall(r"<td[^>]*>(.*?)</td>", row)[1:3] == ["-0.12 ± 1.00", "+4.57 ± 2.00"]


def test_the_page_says_what_was_shown_to_what():
    text = page(results() | {"about": ABOUT}, [], "")
    said = (
        "18000 presentations",
        "128 inputs and layers of 64, 32 units",
        "16 neurons per unit",
        "100 ms of input and 25 ms without",
        "steps of 5 ms",
        "one, 1000 labels",
        "two, 150 labels",
        "500 images, 3 glimpses",
    )
    for each in said:
        assert each in text, each
    assert "all labels" not in text
    assert "all labels" in page(results(), [], "")


@pytest.mark.parametrize(("share", "warned"), [(0.96, True), (0.04, True), (0.6, False)])
def test_gates_that_hardly_move_are_named(share, warned):
    found = results()
    found["agreement"]["gate_open_fraction"] = {**figures(), "mean": [0.5, share]}
    assert (f"open in two {100 * share:.0f} % of the pairs" in page(found, [], "")) == warned


def test_a_spike_after_the_last_presentation_is_not_drawn():
    made = a_raster()
    right = made.axes[-1].get_xlim()[1]
    for axes in made.axes[:3]:
        assert axes.collections[-1].get_offsets()[:, 0].max() < right


def test_lava_is_shown_by_layer():
    text = page(results(), [], "again")
    for title, cells in (
        ("inference: test glimpses", ["100", ""]),
        ("differ from Brian2", ["0", "7"]),
        ("with the count-based rule, W", ["0.99999", "0.98765"]),
        ("with the count-based rule, bias", ["", "1"]),
        ("difference of a weight from the engine", ["2e-16", ""]),
    ):
        row = next(row for row in text.split("<tr>") if escape(title) in row)
        assert re.findall(r"<td[^>]*>(.*?)</td>", row)[1:] == cells, title


def test_the_page_works_without_lava():
    assert "<h2>Lava</h2>" not in page(results(lava=False), [], "again")

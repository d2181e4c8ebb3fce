"""Figures as text: a mean with its interval, which one seed does not have."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroclapp.analysis.measures import summarise
from neuroclapp.report.text import cell, cells


def test_a_mean_stands_with_the_interval_of_several_seeds():
    figure = {"mean": [55.604, -1.0], "interval": [0.126, 12.0], "per_seed": [[1.0, 2.0], [3.0, 4.0]]}
    assert cells(figure, ".1f") == ["55.6 ± 0.1", "-1.0 ± 12.0"]
    assert cell(figure, "+6.2f", 0, between=" +- ") == "+55.60 +- 0.13"
    assert cell({"mean": 1.5, "interval": 0.25, "per_seed": [1.0, 2.0]}, ".2f") == "1.50 ± 0.25"


@pytest.mark.parametrize("interval", [None, 0.0, [0.0]])
def test_one_seed_has_no_interval(interval):
    """Also not where a file that was written before says 0."""
    nested = isinstance(interval, list)
    figure = {"mean": [55.604] if nested else 55.604, "interval": interval, "per_seed": [55.604]}
    assert cell(figure, ".2f", *([0] if nested else [])) == "55.60"


@given(
    values=st.lists(st.lists(st.floats(-99, 99), min_size=3, max_size=3), min_size=1, max_size=5),
    form=st.sampled_from([".1f", "+.2f", "6.2f", "7.4f"]),
)
def test_a_cell_reads_back_as_the_figures(values, form):
    figure = summarise(values)
    for n, text in enumerate(cells(figure, form)):
        read = [float(one) for one in re.split(" ± ", text)]
        assert len(read) == (2 if len(values) > 1 else 1)
        assert abs(read[0] - np.mean(values, axis=0)[n]) < 0.51 * 10 ** -int(form[-2])

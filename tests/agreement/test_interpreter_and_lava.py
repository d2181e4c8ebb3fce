"""The integer interpreter against Lava's fixed point: random networks, all numbers after every step.

A small sample; `make test-lava-fuzz` takes 1024 networks (see `agreement.lava_fuzz`).
"""

import importlib.util

import pytest
from agreement.fixed_networks import draw_network
from agreement.lava_fuzz import compare

from neuroclapp.errors import RunError
from neuroclapp.onchip.lava.fixed_jobs import run_networks

pytestmark = [
    pytest.mark.lava,
    pytest.mark.skipif(importlib.util.find_spec("lava") is None, reason="lava-nc is not installed"),
]


def test_every_number_of_random_networks_equals_lavas():
    wrong, compared = compare(first=5000, networks=12, steps=40, limit_s=200)
    assert compared > 20_000
    assert not wrong


def test_a_run_ends_at_its_limit():
    with pytest.raises(RunError, match=r"longer than 0\.2 s"):
        run_networks([draw_network(0, 10)], limit_s=0.2)

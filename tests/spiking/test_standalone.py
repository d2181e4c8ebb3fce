"""Brian2's C++ programs: how long they may run."""

from dataclasses import replace

import pytest
from agreement.small_spiking import BASE, network, spiking_network

from neuroclapp.errors import InputError
from neuroclapp.spiking.populations import Timing
from neuroclapp.spiking.standalone import longest


@pytest.mark.parametrize(
    ("steps", "dt", "expected"), [(26, 0.001, 2462), (105, 0.001, 611), (25, 0.005, 9000)]
)
def test_clocks_keep_in_step_for_64_seconds(steps, dt, expected):
    """Past 64 s the last bit of a time, 1.4e-14 s, is more than Brian2's 1e-14 s; 125 ms is exact in binary.

    With 26 steps a program was seen to go wrong from its presentation 2463 on.
    """
    assert longest(steps * dt, steps, dt, 9000) == expected
    if expected < 9000:
        assert 64 < (expected + 1) * steps * dt < 66


def test_a_stretch_too_long_for_the_clocks_is_refused(tmp_path):
    pytest.importorskip("brian2")
    from neuroclapp.spiking.simulation import CompiledNetwork

    timing = Timing(duration=0.1, flush=0.005, dt=0.001)
    made = spiking_network(network(), replace(BASE, timing=timing))
    with pytest.raises(InputError, match="stretch = 2000: must be at most 611"):
        CompiledNetwork(made, 2000, tmp_path)
    assert not list(tmp_path.iterdir())

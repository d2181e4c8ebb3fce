"""Brian2 and its C++ programs: where they may be imported, how long they may run."""

import subprocess
import sys
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


IN_A_THREAD = """
import signal, threading
from neuroclapp.spiking.standalone import brian2
found, before = [], (signal.signal, signal.getsignal(signal.SIGINT))
thread = threading.Thread(target=lambda: found.append(brian2().__version__))
thread.start()
thread.join()
print(len(found), (signal.signal, signal.getsignal(signal.SIGINT)) == before)
"""


def test_brian2_is_imported_outside_the_main_thread_too():
    """As in a worker on a cluster; whoever handles Ctrl-C there goes on doing so."""
    pytest.importorskip("brian2")
    done = subprocess.run([sys.executable, "-c", IN_A_THREAD], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "True"]

"""Describing and exporting chips loads no simulator."""

import subprocess
import sys


def test_importing_loads_neither_lava_nor_nir():
    modules = ", ".join(f"neuroclapp.onchip.{name}" for name in ("export", "exported", "chip", "lava.jobs"))
    simulators = ("lava", "nir", "brian2", "torch", "h5py")
    code = f"import sys, {modules}; print(sorted(set({simulators}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

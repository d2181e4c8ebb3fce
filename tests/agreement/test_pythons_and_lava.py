"""Lava on Python 3.10, the only one that its metadata admits, beside the one that runs this suite."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from agreement.interpreters import find

ROOT = Path(__file__).parents[2]


def test_an_interpreter_that_is_found_runs():
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    place = find(version)
    if place is None:
        pytest.skip(f"python{version} is not on the path")
    shown = subprocess.run([place, "--version"], capture_output=True, text=True, check=True).stdout
    assert shown.startswith(f"Python {version}.")


def test_an_interpreter_that_does_not_exist_is_not_found():
    assert find("3.99") is None


@pytest.mark.slow
@pytest.mark.lava
@pytest.mark.timeout(3000)
def test_the_lava_tests_pass_on_python_3_10():
    """Without torch and without the shim's change; the environment is kept in .venv-310."""
    if find("3.10") is None:
        pytest.skip("no Python 3.10 on this machine")
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    command = ["make", "--no-print-directory", "test-lava-310", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    shown = done.stdout[-4000:] + done.stderr[-1000:]
    assert done.returncode == 0, shown
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) >= 20, shown

"""The house's order: imports never run backwards or sideways; importing the package loads no simulator."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import neuroclapp

PACKAGE = Path(neuroclapp.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

#: Each part, and the parts that it may import besides itself.
BASE = {"errors", "units", "files", "progress"}
DESCRIPTIONS = {
    "catalog",
    "network",
    "places",
    "plasticity",
    "presentations",
    "weights",
    "data",
    "objective",
    "recipe",
    "systems",
    "resolve",
}
WORLDS = {"rate", "spiking", "onchip"}
ALLOWED = {
    **dict.fromkeys(BASE, BASE),
    **dict.fromkeys(DESCRIPTIONS, BASE | DESCRIPTIONS),
    **dict.fromkeys(WORLDS, BASE | DESCRIPTIONS),
    "experiment": BASE | DESCRIPTIONS | {"spiking"},
    "settings": BASE | DESCRIPTIONS | {"spiking", "onchip", "experiment"},
    "study": BASE | {"catalog", "settings"},
    "analysis": BASE | DESCRIPTIONS | WORLDS,
    "report": BASE | DESCRIPTIONS | WORLDS | {"analysis"},
    "run": BASE | DESCRIPTIONS | WORLDS | {"analysis", "report", "experiment", "settings", "study"},
    "doctor": BASE,
    "cli": BASE | DESCRIPTIONS | {"run", "experiment", "doctor"},
    "__init__": BASE | DESCRIPTIONS | {"rate"},
    "__main__": {"cli"},
}
#: Where a backend's package may be imported.
ONLY = {
    "brian2": {f"spiking/{name}.py" for name in ("building", "layers", "model", "rows", "standalone")},
    "neo": {"spiking/neo.py"},
    "distributed": {"run/cluster.py"},
    "nir": {"onchip/nir.py"},
    "numba": {"onchip/interpreter/kernels.py", "spiking/engine/kernels.py"},
    "lava": None,
}


def part_of(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported(path):
    """Yield ('neuroclapp', part) or (package, '') of every import in a file."""
    here = ("neuroclapp", *path.relative_to(PACKAGE).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                names = alias.name.split(".")
                yield names[0], names[1] if len(names) > 1 else ""
        elif isinstance(node, ast.ImportFrom):
            base = list(here[: len(here) - node.level]) if node.level else []
            base += node.module.split(".") if node.module else []
            for alias in node.names:
                full = [*base, alias.name]
                yield full[0], full[1] if len(full) > 1 else ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_follow_the_house(path):
    part = part_of(path)
    for package, target in imported(path):
        if (
            package == "neuroclapp"
            and target
            and (PACKAGE / target).exists() | (PACKAGE / f"{target}.py").exists()
        ):
            if part == "onchip" and target == "spiking":
                continue  # the one exception: onchip reads spiking/populations.py, tested below
            assert target == part or target in ALLOWED[part], f"{part} imports {target}"
        relative = path.relative_to(PACKAGE).as_posix()
        if package == "lava":
            assert relative.startswith("onchip/lava/"), relative
        elif package in ONLY:
            assert relative in ONLY[package], f"{relative} imports {package}"


def test_onchip_reads_only_populations_of_the_spiking_world():
    for path in (PACKAGE / "onchip").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module and "spiking" in node.module:
                assert node.module == "spiking.populations", path


def test_importing_the_package_loads_no_simulator():
    heavy = ("torch", "brian2", "lava", "nir")
    code = f"import sys, neuroclapp, neuroclapp.cli; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rate_training_works_without_brian2_nir_and_lava():
    code = """
import sys
for name in ("brian2", "nir", "lava"):
    sys.modules[name] = None
import numpy as np, neuroclapp
from neuroclapp.presentations import Glimpse, fixations
from neuroclapp.rate.online import train_online
from neuroclapp.weights import Initial
net = neuroclapp.load_network("digits")
draw = np.random.default_rng(0)
images = draw.random((5, 64))
stream = fixations(images, images.mean(0), 10, Glimpse(), draw)
print(len(train_online(net, Initial().draw(net, draw), stream, (0.1, 0.1), (0.1, 0.1)).weights))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "6"

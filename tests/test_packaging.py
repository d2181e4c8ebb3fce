"""What is declared about the package agrees with itself, and a wheel works far from the checkout."""

import ast
import re
import subprocess
import sys
import sysconfig
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
#: Modules whose distribution has another name.
DISTRIBUTIONS = {"PIL": "pillow", "distributed": "dask", "lava": "lava-nc", "sklearn": "scikit-learn"}
CATALOGUE = ("models", "hardware", "experiments")
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
SETTINGS = tomllib.loads(PYPROJECT)
OPTIONAL = SETTINGS["project"]["optional-dependencies"]
CONSTRAINTS = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()


def requirements(*extras: str) -> list[Requirement]:
    """Return what the package and these extras require on the Python at hand."""
    lines = SETTINGS["project"]["dependencies"] + [line for name in extras for line in OPTIONAL[name]]
    found = [Requirement(line) for line in lines]
    return [requirement for requirement in found if applies(requirement)]


def pins() -> list[Requirement]:
    """Return all lines of constraints.txt, for whatever Python."""
    texts = [line.partition("#")[0].strip() for line in CONSTRAINTS]
    return [Requirement(text) for text in texts if text]


def applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate()


def version_of_lava(text: str) -> set[str]:
    return set(re.findall(r"lava-nc==([\d.]+)", text))


def imported(path: Path) -> set[str]:
    """Return the top-level modules that a file imports absolutely."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names


def test_wheel_is_told_to_carry_the_catalogue():
    wheel = SETTINGS["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["sources"] == {name: f"neuroclapp/_catalog/{name}" for name in CATALOGUE}
    assert set(wheel["only-include"]) == {"neuroclapp", *CATALOGUE}


def test_every_pin_and_upper_bound_has_its_reason():
    bound = re.compile(r'^\s*"[\w.-]+(\[.*\])?[^"]*(==|<|~=)[^"]*"')
    lines = PYPROJECT.splitlines()
    for above, line in pairwise(lines):
        requirement = bound.match(line.replace("python_version <", "").replace("python_version ==", ""))
        if requirement:
            assert '"  # ' in line or '",  # ' in line or above.strip().startswith("#"), line


def test_every_constraint_is_generated_or_has_its_reason():
    generated = "via the following command" in CONSTRAINTS[0]
    for above, line in zip(["", *CONSTRAINTS], CONSTRAINTS, strict=False):
        if line and not line.startswith("#"):
            assert (generated and "  # via " in line) or above.startswith("# "), line


def test_constraints_are_exact():
    assert [str(pin) for pin in pins() if not re.fullmatch(r"==[\w.]+", str(pin.specifier))] == []


@pytest.mark.parametrize("extra", ["brian2", "lava", "nir", "neo", "dask", "dev"])
def test_constraints_pin_what_is_required_to_a_version_that_fits(extra):
    chosen = {canonicalize_name(pin.name): pin.specifier for pin in pins() if applies(pin)}
    for requirement in requirements(extra):
        (pin,) = chosen[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin.version), requirement


def test_every_package_that_the_code_imports_is_declared():
    extras = [line for name in ("brian2", "lava", "nir", "neo", "dask") for line in OPTIONAL[name]]
    lines = SETTINGS["project"]["dependencies"] + extras
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    for path in (ROOT / "neuroclapp").rglob("*.py"):
        foreign = imported(path) - sys.stdlib_module_names - {"neuroclapp"}
        used = {canonicalize_name(DISTRIBUTIONS.get(name, name)) for name in foreign}
        assert used <= declared, path


def test_torch_is_pinned_for_every_python():
    # Left open, pip takes the newest build, and with it gigabytes for a GPU.
    assert [pin.marker for pin in pins() if pin.name == "torch"] == [None]


def test_extra_all_is_every_extra_but_those_for_developing():
    (line,) = OPTIONAL["all"]
    assert Requirement(line).extras == set(OPTIONAL) - {"all", "dev"}


def test_one_version_of_lava_is_named_everywhere():
    (version,) = version_of_lava(PYPROJECT)
    code = [path.read_text(encoding="utf-8") for path in (ROOT / "neuroclapp").rglob("*.py")]
    for text in [(ROOT / "Makefile").read_text(encoding="utf-8"), *CONSTRAINTS, *code]:
        assert version_of_lava(text) <= {version}


def test_version_is_the_package_s_own():
    import neuroclapp

    assert SETTINGS["project"]["version"] == neuroclapp.__version__


@pytest.mark.slow
def test_wheel_lists_its_catalogue_in_an_empty_folder(tmp_path):
    build = ("build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT))
    subprocess.run([sys.executable, "-m", *build], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    assert {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()} == {
        "neuroclapp",
        f"neuroclapp-{SETTINGS['project']['version']}.dist-info",
    }

    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    install = ("--python", str(environment), "install", "--no-index", "--no-deps", str(wheel))
    subprocess.run([sys.executable, "-m", "pip", *install], check=True, capture_output=True)
    # Dependencies are taken from here; their folder's own .pth files, and so the checkout, stay unread.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")

    empty = tmp_path / "empty"
    empty.mkdir()
    command = [str(environment / "bin" / "neuroclapp"), "list"]
    listed = subprocess.run(command, cwd=empty, check=True, capture_output=True, text=True).stdout
    for kind in CATALOGUE:
        for path in (ROOT / kind).glob("*.toml"):
            assert re.search(rf"\b{re.escape(path.stem)}\b", listed)
    assert list(empty.iterdir()) == []

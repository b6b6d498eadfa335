"""The built wheel works in an environment that holds nothing else.

The environment is truly empty and pip brings the declared dependencies, although that takes 6 GB and minutes: borrowing
the packages of the environment that runs the tests would hide a dependency that we forgot to declare.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import nsbench

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]  # one process makes the environment

ROOT = Path(__file__).parents[1]
PRESETS = sorted(path.stem for path in (ROOT / "nsbench" / "presets").glob("*.toml"))
MANIFESTS = sorted(path.stem for path in (ROOT / "data_manifests").glob("*.toml"))

IMPORT_ALL = """
import importlib, pkgutil, nsbench
names = [module.name for module in pkgutil.walk_packages(nsbench.__path__, "nsbench.")]
for name in names:
    if name != "nsbench.__main__":
        importlib.import_module(name)
print(nsbench.__file__, *names)
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder outside the checkout, deleted even when tests fail: pytest would keep tmp_path, and 6 GB three times."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture(scope="module")
def wheel(folder: Path) -> Path:
    """The wheel, built from the checkout."""
    pip = [sys.executable, "-m", "pip", "--quiet"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, folder: Path) -> Path:
    """The folder of programs of a new environment with the wheel and its dependencies."""
    subprocess.run([sys.executable, "-m", "venv", folder / "empty"], check=True)
    programs = folder / "empty" / "bin"
    subprocess.run([programs / "python", "-m", "pip", "--quiet", "install", wheel], check=True)
    return programs


def run(program: Path, *arguments: str) -> str:
    """What a program of the new environment prints, run where the checkout cannot be imported by accident."""
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [program, *arguments], env=clean, cwd=program.parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_its_presets_and_the_manifests_and_no_tests(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert PRESETS
    assert MANIFESTS
    assert {f"nsbench/presets/{preset}.toml" for preset in PRESETS} <= names
    assert {f"nsbench/data_manifests/{manifest}.toml" for manifest in MANIFESTS} <= names
    assert "nsbench/py.typed" in names
    info = f"nsbench-{nsbench.__version__}.dist-info/"
    assert {f"{info}licenses/LICENSE", f"{info}entry_points.txt"} <= names
    assert {name.split("/")[0] for name in names} == {"nsbench", info.rstrip("/")}


def test_every_module_imports_with_the_declared_dependencies_alone(environment: Path) -> None:
    file, *names = run(environment / "python", "-c", IMPORT_ALL).split()
    assert Path(file).is_relative_to(environment.parent)
    assert "nsbench.cli.app" in names


def test_the_installed_program_prints_its_version_and_its_commands(environment: Path) -> None:
    assert nsbench.__version__ in run(environment / "nsbench", "--version").split()
    assert "run-all" in run(environment / "nsbench", "--help")


@pytest.mark.parametrize("preset", PRESETS)
def test_the_installed_program_finds_every_preset(environment: Path, preset: str) -> None:
    assert tomllib.loads(run(environment / "nsbench", "run-all", preset, "--show-config"))


def test_the_installed_package_finds_every_manifest(environment: Path) -> None:
    program = "from nsbench.data.library.manifests import list_manifests; print(*list_manifests())"
    assert run(environment / "python", "-c", program).split() == MANIFESTS

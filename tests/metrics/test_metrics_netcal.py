"""Calibration errors in the hands of netcal, a library of calibration methods."""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nsbench.metrics.adaptive import adaptive_calibration_error
from nsbench.metrics.calibration import (
    expected_calibration_error,
    maximum_calibration_error,
    paper_calibration_error,
)
from nsbench.metrics.classification import softmax
from nsbench.metrics.classwise import classwise_calibration_error
from nsbench.metrics.top_label import top_label, top_label_calibration_error
from tests.conftest import MadeOnce

CASES = [(sharpness, bins) for sharpness in (0.5, 2.0, 6.0) for bins in (10, 15)]

# Its metrics need none of the packages of its scaling methods, so the wheel alone will do. Its own
# documentation strings are not clean Python any more, so this runs in a process of its own.
MEASURED = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from netcal.metrics import ACE, ECE, MCE

given, found = np.load(sys.argv[2]), {}
for case in range(int(sys.argv[4])):
    p, y, m = given[f"probabilities{case}"], given[f"labels{case}"], int(given[f"bins{case}"])
    is_label = (y[:, None] == np.arange(p.shape[1])).astype(int)
    found[f"expected{case}"] = ECE(m).measure(p, y)
    found[f"maximum{case}"] = MCE(m).measure(p, y)
    found[f"adaptive{case}"] = ECE(m, equal_intervals=False).measure(p, y)
    found[f"adaptive_unweighted{case}"] = ACE(m, equal_intervals=False).measure(p, y)
    found[f"classwise{case}"] = np.mean([ECE(m).measure(p[:, k], is_label[:, k]) for k in range(p.shape[1])])
    found[f"paper{case}"] = ACE(m).measure(p.ravel(), is_label.ravel())
np.savez(sys.argv[3], **found)
"""


def random_case(case: int) -> tuple[Any, Any, int]:
    """Probabilities of a model that is right now and then; M divides N, so that every bin of equal mass is full."""
    sharpness, bins = CASES[case]
    random = np.random.default_rng(case)
    probabilities = softmax(sharpness * random.normal(size=(3000, 10)))
    labels = np.where(random.random(3000) < 0.6, probabilities.argmax(axis=1), random.integers(10, size=3000))
    return probabilities, labels, bins


@pytest.fixture(scope="module")
def netcal(made_once: MadeOnce) -> dict[str, float]:
    """What netcal says of every case, by the name of its number and the case."""
    with np.load(made_once("netcal", ask_netcal) / "found.npz") as found:
        return {name: float(found[name]) for name in found.files}


def ask_netcal(folder: Path) -> None:
    """Write what netcal says of every case to `found.npz` in a folder."""
    folder.mkdir()
    pip = ["download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", str(folder), "netcal==1.4.0"]
    subprocess.run([sys.executable, "-m", "pip", *pip], check=True)
    (wheel,) = folder.glob("netcal-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "wheel")
    given = {}
    for case in range(len(CASES)):
        given[f"probabilities{case}"], given[f"labels{case}"], given[f"bins{case}"] = random_case(case)
    np.savez(folder / "given.npz", **given)
    paths = [str(folder / name) for name in ("wheel", "given.npz", "found.npz")]
    subprocess.run([sys.executable, "-c", MEASURED, *paths, str(len(CASES))], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("case", range(len(CASES)))
def test_netcal_agrees_on_every_calibration_error(netcal: dict[str, float], case: int) -> None:
    probabilities, labels, bins = random_case(case)
    confidence, correct = top_label(probabilities, labels)
    pairs = {
        "expected": expected_calibration_error(probabilities, labels, bins),
        "maximum": maximum_calibration_error(probabilities, labels, bins),
        "adaptive": adaptive_calibration_error(probabilities, labels, bins),
        "adaptive_unweighted": adaptive_calibration_error(probabilities, labels, bins),
        "classwise": classwise_calibration_error(probabilities, labels, bins),
        "paper": paper_calibration_error(probabilities, labels, bins),
    }
    for name, ours in pairs.items():
        assert ours == pytest.approx(netcal[f"{name}{case}"], abs=1e-12), name
    assert top_label_calibration_error(confidence, correct, bins) == pytest.approx(netcal[f"expected{case}"], abs=1e-12)

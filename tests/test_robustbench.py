"""Generated sets in the hands of another tool: RobustBench's own loader reads them."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from nsbench.corruptions.corruptions import corrupt
from nsbench.corruptions.generate import Request, generate
from nsbench.data.load import load_dataset
from nsbench.progress import Reporter

# Its data module imports a model zoo that needs many packages and that its loader of corruptions does not use.
LOADED = """
import sys, types
import numpy as np

class Anything(types.ModuleType):
    __path__ = []
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return {}

for name in ("timm", "robustbench.zenodo_download", "robustbench.loaders"):
    sys.modules[name] = Anything(name)
package, zoo = types.ModuleType("robustbench"), Anything("robustbench.model_zoo")
package.__path__, zoo.__path__ = [sys.argv[1] + "/robustbench"], [sys.argv[1] + "/robustbench/model_zoo"]
sys.modules["robustbench"], sys.modules["robustbench.model_zoo"] = package, zoo
from robustbench.data import load_cifar10c

images, labels = load_cifar10c(300, severity=4, data_dir=sys.argv[2], corruptions=["contrast"])
np.savez(sys.argv[3], images=images.numpy(), labels=labels.numpy())
"""


@pytest.mark.slow
@pytest.mark.cifar
def test_robustbench_loads_a_generated_set(tmp_path: Path) -> None:
    data = Path(os.environ["NSBENCH_TEST_CIFAR10"])
    request = Request(names=("contrast",))
    generate("cifar10-c", request, tmp_path / "data" / "CIFAR-10-C", data, torch.device("cpu"), Reporter(quiet=True))
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--dest",
        str(tmp_path),
        "robustbench==1.1.1",
    ]
    subprocess.run(pip, check=True)
    (wheel,) = tmp_path.glob("robustbench-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "wheel")
    command = [
        sys.executable,
        "-c",
        LOADED,
        str(tmp_path / "wheel"),
        str(tmp_path / "data"),
        str(tmp_path / "read.npz"),
    ]
    subprocess.run(command, check=True)
    with np.load(tmp_path / "read.npz", allow_pickle=False) as read:
        images, labels = read["images"], read["labels"]
    test = load_dataset("cifar10", data).test
    expected = corrupt(torch.tensor(test.images[:300]), "contrast", 4, indices=torch.arange(300))
    assert np.array_equal(images, expected.permute(0, 3, 1, 2).numpy().astype(np.float32) / 255)
    assert np.array_equal(labels, test.labels[:300])

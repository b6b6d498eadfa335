"""The package beside the tests, as an installer leaves it, and the command line that sees it."""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = Path(__file__).parent / "package"

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def installed(folder: Path) -> Path:
    """The package as an installer leaves it: its modules, and its entry points beside them."""
    shutil.copytree(PACKAGE / "additions", folder / "additions", ignore=shutil.ignore_patterns("__pycache__"))
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    record = folder / f"{project['name']}-{project['version']}.dist-info"
    record.mkdir()
    points = [f"{name} = {module}" for name, module in project["entry-points"]["nsbench"].items()]
    (record / "entry_points.txt").write_text("\n".join(["[nsbench]", *points]) + "\n", encoding="utf-8")
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (record / "METADATA").write_text(head, encoding="utf-8")
    return folder


def command(site: Path) -> Command:
    """Run the command line in a process that sees the package."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "OMP_NUM_THREADS": "1"}

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, "-m", "nsbench", *arguments]
        return subprocess.run(line, capture_output=True, text=True, check=False, env=environment, timeout=300)

    return run

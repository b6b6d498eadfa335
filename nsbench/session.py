"""Where and when work is done: the software, the hardware, the clock."""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import nsbench
from nsbench.files import write_json
from nsbench.results.record import Provenance


def provenance(device: torch.device) -> Provenance:
    """Software and hardware of this process."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return Provenance(
        nsbench=nsbench.__version__,
        python=platform.python_version(),
        torch=torch.__version__,
        torchvision=version("torchvision"),
        numpy=version("numpy"),
        platform=platform.platform(),
        device=f"{device.type} ({name})",
        threads=torch.get_num_threads(),
    )


def processor() -> str:
    """The CPU's name."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


class Session:
    """Writes down in `environment.json` when and where work was done; results hold no clock time.

    Args:
        folder: of the run.
        device: where it computes.
    """

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.device, self.path = device, folder / "environment.json"
        self.earlier = self._read()
        self.entry: dict[str, Any] = {}

    def __enter__(self) -> None:
        self.entry = {
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "finished": None,
            "pid": os.getpid(),
            **provenance(self.device).model_dump(),
        }
        self._write()

    def __exit__(self, *failure: object) -> None:
        if failure[0] is None:
            self.entry["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
            self._write()

    def _read(self) -> list[Any]:
        try:
            found = json.loads(self.path.read_text())
        except (OSError, ValueError):
            return []
        return found["sessions"] if isinstance(found, dict) and "sessions" in found else []

    def _write(self) -> None:
        write_json(self.path, {"sessions": [*self.earlier, self.entry]})

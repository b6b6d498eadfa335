"""Where and when work is done: the software, the hardware, the clock."""

import os
import platform
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import torch
from pydantic import TypeAdapter, ValidationError

import nsbench
from nsbench.claims import Claims
from nsbench.files import remove_leftovers, write_json, write_text
from nsbench.results.record import Provenance
from nsbench.work.bench import Bench
from nsbench.work.checks import check_writable


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


Entry = dict[str, str | int | list[str] | None]
_SESSIONS = TypeAdapter(dict[Literal["sessions"], list[Entry]])


class Session:
    """Writes down in `environment.json` when and where work was done; results hold no clock time.

    Several processes may work on one folder at a time: each has an entry of its own. No other work reads the file, so
    that one which somebody has edited or put something else in place of keeps nothing from going on.

    Args:
        bench: where the work is done.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench, self.path = bench, bench.folder / "environment.json"
        self.entry: Entry = {}

    def __enter__(self) -> None:
        self.entry = {
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "finished": None,
            "host": platform.node(),
            "pid": os.getpid(),
            **provenance(self.bench.device).model_dump(),
        }
        self._write([])

    def __exit__(self, *failure: object) -> None:
        if failure[0] is None:
            begun = dict(self.entry)
            self.entry["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
            self._write([begun])

    def _write(self, replaced: list[Entry]) -> None:
        if self.path.is_dir():
            if not replaced:
                self.bench.reporter.warn(f"{self.path} is a folder: when and where this was done is not written down.")
            return
        with self.bench.claims.hold("folder"):
            others = [one for one in self._read() if one not in replaced]
            write_json(self.path, {"sessions": [*others, self.entry]})

    def _read(self) -> list[Entry]:
        """The entries that are there; those that were edited beyond reading are put aside under another name."""
        if not self.path.is_file():
            return []
        try:
            return _SESSIONS.validate_json(self.path.read_bytes()).get("sessions", [])
        except ValidationError:
            aside = self.path.with_suffix(".damaged.json")
            self.bench.reporter.warn(f"{self.path} is damaged: it is kept as {aside.name}, and a new one begins.")
            self.path.replace(aside)
            return []


def enter_folder(claims: Claims, texts: Mapping[str, str]) -> None:
    """Write what describes a run or an evaluation into its folder, after the leftovers of a killed process are gone.

    Args:
        claims: claims of the folder.
        texts: the content of each file; one that is there already is not written again.

    Raises:
        UserError: something could not be written here, now or hours later.
    """
    check_writable(claims.folder)
    with claims.hold("folder"):
        remove_leftovers(claims.folder)
        for name, text in texts.items():
            path = claims.folder / name
            if not path.is_file() or path.read_bytes() != text.encode():
                write_text(path, text)

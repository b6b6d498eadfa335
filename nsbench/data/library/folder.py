"""Where data sets are."""

import os
from pathlib import Path


def data_folder(option: Path | None) -> Path:
    """Where data files are: the --data option, else the variable NSBENCH_DATA, else `data` in the working folder."""
    return (option or Path(os.environ.get("NSBENCH_DATA") or "data")).expanduser()

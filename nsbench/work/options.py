"""What a piece of work needs besides its configuration."""

from dataclasses import dataclass
from pathlib import Path

from nsbench.claims import Claims


@dataclass(frozen=True)
class Options:
    """What a run or an evaluation needs besides its configuration; none of it changes what is measured.

    Attributes:
        out: the folder of the run or the evaluation.
        data: the data folder, None for the default.
        device: auto, cpu or cuda.
        quiet: show warnings only.
        save_every: least seconds between two saved states of training in progress.
    """

    out: Path
    data: Path | None = None
    device: str = "auto"
    quiet: bool = False
    save_every: float = 60.0

    @property
    def claims(self) -> Claims:
        """The claims on units of work in the folder."""
        return Claims(self.out)

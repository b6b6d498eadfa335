"""What a piece of work needs besides its configuration."""

from dataclasses import dataclass
from pathlib import Path

from nsbench.claims import Claims
from nsbench.config.trust import NOTHING, Trust


@dataclass(frozen=True)
class Options:
    """What a run or an evaluation needs besides its configuration; none of it changes what is measured.

    Attributes:
        out: the folder of the run or the evaluation.
        data: the data folder, None for the default.
        device: auto, cpu or cuda.
        quiet: show warnings only.
        save_every: least seconds between two saved states of training in progress.
        trust: what may run as code while models are opened.
    """

    out: Path
    data: Path | None = None
    device: str = "auto"
    quiet: bool = False
    save_every: float = 60.0
    trust: Trust = NOTHING

    @property
    def claims(self) -> Claims:
        """The claims on units of work in the folder."""
        return Claims(self.out)

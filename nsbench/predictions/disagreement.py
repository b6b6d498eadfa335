"""How far the faster arithmetic of an evaluation disagrees with float32."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from nsbench.config.evaluation import EvaluationConfig
from nsbench.predictions.kinds import FAST
from nsbench.predictions.store import Stored


def disagreements(config: EvaluationConfig, run: Path, names: Sequence[str]) -> Iterator[str]:
    """A sentence for each model whose predictions on corrupted and perturbed images are not float32's."""
    if config.precision == "float32":
        return
    for name in names:
        stored = Stored(run, name)
        exact, fast = stored.load("clean")["logits"].argmax(1), stored.load(FAST)["predicted"]
        yield (
            f"{name}: corrupted and perturbed images were predicted in {config.precision}; on clean images "
            f"{100 * np.mean(exact != fast):.2f} % of its {len(exact):,} predictions differ from those in float32."
        )

"""Numbers on the cells of a benchmark of corruptions, and their means over the severities of each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nsbench.config.evaluation import EvaluationConfig
from nsbench.metrics.top_label import top_label_bins
from nsbench.results.measure.calibrated import Calibration
from nsbench.results.measure.numbers import Number, Place, Resampler, Sampled, last_mean


@dataclass(frozen=True)
class Cells:
    """What a model made of C members of a benchmark at S severities, on N images each."""

    protocol: str
    """The benchmark's name."""
    names: tuple[str, ...]
    """The members."""
    severities: Sequence[int]
    wrong: NDArray[np.bool_]
    """(C, S, N) whether an image is misclassified."""
    identities: Mapping[str, Sequence[str]]
    """Identities of the images, by member and severity."""
    errors: Sampled
    """(C, S)."""
    calibration: Calibration | None
    """Every cell's; None where it is not asked for."""

    def place(self, names: Sequence[str], member: str = "") -> Place:
        """Where a mean over some members is measured."""
        identity = " ".join(one for name in names for one in self.identities[name])
        return Place("corruption", self.wrong.shape[-1], identity, self.protocol, member)

    def numbers(self) -> Iterator[Number]:
        """Error and calibration error of every cell and every member."""
        for row, name in enumerate(self.names):
            for column, severity in enumerate(self.severities):
                identity = self.identities[name][column]
                place = Place("corruption", self.wrong.shape[-1], identity, self.protocol, name, severity)
                yield place.share("top1_error", self.errors.at(row, column), self.wrong[row, column])
                if self.calibration is not None:
                    found = self.calibration.at(row, column)
                    yield found.number(place, "expected_calibration_error", found.errors())
            yield from self.averaged(self.place([name], member=name), [row])

    def averaged(self, place: Place, rows: Sequence[int]) -> Iterator[Number]:
        """Means of error and calibration error over all severities of some members, by their rows."""
        yield place.mean("mean_error", self.errors.at(list(rows)).map(last_mean).map(last_mean))
        if self.calibration is not None:
            found = self.calibration.at(list(rows))
            yield found.number(place, "mean_expected_calibration_error", found.errors().map(last_mean).map(last_mean))


def calibration_of(
    confidence: NDArray[np.float32], wrong: NDArray[np.bool_], config: EvaluationConfig, resampler: Resampler
) -> Calibration | None:
    """Calibration from confidences (C, S, N), where calibration is asked for."""
    if not config.calibration:
        return None
    return Calibration.of(top_label_bins(confidence, ~wrong, config.calibration_bins), resampler)

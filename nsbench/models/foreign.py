"""A model that nsbench did not train, made from its source whenever it is asked for."""

import torch
from torch import nn

from nsbench.config.resolve import fingerprint
from nsbench.errors import UserError
from nsbench.foreign import one_sentence
from nsbench.models.names import short_name
from nsbench.models.normalised import Normalised
from nsbench.models.origins.origin import Built, Origin
from nsbench.models.preprocessing import Preprocessing
from nsbench.models.record import ModelRecord
from nsbench.models.subject import Subject
from nsbench.models.weights import Weights, state_sha256

_SEED = 0  # of a network without weights of its own, so that it is the same each time


class Foreign(Subject):
    """A model that nsbench did not train, built once here, so that whatever is wrong with it is known before the work.

    Args:
        origin: makes the network.
        weights: put into it; None for those it brings along.
        preprocessing: in front of it.

    Raises:
        UserError: the network cannot be made, or the weights do not fit.
    """

    record: ModelRecord

    def __init__(self, origin: Origin, weights: Weights | None, preprocessing: Preprocessing) -> None:
        self.origin, self.weights, self.preprocessing = origin, weights, preprocessing
        self.name, self.differentiable = origin.short, origin.differentiable
        built, self._state = self._build(torch.device("cpu"))
        self._code = built.code
        weights_sha256 = weights.sha256 if weights else origin.file_sha256
        self.identity = fingerprint(
            origin.kind, origin.label, built.code, weights_sha256, self._state, repr(preprocessing)
        )
        self.record = ModelRecord(
            name=short_name(self.name),  # until it is named for good
            source=origin.label,
            kind=origin.kind,
            parameters=built.parameters,
            weights_sha256=weights_sha256,
            mean=preprocessing.mean,
            std=preprocessing.std,
            identity=self.identity,
        )

    def load(self, device: torch.device) -> nn.Module:
        """The network with its normalisation in front, in float32.

        Raises UserError when it is no longer the one that was opened.
        """
        built, state = self._build(device)
        if built.code != self._code:
            raise UserError(
                f"{self.origin.label} or what it imports was changed while it was measured: leave the files as they "
                "are, and run the same command again."
            )
        if state != self._state:
            raise UserError(
                f"{self.origin.label} gives different weights each time it is called: name a file with --weights."
            )
        network = Normalised(self.preprocessing.layer(), built.network, self.origin.any_layout)
        return network.to(device).float().eval().requires_grad_(False)

    def rename(self, name: str) -> None:
        """Take another name, in the record too."""
        super().rename(name)
        self.record = self.record.model_copy(update={"name": name})

    def _build(self, device: torch.device) -> tuple[Built, str]:
        """The network with its weights, and their checksum; PyTorch's generator is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_SEED)
            built = self.origin.build(device)
        if self.weights:
            self.weights.into(built.network)
        with one_sentence(f"{self.origin.label} has weights that cannot be read"):
            return built, state_sha256(built.network)

"""A network that a program already has in memory."""

import copy
import inspect
from collections.abc import Sequence

import torch
from torch import nn

from nsbench.config.resolve import fingerprint, from_table
from nsbench.config.survey import ModelConfig
from nsbench.foreign import one_sentence
from nsbench.models.normalised import Normalised
from nsbench.models.preprocessing import declared
from nsbench.models.record import ModelRecord
from nsbench.models.subject import Subject
from nsbench.models.weights import check_tensors, state_sha256
from nsbench.names import MODEL, check_name
from nsbench.networks.cost import count_parameters


class InMemory(Subject):
    """A network handed over by a program; a copy of it is measured, so that the program's own stays as it is.

    Args:
        name: a short name for reports and folders.
        network: float pixels (N, 3, H, W), normalised as declared, to logits (N, classes).
        mean: per channel.
        std: per channel.
        inside: the network normalises its input itself.

    Raises:
        UserError: the name cannot be part of a path, or the network holds more than plain tensors.
    """

    def __init__(
        self, name: str, network: nn.Module, mean: Sequence[float] = (), std: Sequence[float] = (), *, inside: bool
    ) -> None:
        check_name(name, "The model", MODEL)
        source = f"{type(network).__name__} in memory"
        table = {"source": source, "mean": list(mean), "std": list(std), "inside": inside}
        config = from_table(table, ModelConfig)
        check_tensors(network, name)
        self.name, self._network, self._preprocessing = name, network, declared(config)
        with one_sentence(f"{name} cannot be described"):
            weights = state_sha256(network)
            self.identity = fingerprint(weights, str(network), *_code(network), config)
        self.record = ModelRecord(
            name=name,
            source=config.source,
            kind="memory",
            parameters=count_parameters(network),
            weights_sha256=weights,
            mean=self._preprocessing.mean,
            std=self._preprocessing.std,
            identity=self.identity,
        )

    def load(self, device: torch.device) -> nn.Module:
        """The network with its normalisation in front, in evaluation mode on the device."""
        with one_sentence(f"{self.name} cannot be copied"):
            own = copy.deepcopy(self._network)
        network = Normalised(self._preprocessing.layer(), own, channels_last=True)
        return network.to(device).float().eval().requires_grad_(False)


def _code(network: nn.Module) -> tuple[str, ...]:
    """The source of the network's own class, where Python can show it."""
    try:
        return (inspect.getsource(type(network)),)
    except (OSError, TypeError):
        return ()

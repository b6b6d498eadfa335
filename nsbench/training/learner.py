"""A network with its optimiser and its weight average: all that one training step changes."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from nsbench.config.schema import TrainingConfig
from nsbench.training.average import WeightAverage


class Learner:
    """A network in training.

    Args:
        network: on its device; put into training mode and channels-last memory.
        settings: the optimiser.
    """

    def __init__(self, network: nn.Module, settings: TrainingConfig) -> None:
        self.network = network.train().to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.SGD(
            network.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=settings.nesterov,
        )
        self.average = WeightAverage(network, settings.average_decay) if settings.average_decay else None

    def step(self, images: Tensor, targets: Tensor, learning_rate: float, number: int) -> tuple[Tensor, Tensor]:
        """One optimiser step; returns the loss and the hits as scalars on the device.

        Args:
            images: float (B, 3, H, W) in [0, 1].
            targets: (B, classes), each row a distribution.
            learning_rate: of this step.
            number: of this step, from 0.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        logits = self.network(images)
        loss = cross_entropy(logits, targets)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.network, number)
        return loss.detach(), (logits.detach().argmax(1) == targets.argmax(1)).sum()

    def finish(self) -> None:
        """End training: the network holds the weights to keep, in evaluation mode."""
        if self.average is not None:
            self.average.put_into(self.network)
        self.network.eval()

    def tensors(self) -> dict[str, Tensor]:
        """Everything that `restore` needs, by name."""
        found = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            momentum = self.optimizer.state[parameter].get("momentum_buffer")
            if momentum is not None:
                found[f"momentum.{name}"] = momentum
        if self.average is not None:
            found |= {f"average.{name}": value for name, value in self.average.values.items()}
        return {name: value.contiguous() for name, value in found.items()}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take the state that `tensors` gave."""
        self.network.load_state_dict(_part(tensors, "network."))
        momenta = _part(tensors, "momentum.")
        for name, parameter in self.network.named_parameters():
            if name in momenta:
                buffer = torch.empty_like(parameter).copy_(momenta[name])
                self.optimizer.state[parameter]["momentum_buffer"] = buffer
        if self.average is not None:
            for name, value in _part(tensors, "average.").items():
                self.average.values[name].copy_(value)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

"""A network with its optimiser and its weight average: all that one training step changes."""

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nsbench.networks.classifier import Classifier
from nsbench.training.average import WeightAverage, floats
from nsbench.training.objectives import Batch
from nsbench.training.schedule import Schedule


class _Asked(NamedTuple):
    """The `Networks` of an objective."""

    student: Callable[[Tensor], Tensor]
    average: Callable[[Tensor], Tensor]


class Learner:
    """A network in training.

    Args:
        network: on its device; put into training mode and channels-last memory.
        schedule: objective, optimiser and rates.

    Attributes:
        micro_batch: images per backward pass; the gradients of a batch's parts are accumulated.
    """

    def __init__(self, network: Classifier, schedule: Schedule) -> None:
        settings = schedule.settings
        self.objective = schedule.objective
        self.device = next(network.parameters()).device
        self.half = settings.precision == "bfloat16"
        self.micro_batch = settings.micro_batch or settings.batch_size
        if schedule.rates.head_only:
            network.freeze_body()
        self.network = network.train().to(memory_format=torch.channels_last)
        self.forward = network if settings.execution != "compiled" else _compile(network)
        self.optimizer = _optimizer(network, schedule, self.device)
        self.average = WeightAverage(network) if settings.average_decay else None
        self._still: Classifier | None = None

    def step(self, batch: Batch, rate: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """One optimiser step; returns the loss and the hits as scalars on the device.

        Args:
            batch: what to learn from.
            rate: () the learning rate of this step.
            share: () weight of its result in the average.
        """
        self.optimizer.zero_grad(set_to_none=True)
        losses, hits = [], []
        size = len(batch.images)
        for start in range(0, size, self.micro_batch):
            stop = min(start + self.micro_batch, size)
            loss, right = self._backward(batch.part(start, stop), (stop - start) / size)
            losses.append(loss)
            hits.append(right)
        for group in self.optimizer.param_groups:
            torch.mul(rate, group["factor"], out=group["lr"])
        self.optimizer.step()
        if self.average is not None:
            self.average.update(self.network, share)
        return torch.stack(losses).sum(), torch.stack(hits).sum()

    def _backward(self, batch: Batch, weight: float) -> tuple[Tensor, Tensor]:
        value, logits = self.objective(_Asked(self.student, self.average_logits), batch)
        loss = value * weight
        loss.backward()  # type: ignore[no-untyped-call]  # torch does not annotate it
        wanted = batch.targets if batch.soft is None else batch.soft
        return loss.detach(), (logits.detach().argmax(1) == wanted.argmax(1)).sum()

    def student(self, images: Tensor) -> Tensor:
        """Float32 logits of the network in training."""
        with self._arithmetic():
            logits: Tensor = self.forward(images)
        return logits.float()

    @torch.no_grad()
    def average_logits(self, images: Tensor) -> Tensor:
        """Float32 logits of the averaged weights, in evaluation mode, without gradients."""
        assert self.average is not None, "a method that asks the average needs training.average_decay above 0"
        if self._still is None:
            self._still = copy.deepcopy(self.network).eval()
        with self._arithmetic():
            logits: Tensor = torch.func.functional_call(self._still, self.average.values, (images,))
        return logits.float()

    def _arithmetic(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.half else nullcontext()

    @contextmanager
    def as_kept(self) -> Iterator[Classifier]:
        """The network as it would be kept now: averaged weights if any, evaluation mode."""
        live = {name: value.clone() for name, value in floats(self.network).items()}
        if self.average is not None:
            self.average.put_into(self.network)
        try:
            yield self.network.eval()
        finally:
            self.network.load_state_dict({**self.network.state_dict(), **live})
            self.network.train()

    def finish(self) -> None:
        """End training: the network holds the weights to keep, in evaluation mode."""
        if self.average is not None:
            self.average.put_into(self.network)
        self.network.eval()

    def tensors(self) -> dict[str, Tensor]:
        """Everything that `restore` needs, by name; the tensors themselves, not copies."""
        found = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                found[f"momentum.{name}"] = self.optimizer.state[parameter]["momentum_buffer"]
        if self.average is not None:
            found |= {f"average.{name}": value for name, value in self.average.values.items()}
        return found

    @torch.no_grad()
    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take the state that `tensors` gave, in place."""
        for name, value in self.tensors().items():
            value.copy_(tensors[name])


def _optimizer(network: Classifier, schedule: Schedule, device: torch.device) -> torch.optim.Optimizer:
    """SGD whose learning rates are scalars on the device and whose momenta exist from the first step.

    A step therefore reads nothing from the host, and can be captured. A momentum of zeros becomes the gradient in the
    first step, as a missing one does.
    """
    head = {id(parameter) for parameter in network.head.parameters()}
    groups: list[dict[str, Any]] = []
    for factor, inside in ((schedule.rates.body, False), (schedule.rates.head, True)):
        chosen = [one for one in network.parameters() if one.requires_grad and (id(one) in head) == inside]
        if chosen:
            groups.append({"params": chosen, "factor": factor, "lr": torch.zeros((), device=device)})
    settings = schedule.settings
    optimizer = torch.optim.SGD(
        groups,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.nesterov,
        fused=device.type in ("cpu", "cuda"),
    )
    for parameter in network.parameters():
        if parameter.requires_grad:
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def _compile(network: Classifier) -> Classifier:
    return torch.compile(network, fullgraph=True, dynamic=False)  # type: ignore[return-value]  # called like a network

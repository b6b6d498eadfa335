"""Preprocessing as the user declares it; nothing is guessed."""

from dataclasses import dataclass

from torch import nn

from nsbench.config.survey import ModelConfig
from nsbench.errors import UserError
from nsbench.networks.classifier import Normalize

CHANNELS = 3

_EXAMPLE = "such as --mean 0.4914,0.4822,0.4465 --std 0.2470,0.2435,0.2616, which are usual for CIFAR-10"


@dataclass(frozen=True)
class Preprocessing:
    """What happens to pixels in [0, 1] before the model.

    Attributes:
        mean: subtracted per channel; None where the model normalises its input itself.
        std: divided by per channel, above 0; None likewise.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def layer(self) -> nn.Module:
        """The layer in front of the model."""
        if self.mean is None or self.std is None:
            return nn.Identity()
        return Normalize(self.mean, self.std)


def declared(config: ModelConfig) -> Preprocessing:
    """The preprocessing that a user states for a model.

    Raises UserError when it is missing, contradicts itself, or is not one positive deviation per channel.
    """
    if config.inside:
        if config.mean or config.std:
            raise UserError(f"{config.source}: --inside and --mean --std exclude each other: keep what is true.")
        return Preprocessing()
    if not config.mean and not config.std:
        raise UserError(
            f"{config.source} has no declared preprocessing: give the --mean and --std it was trained with "
            f"({_EXAMPLE}), or --inside if it takes pixels in [0, 1] and normalises them itself."
        )
    for option, values in (("--mean", config.mean), ("--std", config.std)):
        if len(values) != CHANNELS:
            raise UserError(
                f"{config.source}: {option} has {len(values)} values, but images have {CHANNELS} channels: "
                f"give one value per channel, {_EXAMPLE}."
            )
    if min(config.std) <= 0:
        deviations = _joined(config.std)
        raise UserError(f"{config.source}: --std {deviations} is not above 0 in every channel: give deviations.")
    return Preprocessing(config.mean, config.std)


def refuse_preprocessing(config: ModelConfig) -> None:
    """Raise UserError when preprocessing or weights are stated for a checkpoint of ours, which holds both."""
    stated = [option for option in ("weights", "mean", "std", "inside") if getattr(config, option)]
    if stated:
        raise UserError(
            f"{config.source} is a checkpoint of nsbench, which holds its weights and its normalisation: "
            f"leave out --{stated[0]}."
        )


def _joined(values: tuple[float, ...]) -> str:
    return ",".join(f"{value:g}" for value in values)

"""A network by its name."""

from collections.abc import Sequence

from nsbench.networks.classifier import NO_MODEL_NOISE, Classifier, ModelNoise
from nsbench.networks.efficientnet import EfficientNet
from nsbench.networks.names import EfficientNetName, parse_network_name
from nsbench.networks.resnet import ResNet


def build_network(
    name: str, classes: int, mean: Sequence[float], std: Sequence[float], noise: ModelNoise = NO_MODEL_NOISE
) -> Classifier:
    """A new network whose weights are drawn from torch's global generator.

    Args:
        name: such as `resnet20`, `resnet8-w0.5` or `efficientnet-b0`.
        classes: number of classes.
        mean: channel means that are subtracted from pixels in [0, 1].
        std: channel standard deviations that are divided by.
        noise: dropout and stochastic depth, active in training mode only.

    Raises UserError for a name of no network.
    """
    parsed = parse_network_name(name)
    if isinstance(parsed, EfficientNetName):
        return EfficientNet(parsed, classes, mean, std, noise)
    return ResNet(parsed, classes, mean, std, noise)

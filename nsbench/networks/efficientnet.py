"""EfficientNet B0 to B7 with a stem for 32 x 32 images.

Tan & Le 2019 (arXiv:1905.11946), whose compound scaling sets depth and width together; the layers are torchvision's.
"""

from collections.abc import Sequence

from torch import Tensor, nn

from nsbench.networks.classifier import NO_MODEL_NOISE, Classifier, ModelNoise, Normalize
from nsbench.networks.names import EfficientNetName


class EfficientNet(Classifier):
    """The published network but for its first convolution, whose stride is 1 instead of 2.

    The whole network then reduces each side by 16 instead of 32: a 32 x 32 image reaches the head as a map of 2 x 2
    instead of a single pixel. The stride is not a weight, so torchvision's own state dicts fit, names included.

    A kept branch is divided by its survival probability while training, so that nothing is scaled at inference; that is
    torchvision's form of stochastic depth, equal in expectation to that of our ResNet. The statistics of batch
    normalisation move with every batch, also when its branch is dropped.

    Args:
        name: which of the eight.
        classes: number of classes.
        mean: channel means that are subtracted.
        std: channel standard deviations that are divided by.
        noise: dropout and stochastic depth, active in training mode only.
    """

    head_prefix = "classifier.1."

    def __init__(
        self,
        name: EfficientNetName,
        classes: int,
        mean: Sequence[float],
        std: Sequence[float],
        noise: ModelNoise = NO_MODEL_NOISE,
    ) -> None:
        # Importing torchvision, which has no types, takes seconds; runs with other networks need not wait for it.
        from torchvision.models import get_model  # type: ignore[import-untyped]  # noqa: PLC0415 - see above
        from torchvision.ops import StochasticDepth  # type: ignore[import-untyped]  # noqa: PLC0415 - see above

        super().__init__()
        layers = get_model(
            f"efficientnet_b{name.size}",
            weights=None,
            num_classes=classes,
            dropout=noise.dropout,
            stochastic_depth_prob=1 - noise.survival,
        )
        layers.features[0][0].stride = (1, 1)
        for module in layers.modules():
            if isinstance(module, StochasticDepth):
                module.mode = "row" if noise.per_image else "batch"
        self.normalize = Normalize(mean, std)
        self.features: nn.Sequential = layers.features
        self.classifier: nn.Sequential = layers.classifier

    @property
    def head(self) -> nn.Linear:
        """The last layer, features to logits."""
        head = self.classifier[1]
        assert isinstance(head, nn.Linear)
        return head

    @property
    def head_dropout(self) -> nn.Dropout:
        """The dropout in front of the head."""
        dropout = self.classifier[0]
        assert isinstance(dropout, nn.Dropout)
        return dropout

    def forward(self, images: Tensor) -> Tensor:
        """Logits of a batch."""
        features = self.features(self.normalize(images)).mean((2, 3))
        logits: Tensor = self.classifier(features)
        return logits

"""Predictions on the CPU with batch normalisation folded into the convolutions, against the network as it is.

Both sides show the same batches to the same weights, in turn. Their logits must agree to 1e-4 of the largest first.
"""

from argparse import Namespace
from collections.abc import Sequence
from functools import partial

import torch
from interleaved import interleave, parser, positive, ratios, report, spread, table, timed_for, use_threads
from torch import Tensor, nn

from nsbench.devices import keep_freed_memory
from nsbench.networks.build import build_network
from nsbench.networks.folding import fold_batch_norms
from nsbench.networks.inference import CPU_BATCH, logits, to_float

SIDE = 32


def options_from(arguments: Sequence[str] | None = None) -> Namespace:
    """The command line."""
    made = parser(__doc__)
    made.add_argument("--networks", nargs="+", default=["resnet20", "resnet56", "efficientnet-b0"])
    made.add_argument("--batch", type=positive, default=CPU_BATCH, help="images at a time (default %(default)s)")
    made.add_argument("--seconds", type=float, default=2.0, help="least time of a reading (default %(default)s)")
    return made.parse_args(arguments)


def random_network(name: str) -> nn.Module:
    """As it is predicted with, its normalisations with statistics unlike those they begin with."""
    torch.manual_seed(0)
    network = build_network(name, 10, (0.5,) * 3, (0.25,) * 3)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = 0.1 * torch.randn(module.num_features)
            module.running_var = torch.rand(module.num_features) + 0.5
    return network.to(memory_format=torch.channels_last).eval().requires_grad_(False)


def shown(network: nn.Module, images: Tensor) -> int:
    """Images of a batch that the network has classified."""
    return len(logits(network, images))


def main() -> None:
    """Measure and print."""
    options = options_from()
    use_threads(options)
    keep_freed_memory()
    images = torch.randint(0, 256, (options.batch, SIDE, SIDE, 3), dtype=torch.uint8)
    sides, apart = {}, {}
    for name in options.networks:
        network = random_network(name)
        folded = fold_batch_norms(network, to_float(images[:2]))
        expected = logits(network, images)
        apart[name] = float((logits(folded, images) - expected).abs().max() / expected.abs().max())
        assert folded is not network, f"{name} cannot be folded"
        assert apart[name] < 1e-4, f"the two sides differ by {apart[name]}"
        sides[name] = partial(timed_for, options.seconds, partial(shown, network, images))
        sides[f"{name}, folded"] = partial(timed_for, options.seconds, partial(shown, folded, images))
    readings = interleave(sides, options.rounds)
    rows = [
        [
            name,
            spread(readings[name]),
            spread(readings[f"{name}, folded"]),
            spread(ratios(readings, f"{name}, folded", name), ".2f"),
            f"{apart[name]:.0e}",
        ]
        for name in options.networks
    ]
    header = ["network", "images/s", "folded", "folded / as it is", "largest difference of logits"]
    report(options, {f"Batches of {options.batch}": table(header, rows)}, readings)


if __name__ == "__main__":
    main()

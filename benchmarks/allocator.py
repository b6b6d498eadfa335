"""Training steps per second on the CPU with and without memory kept between steps, interleaved in fresh processes.

    python benchmarks/allocator.py [ROUNDS]

The setting cannot be undone in a process, so each measurement has one of its own.
"""

import statistics
import subprocess
import sys
import time

NETWORKS = ("resnet8", "resnet14", "resnet20")
BATCH, STEPS = 128, 8


def measure(keep: bool) -> list[float]:
    """Images per second of a training step of each network, in this process."""
    import torch

    from nsbench.devices import keep_freed_memory
    from nsbench.networks.build import build_network
    from nsbench.networks.classifier import ModelNoise

    if keep:
        keep_freed_memory()
    speeds = []
    for name in NETWORKS:
        network = build_network(name, 10, (0.5,) * 3, (0.25,) * 3, ModelNoise(0.5, 0.8))
        network.to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        images = torch.rand(BATCH, 3, 32, 32).to(memory_format=torch.channels_last)
        labels = torch.randint(0, 10, (BATCH,))
        for step in range(STEPS + 2):
            if step == 2:
                start = time.perf_counter()
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(images), labels).backward()
            optimizer.step()
        speeds.append(STEPS * BATCH / (time.perf_counter() - start))
    return speeds


def child(keep: bool) -> list[float]:
    """The same in a fresh process."""
    command = [sys.executable, __file__, "--child", "keep" if keep else "plain"]
    return [float(word) for word in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()]


def main(rounds: int) -> None:
    """Print medians and ratios."""
    pairs = [(child(False), child(True)) for _ in range(rounds)]
    print(f"{'network':10} {'plain':>8} {'kept':>8} {'ratio':>6}   ratios of the {rounds} rounds")
    for index, name in enumerate(NETWORKS):
        plain, kept = ([pair[side][index] for pair in pairs] for side in (0, 1))
        ratios = sorted(b / a for a, b in zip(plain, kept, strict=True))
        spread = " ".join(f"{ratio:.2f}" for ratio in ratios)
        medians = statistics.median(plain), statistics.median(kept)
        print(f"{name:10} {medians[0]:8.0f} {medians[1]:8.0f} {statistics.median(ratios):6.2f}   {spread}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(*measure(sys.argv[2] == "keep"))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)

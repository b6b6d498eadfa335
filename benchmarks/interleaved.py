"""Sides measured in turn (A B A B), so that a drifting machine drifts for all of them; medians, spread, ratios."""

import json
import os
import platform
import statistics
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

Side = Callable[[], float]
Readings = dict[str, list[float]]


def interleave(sides: Mapping[str, Side], rounds: int) -> Readings:
    """Readings of every side, which is warm when it comes here: one reading of each, in turn, `rounds` times."""
    readings: Readings = {name: [] for name in sides}
    for number in range(rounds):
        for name, side in sides.items():
            readings[name].append(side())
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return readings


def ratios(readings: Readings, name: str, base: str, factor: float = 1.0) -> list[float]:
    """`factor` times `name` over `base`, each pair from the same round."""
    return [factor * ours / theirs for ours, theirs in zip(readings[name], readings[base], strict=True)]


def spread(values: Sequence[float], form: str = ",.0f") -> str:
    """Median, with the lowest and the highest value in brackets."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def timed_for(seconds: float, work: Callable[[], int]) -> float:
    """Units per second of `work`, which returns how many it did, called again until `seconds` have passed."""
    done, start = 0, time.perf_counter()
    while True:
        done += work()
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return done / elapsed


def synchronize(device: torch.device) -> None:
    """Wait until the device has done what it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def rate(device: torch.device, work: Callable[[], int]) -> float:
    """Units per second of one call of `work`, which returns how many it did; the host waits at both ends only."""
    synchronize(device)
    start = time.perf_counter()
    done = work()
    synchronize(device)
    return done / (time.perf_counter() - start)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(device: torch.device) -> dict[str, str | int]:
    """What the figures were measured on."""
    found: dict[str, str | int] = {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    if device.type == "cuda":
        found["accelerator"] = torch.cuda.get_device_name(device)
    return found


def _processor() -> str:
    """The processor's name as the kernel reports it, with the matrix units it has."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    units = " ".join(flag for flag in ("avx2", "avx512f", "amx_bf16") if flag in facts.get("flags", "").split())
    model = f"family {facts.get('cpu family', '?')} model {facts.get('model', '?')}"
    return f"{facts.get('model name', platform.machine())} ({model}{units and ', ' + units})"


def report(options: Namespace, parts: Mapping[str, str], readings: Mapping[str, Any]) -> None:
    """Print the machine and the tables, and save the readings."""
    print(described(options))
    for title, text in parts.items():
        print(f"\n{title}\n\n{text}")
    save(options, readings)


def described(options: Namespace) -> str:
    """The machine in a line."""
    return ", ".join(f"{name} {value}" for name, value in _machine_of(options).items())


def save(options: Namespace, readings: Mapping[str, Any]) -> None:
    """Write machine, options and every reading to the file that --json names, if it does."""
    if options.json is None:
        return
    plain = (int, float, list)
    given = {name: value if isinstance(value, plain) else str(value) for name, value in vars(options).items()}
    record = {"machine": _machine_of(options), "options": given, "readings": readings}
    options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _machine_of(options: Namespace) -> dict[str, str | int]:
    return machine(torch.device(getattr(options, "device", "cpu")))


def parser(description: str | None, *, rounds: int = 5, threads: int | None = None) -> ArgumentParser:
    """Options that every script has; `description` is the script's docstring."""
    made = ArgumentParser(description=(description or "").split("\n", maxsplit=1)[0])
    made.add_argument("--rounds", type=positive, default=rounds, help="readings of each side (default %(default)s)")
    made.add_argument("--threads", type=positive, default=threads, help="threads of PyTorch (default %(default)s)")
    made.add_argument("--json", type=Path, metavar="FILE", help="also write every reading to FILE")
    return made


def positive(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def resnet_depth(text: str) -> int:
    """Depth of a network named such as `resnet20`."""
    depth = int(text[6:]) if text.startswith("resnet") and text[6:].isdecimal() else 0
    if depth < 8 or (depth - 2) % 6:
        raise ArgumentTypeError(f"{text!r} is not resnetDEPTH with a depth of 8, 14, 20, 26, 32, 38 and so on")
    return depth


def available_device(text: str) -> torch.device:
    """`cpu`, or `cuda` where there is one."""
    if text not in ("cpu", "cuda"):
        raise ArgumentTypeError(f"{text!r} is neither cpu nor cuda")
    if text == "cuda" and not torch.cuda.is_available():
        raise ArgumentTypeError("PyTorch finds no CUDA device here: use cpu")
    return torch.device(text)


def use_threads(options: Namespace) -> None:
    """Give PyTorch the number of threads that --threads names."""
    if options.threads is not None:
        torch.set_num_threads(options.threads)

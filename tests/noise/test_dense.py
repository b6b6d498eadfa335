"""The dense execution equals the grouped one to the bit: interpreted, compiled, captured."""

import shutil
from collections.abc import Callable, Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nsbench.noise.augment import Augmenter
from nsbench.noise.dense import DenseAugmenter
from nsbench.noise.draws import Draws, InputNoise
from nsbench.noise.tables import OPERATIONS

CPU = torch.device("cpu")
FULL = InputNoise(2, 27, 4, flip=True)
noises = st.builds(
    InputNoise,
    operations=st.integers(0, 3),
    magnitude=st.integers(0, 30),
    crop_padding=st.integers(0, 5),
    flip=st.booleans(),
)


def random_images(count: int, side: int, seed: int) -> Tensor:
    """Planar images whose channels lie anywhere between flat and the full range."""
    generator = torch.Generator().manual_seed(seed)
    ends = torch.randint(256, (2, count, 3, 1), generator=generator)
    share = torch.rand((count, 3, side * side), generator=generator)
    return (ends.amin(0) + share * (ends.amax(0) - ends.amin(0) + 1)).clamp(max=255).to(torch.uint8)


def batch(noise: InputNoise, seed: int, count: int = 64) -> tuple[Tensor, Draws]:
    images = random_images(count, 32, seed)
    return images, DenseAugmenter(noise, 32, CPU).draw(count, torch.Generator().manual_seed(seed))


@settings(deadline=None, max_examples=60)
@given(noise=noises, side=st.sampled_from([8, 32]), count=st.integers(1, 40), seed=st.integers(0, 2**32))
def test_dense_equals_grouped_whatever_the_setting(noise: InputNoise, side: int, count: int, seed: int) -> None:
    grouped, dense = Augmenter(noise, side, CPU), DenseAugmenter(noise, side, CPU)
    images = random_images(count, side, seed)
    draws = grouped.draw(count, torch.Generator().manual_seed(seed))
    assert torch.equal(dense(images, draws), grouped(images, draws))


@pytest.mark.parametrize("magnitude", [0, 9, 27, 30])
@pytest.mark.parametrize("rounds", [0, 1, 2, 3])
def test_dense_equals_grouped_on_enough_images_for_every_pair_of_operations(magnitude: int, rounds: int) -> None:
    noise = InputNoise(rounds, magnitude, 4, flip=True)
    count = 600
    grouped, dense = Augmenter(noise, 8, CPU), DenseAugmenter(noise, 8, CPU)
    draws = grouped.draw(count, torch.Generator().manual_seed(rounds))
    if rounds >= 2:
        pairs = torch.cartesian_prod(*[torch.arange(len(OPERATIONS))] * 2)
        draws.operations[: len(pairs), -2:] = pairs
    images = random_images(count, 8, magnitude)
    assert torch.equal(dense(images, draws), grouped(images, draws))


@pytest.mark.cifar
@pytest.mark.parametrize("magnitude", [3, 9, 27])
def test_dense_equals_grouped_on_real_images(magnitude: int, real, planar) -> None:
    noise = InputNoise(3, magnitude, 4, flip=True)
    images = planar(real(500, 50 + magnitude))
    grouped, dense = Augmenter(noise, 32, CPU), DenseAugmenter(noise, 32, CPU)
    draws = grouped.draw(len(images), torch.Generator().manual_seed(magnitude))
    assert torch.equal(dense(images, draws), grouped(images, draws))


@pytest.mark.parametrize("noise", [FULL, InputNoise(0, 0, 0, flip=False)])
def test_dense_never_looks_at_the_data_and_makes_nothing_on_another_device(noise: InputNoise) -> None:
    """Tensors of the meta device have shapes but no values, and do not mix with those of the CPU."""
    meta = torch.device("meta")
    dense = DenseAugmenter(noise, 32, meta)
    images, draws = batch(noise, 0)
    result = dense(images.to(meta), draws.to(meta))
    assert result.shape == images.shape
    assert result.dtype == torch.uint8


class Graphs:
    """A compiler that keeps the graphs it is given and runs them as they are."""

    def __init__(self) -> None:
        self.seen: list[torch.fx.GraphModule] = []

    def __call__(self, graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable[..., object]:
        """Compile `graph`, as torch.compile asks its backend to."""
        self.seen.append(graph)
        return graph.forward


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("noise", [FULL, InputNoise(0, 0, 4, flip=True)])
def test_dense_is_one_graph_without_a_break_and_compiles_once_a_shape(noise: InputNoise) -> None:
    grouped, dense, graphs = Augmenter(noise, 32, CPU), DenseAugmenter(noise, 32, CPU), Graphs()
    compiled = torch.compile(dense.apply, backend=graphs, fullgraph=True, dynamic=False)
    for seed in range(3):
        images, draws = batch(noise, seed)
        assert torch.equal(compiled(images, *draws.tensors()), grouped(images, draws))
    assert len(graphs.seen) == 1
    images, draws = batch(noise, 3, count=32)
    compiled(images, *draws.tensors())
    assert len(graphs.seen) == 2  # the count does see a second compilation


@pytest.mark.usefixtures("fresh_compiler")
def test_the_call_itself_is_one_graph_too() -> None:
    dense, graphs = DenseAugmenter(FULL, 32, CPU), Graphs()
    compiled = torch.compile(lambda images, *drawn: dense(images, Draws(*drawn)), backend=graphs, fullgraph=True)
    for seed in range(2):
        images, draws = batch(FULL, seed)
        assert torch.equal(compiled(images, *draws.tensors()), dense(images, draws))
    assert len(graphs.seen) == 1


def check_compiled(backend: str, device: torch.device) -> None:
    grouped, dense = Augmenter(FULL, 32, CPU), DenseAugmenter(FULL, 32, device)
    compiled = torch.compile(dense.apply, backend=backend, fullgraph=True, dynamic=False)
    for seed in range(2):
        images, draws = batch(FULL, seed, count=512)
        result = compiled(images.to(device), *draws.to(device).tensors())
        assert torch.equal(result.cpu(), grouped(images, draws))


@pytest.mark.usefixtures("fresh_compiler")
def test_traced_for_the_compiler_dense_equals_grouped() -> None:
    check_compiled("aot_eager", CPU)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
@pytest.mark.usefixtures("fresh_compiler")
def test_compiled_for_the_cpu_dense_equals_grouped() -> None:
    check_compiled("inductor", CPU)


@pytest.mark.gpu
@pytest.mark.usefixtures("fresh_compiler")
def test_compiled_for_the_gpu_dense_equals_grouped() -> None:
    check_compiled("inductor", torch.device("cuda"))


@pytest.mark.gpu
@pytest.mark.parametrize("noise", [FULL, InputNoise(3, 30, 0, flip=False), InputNoise(0, 0, 4, flip=True)])
def test_on_the_gpu_dense_equals_grouped_and_never_waits(noise: InputNoise) -> None:
    device = torch.device("cuda")
    dense = DenseAugmenter(noise, 32, device)
    images, draws = batch(noise, 1, count=512)
    on_device, drawn = images.to(device), draws.to(device)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        result = dense(on_device, drawn)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.equal(result.cpu(), Augmenter(noise, 32, CPU)(images, draws))
    assert torch.equal(Augmenter(noise, 32, device)(on_device, draws), result)


@pytest.mark.gpu
def test_captured_in_a_cuda_graph_dense_equals_grouped_on_later_batches() -> None:
    device = torch.device("cuda")
    dense = DenseAugmenter(FULL, 32, device)
    images, draws = batch(FULL, 0, count=512)
    fixed = [images.to(device), *draws.to(device).tensors()]
    side_stream = torch.cuda.Stream()
    side_stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side_stream):
        dense.apply(*fixed)
    torch.cuda.current_stream().wait_stream(side_stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = dense.apply(*fixed)
    for seed in (1, 2):
        images, draws = batch(FULL, seed, count=512)
        for place, new in zip(fixed, (images, *draws.tensors()), strict=True):
            place.copy_(new)
        graph.replay()
        assert torch.equal(result.cpu(), Augmenter(FULL, 32, CPU)(images, draws))

"""Random numbers keyed by what they are for."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special, stats

from nsbench.corruptions.numerics.keyed_random import alias_table, keyed_bits, keyed_choice, keyed_normal, keyed_uniform

WORD = 1 << 64
INCREMENT = 0x9E3779B97F4A7C15
KEYS = (0, 1, 2**63 - 1)


def mixed(word: int) -> int:
    """The splitmix64 finaliser in Python's whole numbers."""
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    word = (word ^ (word >> 27)) * 0x94D049BB133111EB % WORD
    return word ^ (word >> 31)


def unmixed(word: int) -> int:
    """The inverse of `mixed`: an xor with a shift undoes itself when repeated with doubled shifts."""
    word = word ^ (word >> 31) ^ (word >> 62)
    word = word * pow(0x94D049BB133111EB, -1, WORD) % WORD
    word = word ^ (word >> 27) ^ (word >> 54)
    word = word * pow(0xBF58476D1CE4E5B9, -1, WORD) % WORD
    return word ^ (word >> 30) ^ (word >> 60)


def root(key: int, stream: int) -> int:
    return mixed((mixed((key + INCREMENT) % WORD) + stream + INCREMENT) % WORD)


def expected_word(key: int, image: int, element: int, stream: int) -> int:
    start = mixed((root(key, stream) + image + INCREMENT) % WORD)
    return mixed((start + (element + 1) * INCREMENT) % WORD)


def image_with_first_word(word: int, key: int) -> int:
    """The image index, as an int64, whose first word is `word`."""
    start = (unmixed(word) - INCREMENT) % WORD
    image = (unmixed(start) - INCREMENT - root(key, 0)) % WORD
    return image - WORD if image >= WORD // 2 else image


def uniform(key: int, images: int, count: int, stream: int = 0) -> NDArray[np.float64]:
    return keyed_uniform(key, torch.arange(images), count, stream).numpy()


def distributions() -> NDArray[np.float64]:
    """Even, certain, a coin, a bell that leaves many outcomes next to impossible, and eight of any shape."""
    even, coin, certain = np.ones(256), np.zeros(256), np.zeros(256)
    certain[77], coin[[3, 250]] = 1, (0.3, 0.7)
    shapes = np.random.default_rng(0).exponential(size=(8, 256)) ** 3
    rows = np.stack([even, certain, coin, stats.norm.pdf(np.arange(256), 90.5, 9), *shapes])
    normalised: NDArray[np.float64] = rows / rows.sum(axis=1, keepdims=True)
    return normalised


def assert_uncorrelated(first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
    """The sample correlation of n independent pairs has a standard error of 1 / sqrt(n)."""
    correlation = np.corrcoef(first.ravel(), second.ravel())[0, 1]
    assert abs(correlation) < 4.5 / np.sqrt(first.size)


def test_the_finaliser_restated_here_gives_the_published_splitmix64_sequence() -> None:
    state = 1234567
    words = [mixed((state + step * INCREMENT) % WORD) for step in (1, 2, 3, 4, 5)]
    assert words == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


@settings(max_examples=50, deadline=None)
@given(
    key=st.integers(0, 2**63 - 1),
    images=st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4),
    stream=st.integers(0, 1000),
)
def test_bits_are_those_of_arithmetic_in_unbounded_integers(key: int, images: list[int], stream: int) -> None:
    words = keyed_bits(key, torch.tensor(images), 5, stream)
    assert words.shape == (len(images), 5)
    expected = [[expected_word(key, image, element, stream) for element in range(5)] for image in images]
    assert words.numpy().view(np.uint64).tolist() == expected


@settings(max_examples=25, deadline=None)
@given(order=st.permutations(range(12)), cut=st.integers(1, 11), count=st.integers(1, 70))
@pytest.mark.parametrize("draw", [keyed_bits, keyed_uniform, keyed_normal])
def test_numbers_do_not_depend_on_batch_order_or_size_or_on_how_many_are_drawn(draw, order, cut, count) -> None:  # type: ignore[no-untyped-def] # three functions of one shape
    whole = draw(7, torch.arange(12), 70, 3)
    images = torch.tensor(order)
    split = torch.cat([draw(7, images[:cut], count, 3), draw(7, images[cut:], count, 3)])
    assert torch.equal(split, whole[images, :count])


@pytest.mark.parametrize("key", KEYS)
def test_uniform_numbers_have_the_uniform_distribution(key: int) -> None:
    sample = uniform(key, 300, 3072)
    assert sample.dtype == np.float64
    assert stats.kstest(sample.ravel(), "uniform").pvalue > 1e-3
    for power in (1, 2, 3, 4):
        error = np.sqrt((1 / (2 * power + 1) - 1 / (power + 1) ** 2) / sample.size)
        assert abs(np.mean(sample**power) - 1 / (power + 1)) < 4 * error


def test_the_numbers_of_one_element_over_images_and_keys_are_uniform_too() -> None:
    over_images = uniform(5, 50_000, 2)[:, 0]
    images = torch.tensor([3])
    over_keys = np.array([keyed_uniform(key, images, 1).item() for key in range(5_000)])
    over_streams = np.array([keyed_uniform(5, images, 1, stream).item() for stream in range(5_000)])
    for sample in (over_images, over_keys, over_streams):
        assert stats.kstest(sample, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("key", KEYS)
def test_each_of_the_64_bits_is_set_half_the_time(key: int) -> None:
    words = keyed_bits(key, torch.arange(100), 3072).numpy().view(np.uint64)
    shares = np.array([np.mean((words >> np.uint64(bit)) & np.uint64(1)) for bit in range(64)])
    assert np.abs(shares - 0.5).max() < 4.5 * 0.5 / np.sqrt(words.size)


def test_no_word_comes_twice_among_images_and_streams() -> None:
    words = torch.cat([keyed_bits(11, torch.arange(100), 3072, stream).flatten() for stream in (0, 1, 2)])
    assert np.unique(words.numpy()).size == words.numel()


@pytest.mark.parametrize("lag", [1, 2, 3, 32, 96, 1024])
def test_neighbouring_elements_are_uncorrelated(lag: int) -> None:
    sample = uniform(1, 300, 3072)
    assert_uncorrelated(sample[:, lag:], sample[:, :-lag])


@pytest.mark.parametrize("lag", [1, 2, 100])
def test_neighbouring_images_are_uncorrelated(lag: int) -> None:
    sample = uniform(1, 300, 3072)
    assert_uncorrelated(sample[lag:], sample[:-lag])


def test_an_element_and_its_neighbour_in_the_next_image_are_uncorrelated() -> None:
    sample = uniform(1, 300, 3072)
    assert_uncorrelated(sample[1:, :-1], sample[:-1, 1:])
    assert_uncorrelated(sample[1:, 1:], sample[:-1, :-1])


def test_neighbouring_keys_and_streams_are_uncorrelated_and_so_are_a_key_and_a_stream_of_one_number() -> None:
    sample = uniform(8, 300, 3072)
    assert_uncorrelated(sample, uniform(9, 300, 3072))
    assert_uncorrelated(sample, uniform(8, 300, 3072, stream=1))
    assert_uncorrelated(uniform(9, 300, 3072), uniform(8, 300, 3072, stream=1))


def test_pairs_of_neighbours_fill_the_square_evenly() -> None:
    sample = uniform(2, 300, 3072)
    for first, second in ((sample[:, ::2], sample[:, 1::2]), (sample[::2], sample[1::2])):
        counts, *_ = np.histogram2d(first.ravel(), second.ravel(), bins=64, range=[[0, 1], [0, 1]])
        assert stats.chisquare(counts.ravel()).pvalue > 1e-3


@pytest.mark.parametrize("key", KEYS)
def test_normal_numbers_have_the_standard_normal_distribution(key: int) -> None:
    normal = keyed_normal(key, torch.arange(300), 3072)
    assert normal.dtype == torch.float32
    sample = normal.double().numpy().ravel()
    assert stats.kstest(sample, "norm").pvalue > 1e-3
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(sample**power) - moment) < 4 * np.sqrt(variance / sample.size)


def test_normal_numbers_are_scipys_quantiles_of_the_uniform_ones_to_float32() -> None:
    normal = keyed_normal(3, torch.arange(300), 3072, stream=2).numpy()
    expected = special.ndtri(uniform(3, 300, 3072, stream=2)).astype(np.float32)
    np.testing.assert_array_max_ulp(normal, expected, maxulp=1)
    assert np.mean(normal != expected) < 1e-5


def test_the_smallest_and_the_largest_word_stay_inside_the_open_interval_and_give_finite_normal_numbers() -> None:
    images = torch.tensor([image_with_first_word(0, key=4), image_with_first_word(WORD - 1, key=4)])
    assert keyed_bits(4, images, 1).tolist() == [[0], [-1]]
    assert keyed_uniform(4, images, 1).tolist() == [[2.0**-53], [1 - 2.0**-53]]
    assert keyed_normal(4, images, 1).flatten().tolist() == pytest.approx([-8.2095, 8.2095], abs=1e-4)


@pytest.mark.parametrize("row", range(12))
def test_an_alias_table_holds_its_distribution_to_within_rounding(row: int) -> None:
    probabilities = distributions()
    masses = [0] * 256
    for place, record in enumerate(alias_table(probabilities)[row].tolist()):
        threshold, step = record >> 8, record & 255
        masses[place] += threshold
        masses[(place + step) % 256] += 2**55 - threshold
    assert sum(masses) == 2**63
    np.testing.assert_allclose([mass / 2**63 for mass in masses], probabilities[row], rtol=0, atol=2.0**-50)
    assert all(mass == 0 for mass, probability in zip(masses, probabilities[row], strict=True) if probability == 0)


def test_a_chosen_number_is_the_bin_of_its_words_lowest_8_bits_or_what_the_table_puts_above_its_threshold() -> None:
    table = alias_table(distributions())
    rows = torch.arange(12, dtype=torch.uint8).repeat(2, 50)
    numbers = keyed_choice(9, torch.tensor([4, 70]), table, rows, stream=3)
    assert numbers.dtype == torch.uint8
    for position, image in enumerate((4, 70)):
        for element in range(600):
            word = expected_word(9, image, element, 3)
            place, height = word % 256, (word >> 8) % 2**55
            record = int(table[element % 12, place])
            above = (place + record % 256) % 256
            assert numbers[position, element] == (place if height < record >> 8 else above)


def test_the_other_outcome_begins_exactly_at_the_threshold() -> None:
    table = alias_table(distributions()[-1:])
    pairs = [(place, record) for place, record in enumerate(table[0].tolist()) if record >> 8]
    words = [[(record & ~255) + step + place for place, record in pairs] for step in (-256, 0)]
    rows = torch.zeros((len(pairs), 1), dtype=torch.uint8)
    below, at = (
        keyed_choice(4, torch.tensor([image_with_first_word(word, key=4) for word in row]), table, rows).flatten()
        for row in words
    )
    assert below.tolist() == [place for place, _ in pairs]
    assert at.tolist() == [(place + record) % 256 for place, record in pairs]


@pytest.mark.parametrize("row", range(12))
def test_chosen_numbers_follow_their_distribution(row: int) -> None:
    probabilities = distributions()
    rows = torch.full((100, 3072), row, dtype=torch.uint8)
    numbers = keyed_choice(2, torch.arange(100), alias_table(probabilities), rows).numpy()
    counts, expected = np.bincount(numbers.ravel(), minlength=256), probabilities[row] * numbers.size
    assert not counts[expected == 0].any()
    rare = expected < 10
    observed = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    possible = expected > 0
    assert possible.sum() == 1 or stats.chisquare(observed[possible], expected[possible]).pvalue > 1e-3


def test_chosen_numbers_do_not_depend_on_the_batch_and_differ_between_streams() -> None:
    table = alias_table(distributions())
    rows = torch.from_numpy(np.random.default_rng(1).integers(0, 12, (30, 500), dtype=np.uint8))
    before = rows.clone()
    whole = keyed_choice(7, torch.arange(30), table, rows, 1)
    part = torch.tensor([29, 4, 11])
    assert torch.equal(keyed_choice(7, part, table, rows[part], 1), whole[part])
    assert torch.equal(rows, before)
    rows = torch.zeros((300, 3072), dtype=torch.uint8)
    one, other = (keyed_choice(7, torch.arange(300), table, rows, stream).double().numpy() for stream in (0, 1))
    assert_uncorrelated(one, other)
    assert_uncorrelated(one[:, 1:], one[:, :-1])
    assert_uncorrelated(one[1:], one[:-1])


def test_image_indices_are_left_alone() -> None:
    images = torch.arange(5)
    keyed_normal(0, images, 7)
    assert torch.equal(images, torch.arange(5))


@pytest.mark.parametrize("images", [torch.arange(3, dtype=torch.int32), torch.zeros((2, 2), dtype=torch.int64)])
def test_image_indices_of_another_type_or_shape_are_refused(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="image indices must be int64 of shape"):
        keyed_bits(0, images, 1)


@pytest.mark.gpu
def test_a_gpu_draws_the_same_bits_and_the_same_normal_numbers_but_for_a_last_bit_in_a_million() -> None:
    images = torch.arange(1000)
    assert torch.equal(keyed_bits(6, images.cuda(), 3072).cpu(), keyed_bits(6, images, 3072))
    assert torch.equal(keyed_uniform(6, images.cuda(), 3072).cpu(), keyed_uniform(6, images, 3072))
    on_gpu, on_cpu = keyed_normal(6, images.cuda(), 3072).cpu().numpy(), keyed_normal(6, images, 3072).numpy()
    np.testing.assert_array_max_ulp(on_gpu, on_cpu, maxulp=1)
    assert np.mean(on_gpu != on_cpu) < 1e-6


@pytest.mark.gpu
def test_a_gpu_chooses_the_same_numbers() -> None:
    images, table = torch.arange(100), alias_table(distributions())
    rows = torch.from_numpy(np.random.default_rng(1).integers(0, 12, (100, 3072), dtype=np.uint8))
    on_gpu = keyed_choice(6, images.cuda(), table.cuda(), rows.cuda())
    assert torch.equal(on_gpu.cpu(), keyed_choice(6, images, table, rows))

"""Mixup mixes images and targets alike, within a batch."""

import numpy as np
import torch

from nsbench.training.mixup import draw_partners


def test_images_and_targets_are_mixed_with_the_same_weight_and_partner() -> None:
    partners = draw_partners(10, 4, 1.0, (0, "x"))
    assert partners is not None
    images, targets = torch.rand(4, 3, 2, 2), torch.eye(4)
    mixed, mixed_targets = partners.mix(images, targets, slice(4, 8))
    for index in range(4):
        weight, other = partners.weights[4 + index], partners.partners[4 + index]
        expected = weight * images[index] + (1 - weight) * images[other]
        assert torch.allclose(mixed[index], expected, atol=1e-6)
        assert torch.allclose(mixed_targets[index], weight * targets[index] + (1 - weight) * targets[other], atol=1e-6)


def test_partners_are_a_permutation_of_each_batch_the_last_one_too() -> None:
    partners = draw_partners(10, 4, 0.2, (0, "x"))
    assert partners is not None
    for start, stop in ((0, 4), (4, 8), (8, 10)):
        assert sorted(partners.partners[start:stop].tolist()) == list(range(stop - start))


def test_weights_follow_the_beta_distribution_one_for_each_image() -> None:
    partners = draw_partners(20_000, 500, 1.0, (0, "x"))
    assert partners is not None
    shares = np.histogram(partners.weights.numpy(), bins=10, range=(0, 1))[0] / 20_000
    assert abs(shares - 0.1).max() < 0.01
    narrow = draw_partners(20_000, 500, 8.0, (0, "x"))
    assert narrow is not None
    assert abs(narrow.weights.var() - 1 / (4 * 17)) < 0.001


def test_alpha_zero_switches_it_off_and_a_seed_repeats_it() -> None:
    assert draw_partners(8, 4, 0.0, (0, "x")) is None
    one, two, other = (draw_partners(8, 4, 1.0, (seed, "x")) for seed in (0, 0, 1))
    assert one is not None
    assert two is not None
    assert other is not None
    assert torch.equal(one.weights, two.weights)
    assert torch.equal(one.partners, two.partners)
    assert not torch.equal(one.weights, other.weights)

"""Mixup mixes images and targets alike, within a batch."""

import numpy as np
import torch

from nsbench.training.mixup import draw_partners, mix


def test_images_and_targets_are_mixed_with_the_same_weight_and_partner() -> None:
    weights, partners = (drawn[1] for drawn in draw_partners(2, 4, 1.0, (0, "x")))
    images, targets = torch.rand(4, 3, 2, 2), torch.eye(4)
    mixed, mixed_targets = mix(images, weights, partners), mix(targets, weights, partners)
    for index in range(4):
        weight, other = weights[index], partners[index]
        assert torch.allclose(mixed[index], weight * images[index] + (1 - weight) * images[other], atol=1e-6)
        assert torch.allclose(mixed_targets[index], weight * targets[index] + (1 - weight) * targets[other], atol=1e-6)


def test_partners_are_a_permutation_of_each_batch() -> None:
    _, partners = draw_partners(3, 4, 0.2, (0, "x"))
    assert all(sorted(batch.tolist()) == [0, 1, 2, 3] for batch in partners)
    assert not torch.equal(partners[0], partners[1]) or not torch.equal(partners[1], partners[2])


def test_weights_follow_the_beta_distribution_one_for_each_image() -> None:
    weights, _ = draw_partners(40, 500, 1.0, (0, "x"))
    shares = np.histogram(weights.numpy(), bins=10, range=(0, 1))[0] / 20_000
    assert abs(shares - 0.1).max() < 0.01
    narrow, _ = draw_partners(40, 500, 8.0, (0, "x"))
    assert abs(narrow.var() - 1 / (4 * 17)) < 0.001


def test_alpha_zero_switches_it_off() -> None:
    weights, partners = (drawn[0] for drawn in draw_partners(8, 4, 0.0, (0, "x")))
    images = torch.rand(4, 3, 2, 2)
    assert mix(images, weights, partners) is images


def test_a_seed_repeats_the_draws_and_another_gives_others() -> None:
    one, two, other = (draw_partners(8, 4, 1.0, (seed, "x")) for seed in (0, 0, 1))
    assert torch.equal(one[0], two[0])
    assert torch.equal(one[1], two[1])
    assert not torch.equal(one[0], other[0])

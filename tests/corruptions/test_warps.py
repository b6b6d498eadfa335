"""The geometric sequences of CIFAR-10-P, against Pillow and slow restatements, one image at a time.

Pinned checksums are of the published generator itself, run outside this repository with torchvision 0.2's affine map,
Pillow 13 and, for tilt, OpenCV 3.4.18; there every pixel of the first 250 test images was the same as ours, too.
"""

import hashlib
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.transforms import functional  # type: ignore[import-untyped] # torchvision ships no types

from nsbench.corruptions.kinds import warps
from nsbench.corruptions.kinds.warps import WARP_SEQUENCES
from nsbench.corruptions.numerics.affine import affine_coordinates
from nsbench.corruptions.numerics.perspective import tilt_coordinates, tilt_matrix
from nsbench.corruptions.spec import Draw

Pixels = NDArray[np.uint8]
NAMES = tuple(WARP_SEQUENCES)
FRAMES = range(31)


def random_images(count: int = 6) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def smooth_images() -> Pixels:
    """Coloured gradients, and black, white and grey."""
    down, across = np.mgrid[:32, :32]
    gradient = np.stack([down * 8, across * 8, 255 - (down + across) * 4], axis=-1)
    plain = [np.full((32, 32, 3), value) for value in (0, 255, 77)]
    return np.stack([gradient, gradient[::-1], gradient[..., ::-1], *plain]).astype(np.uint8)


def run(pixels: Pixels, name: str, device: str = "cpu") -> Pixels:
    """Return uint8 (B, T, 32, 32, 3)."""
    images = torch.from_numpy(pixels).to(device)
    sequence = WARP_SEQUENCES[name]
    frames = sequence.frames(images, sequence.constants, Draw(0, torch.arange(len(pixels), device=device)))
    sequences: Pixels = torch.stack(list(frames), dim=1).cpu().numpy()
    return sequences


def pillow_affine(image: Pixels, *, angle: float = 0, scale: float = 1, shear: float = 0, shift: float = 0) -> Pixels:
    """Pillow's bilinear transform by the inverse of torchvision 0.2's forward map, written from its docstring.

    Forward: about (16.5, 16.5) by scale * [[cos a, -sin(a + s)], [sin a, cos(a + s)]], then shifted.
    """
    a, s = math.radians(angle), math.radians(shear)
    inverse = np.array([[math.cos(a + s), math.sin(a + s)], [-math.sin(a), math.cos(a)]])
    inverse *= 1 / scale / (math.cos(a + s) * math.cos(a) + math.sin(a + s) * math.sin(a))
    (xx, xy), (yx, yy) = inverse
    matrix = (xx, xy, xx * (-16.5 - shift) + xy * -16.5 + 16.5, yx, yy, yx * (-16.5 - shift) + yy * -16.5 + 16.5)
    moved = Image.fromarray(image).transform((32, 32), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return np.array(moved)


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("rotate", lambda frame: {"angle": frame - 15}),
        ("scale", lambda frame: {"scale": (2 * frame + 70) / 100}),
        ("shear", lambda frame: {"shear": frame - 15}),
    ],
)
def test_affine_sequences_are_pillows_to_the_bit(
    name: str, frame: int, parameters: Callable[[int], dict[str, float]], affine_sequences: dict[str, Pixels]
) -> None:
    pixels = np.concatenate([random_images(), smooth_images()])
    expected = np.stack([pillow_affine(image, **parameters(frame)) for image in pixels])
    assert np.array_equal(affine_sequences[name][:, frame], expected)


@pytest.fixture(scope="module")
def affine_sequences() -> dict[str, Pixels]:
    pixels = np.concatenate([random_images(), smooth_images()])
    return {name: run(pixels, name) for name in ("rotate", "scale", "shear")}


def test_zoom_blur_is_the_running_mean_of_pillows_enlargements_to_the_bit() -> None:
    pixels = np.concatenate([random_images(), smooth_images()])
    sequences = run(pixels, "zoom_blur")
    for image, sequence in zip(pixels, sequences, strict=True):
        assert np.array_equal(sequence[0], image)
        total = image.astype(np.float32) / np.float32(255)
        for frame in range(1, 31):
            total += pillow_affine(image, scale=1 + 0.004 * frame).astype(np.float32) / np.float32(255)
            expected = (total / np.float32(frame + 1) * np.float32(255)).astype(np.uint8)
            assert np.array_equal(sequence[frame], expected)


def tilted(image: Pixels, degrees: float) -> Pixels:
    """Restate OpenCV's fixed point for one image and one turn, a pixel at a time.

    The turned pixel plane is intersected with the ray of each pixel seen, instead of inverting the matrix.
    """
    turn, distance = math.radians(degrees), math.hypot(32, 32)
    cosine, sine = math.cos(turn), math.sin(turn)
    first = np.array([cosine, -sine * sine, sine * cosine])
    second = np.array([0.0, cosine, sine])
    origin = np.array([-sine, -sine * cosine, cosine * cosine + distance])
    padded = np.pad(image.astype(int), ((1, 34), (1, 34), (0, 0)))
    result = np.zeros_like(image)
    for y, x in np.ndindex(32, 32):
        ray = np.array([(x - 16) / distance, (y - 16) / distance, 1.0])
        u, v, _ = np.linalg.solve(np.stack([first, second, -ray], axis=1), -origin)
        (left, right), (top, bottom) = (divmod(round((axis + 16) * 32), 32) for axis in (u, v))
        if -1 <= left < 32 and -1 <= top < 32:
            corner = padded[top + 1 : top + 3, left + 1 : left + 3]
            weights = np.outer([32 - bottom, bottom], [32 - right, right])
            result[y, x] = (np.tensordot(weights, corner) + 512) >> 10
    return result


@pytest.mark.parametrize("frame", [0, 1, 7, 14, 15, 16, 23, 30])
def test_tilt_is_its_definition_in_fixed_point_to_the_bit(frame: int) -> None:
    pixels = np.stack([random_images()[0], smooth_images()[0]])
    expected = np.stack([tilted(image, 0.75 * (frame - 15)) for image in pixels])
    assert np.array_equal(run(pixels, "tilt")[:, frame], expected)


def test_no_coordinate_of_tilt_is_near_a_tie_of_its_rounding() -> None:
    for degrees in WARP_SEQUENCES["tilt"].constants:
        down, across = np.mgrid[:32, :32]
        x, y, depth = np.linalg.inv(tilt_matrix(degrees)) @ np.stack([across, down, np.ones((32, 32))]).reshape(3, -1)
        for exact, rounded in zip((x / depth, y / depth), tilt_coordinates(degrees), strict=True):
            assert np.abs(exact * 32 - rounded.ravel()).max() < 0.49999


@pytest.mark.parametrize("frame", range(16))
def test_translate_is_torchvisions_affine_map(frame: int) -> None:
    pixels = random_images()
    expected = [
        np.array(functional.affine(Image.fromarray(image), angle=0, translate=[frame - 7, 0], scale=1, shear=[0.0]))
        for image in pixels
    ]
    assert np.array_equal(run(pixels, "translate")[:, frame], np.stack(expected))


def test_translate_moves_from_left_to_right_over_black_and_passes_the_image_itself() -> None:
    pixels = smooth_images().clip(1)
    sequences = run(pixels, "translate")
    assert np.array_equal(sequences[:, 7], pixels)
    assert np.array_equal(sequences[:, 0, :, :25], pixels[:, :, 7:])
    assert not sequences[:, 0, :, 25:].any()
    assert np.array_equal(sequences[:, 15, :, 8:], pixels[:, :, :24])
    assert not sequences[:, 15, :, :8].any()


@pytest.mark.parametrize("name", ["rotate", "scale", "shear"])
def test_the_middle_frame_is_the_image_itself(name: str) -> None:
    assert np.array_equal(run(random_images(), name)[:, 15], random_images())


def test_the_middle_frame_of_tilt_is_smaller_than_the_image() -> None:
    """As published: the image lies a pixel behind the point that it is turned about."""
    x, y = tilt_coordinates(0)
    factor = 1 + 1 / math.hypot(32, 32)
    assert np.array_equal(x[0], np.rint(((np.arange(32) - 16) * factor + 16) * 32))
    assert np.array_equal(x.T, y)


@pytest.mark.parametrize("name", ["rotate", "scale", "zoom_blur"])
def test_the_pixel_to_the_lower_right_of_the_middle_stays_in_place(name: str) -> None:
    """Its centre, (16.5, 16.5), is torchvision 0.2's fixed point.

    Where the coordinate is whole but for rounding, a fraction may be dropped.
    """
    pixels = random_images()
    moved = run(pixels, name)[:, :, 16, 16].astype(int) - pixels[:, None, 16, 16]
    assert np.abs(moved).max() <= 1


def test_positive_angles_turn_clockwise() -> None:
    pixels = np.zeros((1, 32, 32, 3), dtype=np.uint8)
    pixels[:, 16, 26] = 255
    heights = run(pixels, "rotate")[0, ..., 0].max(axis=2).argmax(axis=1)
    assert np.all(np.diff(heights) >= 0)
    assert (heights[0], heights[15], heights[30]) == (13, 16, 19)


@pytest.mark.parametrize("name", ["rotate", "tilt", "scale", "shear"])
def test_white_turns_black_where_nothing_is_left(name: str) -> None:
    """Pillow cuts between pixels, OpenCV fades to black over one pixel."""
    sequences = run(np.full((1, 32, 32, 3), 255, dtype=np.uint8), name)
    assert (sequences[0, :, 12:20, 12:20] == 255).all()
    assert (sequences[0, 0] == 0).any()
    assert np.isin(sequences, [0, 255]).all() == (name != "tilt")


def test_torchvision_02_turns_about_half_a_pixel_further_than_today() -> None:
    x, y = affine_coordinates(angle=10, scale=1.2)
    assert (x[16, 16], y[16, 16]) == (16.5, 16.5)
    sheared_x, sheared_y = affine_coordinates(shear=10)
    assert np.allclose(np.diff(sheared_x, axis=0), math.tan(math.radians(10)))
    assert np.allclose(np.diff(sheared_y, axis=0), 1 / math.cos(math.radians(10)))


@pytest.mark.parametrize("name", NAMES)
def test_a_sequence_is_the_same_to_the_bit_in_any_batch_and_order(name: str) -> None:
    pixels = random_images(12)
    whole = run(pixels, name)
    order = np.random.default_rng(2).permutation(12)
    parts = [run(pixels[part], name) for part in (order[:1], order[1:5], order[5:])]
    assert np.array_equal(np.concatenate(parts), whole[order])


@pytest.mark.parametrize("name", ["rotate", "tilt"])
@pytest.mark.parametrize("places", [1, 100, 2**20])
def test_pieces_of_a_map_make_the_pixels_of_the_whole(name: str, places: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(random_images(3), name)
    monkeypatch.setattr(warps, "_CACHED_PLACES", places * 3)
    assert np.array_equal(run(random_images(3), name), expected)


@pytest.mark.parametrize("name", NAMES)
def test_sequences_have_the_published_number_of_frames_and_leave_the_images_alone(name: str) -> None:
    pixels = random_images()
    sequences = run(pixels, name)
    assert sequences.shape == (6, 16 if name == "translate" else 31, 32, 32, 3)
    assert sequences.dtype == np.uint8
    assert np.array_equal(pixels, random_images())


@pytest.mark.parametrize("name", NAMES)
def test_frames_keep_the_device_of_the_images_and_need_no_value_on_the_host(name: str) -> None:
    sequence = WARP_SEQUENCES[name]
    images = torch.empty((2, 32, 32, 3), dtype=torch.uint8, device="meta")
    frames = list(sequence.frames(images, sequence.constants, Draw(0, torch.arange(2, device="meta"))))
    assert len(frames) == len(sequence.constants)
    assert all(frame.is_meta and frame.shape == images.shape and frame.dtype == torch.uint8 for frame in frames)


@pytest.mark.parametrize(
    ("name", "checksum"),
    [
        ("zoom_blur", "89c0e22f928733e7"),
        ("translate", "c1649970787659bf"),
        ("rotate", "3223a4fcd56d2027"),
        ("tilt", "31992dfe7430e7b3"),
        ("scale", "0f664e901934bab5"),
        ("shear", "05f7b2b36fd77ee3"),
    ],
)
def test_the_pixels_are_those_of_the_published_generator(name: str, checksum: str) -> None:
    """A change of these pixels needs a new name of the set."""
    sequences = run(np.concatenate([random_images(), smooth_images()]), name)
    assert hashlib.sha256(sequences.tobytes()).hexdigest()[:16] == checksum


@pytest.mark.gpu
@pytest.mark.parametrize("name", NAMES)
def test_a_gpu_makes_the_same_pixels(name: str) -> None:
    pixels = np.concatenate([random_images(), smooth_images()])
    assert np.array_equal(run(pixels, name, device="cuda"), run(pixels, name))

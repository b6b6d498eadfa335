"""Frost and its textures, against their definitions restated slowly."""

import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats

from nsbench.corruptions.kinds.frost import FROST, cut, draw_places
from nsbench.corruptions.kinds.textures import PHOTOGRAPHS, procedural_textures, read_textures, textures_checksum
from nsbench.corruptions.spec import Draw
from nsbench.errors import UserError

Pixels = NDArray[np.uint8]

CORRUPTION = FROST["frost"]
CONSTANTS = ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45))
KEY = 5


def random_images(count: int = 20) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def numbered_textures() -> tuple[torch.Tensor, ...]:
    """Textures of several sizes, whose pixels say (row, column, texture)."""
    textures = []
    for number, (height, width) in enumerate([(33, 60), (70, 33), (40, 45), (33, 33)]):
        rows, columns = np.mgrid[:height, :width]
        textures.append(torch.from_numpy(np.stack([rows, columns, np.full_like(rows, number)], -1).astype(np.uint8)))
    return tuple(textures)


def run(pixels: Pixels, severity: int, textures: tuple[torch.Tensor, ...] = (), device: str = "cpu") -> Pixels:
    draw = Draw(KEY, torch.arange(len(pixels), device=device), tuple(texture.to(device) for texture in textures))
    images = torch.from_numpy(pixels).to(device)
    frosty: Pixels = CORRUPTION.apply(images, CORRUPTION.constants[severity - 1], draw).cpu().numpy()
    return frosty


def save_photographs(folder: Path, sizes: list[tuple[int, int]]) -> list[Pixels]:
    """Noise of (height, width) as PNG files, whatever the names end in, so that nothing is lost."""
    rng = np.random.default_rng(3)
    saved = []
    for name, size in zip(PHOTOGRAPHS, sizes, strict=True):
        saved.append(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
        Image.fromarray(saved[-1]).save(folder / name, format="PNG")
    return saved


def png_that_claims(width: int, height: int) -> bytes:
    """The beginning of a PNG file without pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("textures", [(), numbered_textures()])
def test_frost_is_its_definition_pixel_by_pixel(severity: int, textures: tuple[torch.Tensor, ...]) -> None:
    pixels = random_images()
    kept, added = CONSTANTS[severity - 1]
    sources = textures or procedural_textures()
    places = draw_places(Draw(KEY, torch.arange(20)), sources)
    expected = np.empty_like(pixels)
    for number, (texture, row, column) in enumerate(torch.stack(places, dim=1).tolist()):
        piece = sources[texture].numpy()[row : row + 32, column : column + 32]
        expected[number] = np.clip(kept * pixels[number] + added * piece, 0, 255).astype(np.uint8)
    assert np.array_equal(run(pixels, severity, textures), expected)


def test_a_piece_is_cut_whole_out_of_one_texture() -> None:
    textures = numbered_textures()
    places = draw_places(Draw(KEY, torch.arange(500)), textures)
    pieces = cut(textures, places).long()
    square = torch.arange(32)
    assert torch.equal(pieces[..., 0], (places[1][:, None, None] + square[:, None]).expand(-1, 32, 32))
    assert torch.equal(pieces[..., 1], (places[2][:, None, None] + square).expand(-1, 32, 32))
    assert torch.equal(pieces[..., 2], places[0][:, None, None].expand(-1, 32, 32))


def test_all_textures_and_corners_but_those_of_the_last_row_and_column_are_alike_likely() -> None:
    textures = numbered_textures()
    texture, row, column = draw_places(Draw(KEY, torch.arange(20_000)), textures)
    assert stats.chisquare(np.bincount(texture)).pvalue > 1e-3
    for number, (rows, columns) in enumerate([(1, 28), (38, 1), (8, 13), (1, 1)]):
        chosen = texture == number
        counts = np.bincount(row[chosen] * columns + column[chosen])
        assert len(counts) == rows * columns
        if len(counts) > 1:
            assert stats.chisquare(counts).pvalue > 1e-3


def test_frost_differs_between_keys_and_images() -> None:
    first, second = (torch.stack(draw_places(Draw(key, torch.arange(50)), procedural_textures())) for key in (1, 2))
    assert len({tuple(place) for place in torch.cat([first, second], dim=1).T.tolist()}) == 100


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("textures", [(), numbered_textures()])
def test_an_image_is_the_same_to_the_bit_in_any_batch_and_order(
    severity: int, textures: tuple[torch.Tensor, ...]
) -> None:
    images = torch.from_numpy(random_images())
    before = images.clone()
    constant = CORRUPTION.constants[severity - 1]
    whole = CORRUPTION.apply(images, constant, Draw(KEY, torch.arange(20), textures))
    order = torch.from_numpy(np.random.default_rng(2).permutation(20))
    split = (order[:1], order[1:8], order[8:])
    parts = [CORRUPTION.apply(images[part], constant, Draw(KEY, part, textures)) for part in split]
    assert torch.equal(torch.cat(parts), whole[order])
    assert torch.equal(images, before)


def test_frost_needs_no_look_at_its_values() -> None:
    images = torch.zeros((4, 32, 32, 3), dtype=torch.uint8, device="meta")
    frosty = CORRUPTION.apply(images, (1, 0.2), Draw(KEY, torch.arange(4, device="meta")))
    assert (frosty.shape, frosty.dtype) == (images.shape, torch.uint8)


def test_the_constants_are_the_published_ones() -> None:
    assert CORRUPTION.constants == CONSTANTS


def test_our_textures_are_five_and_always_the_same() -> None:
    textures = procedural_textures()
    assert [(texture.shape, texture.dtype) for texture in textures] == 5 * [((128, 128, 3), torch.uint8)]
    assert textures_checksum(textures)[:16] == "7157bafa162fe2cc"


# Mean brightness, standard deviation of brightness within a piece, and correlation with the pixel beside it, of the
# photographs at a fifth of their size: seen once, outside this repository. The third photograph is the second again.
PHOTOGRAPHED = ((131, 14.1, 0.49), (207, 18.0, 0.37), (207, 18.0, 0.37), (152, 26.1, 0.23), (123, 34.0, 0.35))


@pytest.mark.parametrize("number", range(5))
def test_our_textures_are_as_bright_as_rough_and_as_smooth_as_the_photographs(number: int) -> None:
    texture = procedural_textures()[number].double().mean(-1)
    pieces = texture.unfold(0, 32, 8).unfold(1, 32, 8).reshape(-1, 32, 32)
    centred = pieces - pieces.mean((1, 2), keepdim=True)
    spread = centred.square().mean((1, 2))
    likeness = ((centred[:, :, 1:] * centred[:, :, :-1]).mean((1, 2)) / spread).mean()
    brightness, roughness, correlation = PHOTOGRAPHED[number]
    assert texture.mean().item() == pytest.approx(brightness, abs=7)
    assert spread.sqrt().mean().item() == pytest.approx(roughness, rel=0.1)
    assert likeness.item() == pytest.approx(correlation, abs=0.05)


def test_our_textures_wrap_around_without_a_seam() -> None:
    for texture in procedural_textures():
        grey = texture.double().mean(-1)
        step = (grey - grey.roll(1, 0)).abs().mean(1)
        assert step[0] < 1.5 * step[1:].mean()


def test_photographs_are_scaled_by_a_fifth_with_bilinear_interpolation(tmp_path: Path) -> None:
    sizes = [(165, 170), (200, 165), (165, 165), (250, 300), (165, 500)]
    saved = save_photographs(tmp_path, sizes)
    for texture, pixels in zip(read_textures(tmp_path), saved, strict=True):
        planes = torch.from_numpy(pixels).permute(2, 0, 1)[None].double()
        scaled = torch.nn.functional.interpolate(planes, scale_factor=0.2, mode="bilinear", align_corners=False)
        assert torch.equal(texture.double(), scaled[0].permute(1, 2, 0))


def test_a_side_that_is_no_multiple_of_five_is_rounded_to_the_nearest(tmp_path: Path) -> None:
    save_photographs(tmp_path, [(166, 167), (168, 169), (163, 164), (165, 170), (200, 201)])
    shapes = [tuple(texture.shape) for texture in read_textures(tmp_path)]
    assert shapes == [(33, 33, 3), (34, 34, 3), (33, 33, 3), (33, 34, 3), (40, 40, 3)]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_photographs_of_any_mode_are_read_as_colours(tmp_path: Path, mode: str) -> None:
    save_photographs(tmp_path, 5 * [(165, 165)])
    Image.new(mode, (170, 165)).save(tmp_path / "frost4.jpg", format="TIFF")
    texture = read_textures(tmp_path)[3]
    assert (texture.shape, texture.dtype) == ((33, 34, 3), torch.uint8)


def test_a_set_with_photographs_differs_from_ours_in_name_and_pixels(tmp_path: Path) -> None:
    save_photographs(tmp_path, 5 * [(165, 165)])
    textures = read_textures(tmp_path)
    assert textures_checksum(textures) != textures_checksum(procedural_textures())
    assert textures_checksum(textures) != textures_checksum(textures[::-1])
    assert textures_checksum((textures[0][:, :20],)) != textures_checksum((textures[0][:, :20].reshape(20, 33, 3),))
    assert not np.array_equal(run(random_images(), 3, textures), run(random_images(), 3))


def test_a_missing_photograph_is_named(tmp_path: Path) -> None:
    save_photographs(tmp_path, 5 * [(165, 165)])
    (tmp_path / "frost3.png").unlink()
    with pytest.raises(UserError, match=r"frost3\.png is missing: put frost1\.png, .* there"):
        read_textures(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as an image"),
        (b"<html>404</html>", "cannot be read as an image"),
        (png_that_claims(165, 165), "cannot be read as an image"),
        (png_that_claims(162, 400), r"is 162 x 400 pixels: frost needs 163 each way or more"),
        (png_that_claims(8000, 7000), "has more than 50,000,000 pixels"),
        (png_that_claims(12_000, 12_000), "has more than 50,000,000 pixels"),
        (png_that_claims(60_000, 60_000), "has more than 50,000,000 pixels"),
    ],
    ids=["empty", "html", "cut short", "small", "large", "larger", "bomb"],
)
def test_a_photograph_that_cannot_be_used_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, message: str
) -> None:
    save_photographs(tmp_path, 5 * [(165, 165)])
    (tmp_path / "frost2.png").write_bytes(content)
    with pytest.raises(UserError, match=rf"frost2\.png {message}"):
        read_textures(tmp_path)


def test_version_1_still_makes_the_pixels_it_made() -> None:
    digest = hashlib.sha256(b"".join(run(random_images(), severity).tobytes() for severity in range(1, 6)))
    assert digest.hexdigest()[:16] == "409d03f27a5ac497"


@pytest.mark.gpu
@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("textures", [(), numbered_textures()])
def test_a_gpu_makes_the_same_pixels(severity: int, textures: tuple[torch.Tensor, ...]) -> None:
    on_gpu = run(random_images(), severity, textures, device="cuda")
    assert np.array_equal(on_gpu, run(random_images(), severity, textures))

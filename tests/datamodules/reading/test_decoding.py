import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import PngImagePlugin

from configs.schema import Image
from datamodules.reading.decoding import decode

GRADIENT = np.arange(0, 256, dtype=np.uint8).reshape(16, 16)


def decoded(tmp_path, picture: Pillow.Image, channels: int = 1, resolution: int = 16, name: str = "a.png", **options):
    picture.save(tmp_path / name, **options)
    return decode(tmp_path / name, Image(resolution, channels))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("mode", ["L", "RGB", "P", "LA", "RGBA"])
def test_gray_pixels_come_through_in_every_mode(tmp_path, mode, channels):
    pixels = decoded(tmp_path, Pillow.fromarray(GRADIENT).convert(mode), channels)
    assert pixels.shape == (channels, 16, 16) and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - GRADIENT).max() <= 1


def test_bilevel_and_cmyk_pictures_are_read(tmp_path):
    bilevel = decoded(tmp_path, Pillow.fromarray(GRADIENT > 100))
    assert np.array_equal(bilevel[0], np.where(GRADIENT > 100, 255, 0))
    red = decoded(tmp_path, Pillow.new("CMYK", (16, 16), (0, 255, 255, 0)), 3, name="a.tif")
    assert red[:, 8, 8].tolist() == [255, 0, 0]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_keep_the_high_byte(tmp_path, name):
    deep = Pillow.fromarray(GRADIENT.astype(np.uint16) * 256 + 77)
    assert np.array_equal(decoded(tmp_path, deep, name=name)[0], GRADIENT)


def test_transparent_pixels_show_white(tmp_path):
    clear = Pillow.new("RGBA", (16, 16), (0, 0, 0, 0))
    assert (decoded(tmp_path, clear) == 255).all()
    palette = Pillow.new("P", (16, 16), 0)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert (decoded(tmp_path, palette, 3, transparency=0) == 255).all()


@pytest.mark.parametrize(("width", "height"), [(48, 16), (16, 48), (300, 100), (8, 24)])
def test_the_central_square_is_kept(tmp_path, width, height):
    short = min(width, height)
    pixels = np.zeros((height, width), np.uint8)
    top, left = (height - short) // 2, (width - short) // 2
    pixels[top : top + short, left : left + short] = 200
    # at the very border a resized pixel also sees the neighbours that are cut off
    assert (decoded(tmp_path, Pillow.fromarray(pixels))[0, 2:-2, 2:-2] == 200).all()


def test_the_exif_orientation_is_respected(tmp_path):
    exif = Pillow.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    pixels = decoded(tmp_path, Pillow.fromarray(GRADIENT), exif=exif)
    assert np.array_equal(pixels[0], np.rot90(GRADIENT, -1))


def test_a_large_photograph_is_read_close_to_an_exact_reduction(tmp_path):
    y, x = np.mgrid[0:1024, 0:1024]
    photograph = Pillow.fromarray((127 + 60 * np.sin(x / 150) + 60 * np.cos(y / 130)).astype(np.uint8))
    pixels = decoded(tmp_path, photograph, resolution=32, name="a.jpg", quality=95)
    reference = np.asarray(photograph.resize((32, 32), Pillow.Resampling.BILINEAR)).astype(int)
    assert np.abs(pixels[0] - reference).mean() < 2


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.bmp", "a.tif", "a.webp"])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.7])
def test_a_truncated_file_is_an_oserror(tmp_path, name, keep):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Pillow.fromarray(noise).save(tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(OSError, match=name):
        decode(tmp_path / name, Image(16, 3))


def test_floating_point_pixels_are_refused(tmp_path):
    with pytest.raises(OSError, match="floating-point"):
        decoded(tmp_path, Pillow.fromarray(GRADIENT.astype(np.float32)), name="a.tif")


@pytest.mark.parametrize("tag", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_every_orientation_in_every_format(tmp_path, tag, name):
    upright = Pillow.fromarray(np.repeat(np.array([[30], [220]], np.uint8), 12, axis=0).repeat(24, axis=1))
    undo = [None, *(Pillow.Transpose(number) for number in (0, 3, 1, 5, 2, 6, 4))][tag - 1]
    exif = Pillow.Exif()
    exif[0x0112] = tag
    stored = upright if undo is None else upright.transpose(undo)
    pixels = decoded(tmp_path, stored, name=name, exif=exif, quality=95).astype(int)
    assert abs(pixels[0, 3, 8] - 30) < 12 and abs(pixels[0, -4, 8] - 220) < 12


@pytest.mark.parametrize(
    "block", [b"Exif\0\0", b"Exif\0\0garbage!garbage!", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"]
)
def test_a_damaged_exif_block_does_not_make_a_photograph_unreadable(tmp_path, block):
    assert (
        np.abs(decoded(tmp_path, Pillow.new("L", (16, 16), 100), name="a.jpg", exif=block).astype(int) - 100) < 3
    ).all()


def test_a_long_text_and_many_pixels_next_to_them(tmp_path):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("note", "a" * (2 * 2**20), zip=True)
    assert (decoded(tmp_path, Pillow.new("L", (16, 16), 100), pnginfo=notes) == 100).all()
    assert Pillow.MAX_IMAGE_PIXELS * 2 > 190_000_000

"""Image files and arrays of every kind become 8-bit RGB, or are refused in one line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sbanet import images
from sbanet.errors import ConfigError, DataError
from sbanet.images import Stretch, read_image, rgb

from .tiff_files import tiff

MINMAX = Stretch.parse("minmax")


def noise(*shape: int, dtype: str = "uint8", most: int = 256) -> np.ndarray:
    return np.random.default_rng(0).integers(0, most, shape).astype(dtype)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "picture"


@pytest.mark.parametrize("kind", ["png", "tiff", "bmp", "webp"])
def test_colours_stay(file: Path, kind: str) -> None:
    pixels = noise(9, 7, 3)
    Image.fromarray(pixels).save(file, kind, lossless=True)
    np.testing.assert_array_equal(read_image(file), pixels)


def test_a_jpeg_is_what_opencv_decodes(sbanet_data: Path) -> None:
    for path in sorted((sbanet_data / "nwpu_vhr10" / "images").iterdir())[:3]:
        np.testing.assert_array_equal(read_image(path), cv2.imread(str(path))[..., ::-1])


@pytest.mark.parametrize("kind", ["png", "tiff", "jpeg"])
def test_grey_becomes_three_equal_channels(file: Path, kind: str) -> None:
    pixels = np.full((9, 7), 90, np.uint8)
    pixels[:, 4:] = 200
    Image.fromarray(pixels).save(file, kind, quality=100)
    read = read_image(file)
    assert read.shape == (9, 7, 3)
    assert (read == read[..., :1]).all()
    np.testing.assert_allclose(read[..., 0], pixels, atol=4)


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("bands", [2, 4])
def test_alpha_is_left_out(file: Path, kind: str, bands: int) -> None:
    pixels = noise(9, 7, bands)
    Image.fromarray(pixels, "LA" if bands == 2 else "RGBA").save(file, kind)
    np.testing.assert_array_equal(read_image(file), np.broadcast_to(pixels[..., : bands - 1], (9, 7, 3)))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_near_infrared_is_left_out(file: Path, dtype: str) -> None:
    pixels = noise(9, 7, 4, dtype=dtype)
    pixels[0, 0, :3], pixels[0, 1, :3] = 0, 255
    file.write_bytes(tiff(pixels))
    np.testing.assert_array_equal(read_image(file, stretch=MINMAX), pixels[..., :3].astype(np.uint8))


@pytest.mark.parametrize("kind", ["png", "tiff", "gif"])
def test_a_palette_becomes_its_colours(file: Path, kind: str) -> None:
    picture = Image.fromarray(noise(9, 7, 3)).quantize(8)
    picture.save(file, kind)
    np.testing.assert_array_equal(read_image(file), picture.convert("RGB"))


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_one_bit_is_black_and_white(file: Path, kind: str) -> None:
    pixels = noise(9, 7) > 128
    Image.fromarray(pixels).save(file, kind)
    np.testing.assert_array_equal(read_image(file)[..., 1], pixels * 255)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_picture_stands_as_viewers_show_it(file: Path, kind: str, mode: str) -> None:
    picture = Image.new(mode, (60, 40))
    picture.paste(Image.new(mode, (60, 10), "white"))
    exif = picture.getexif()
    exif[274] = 6  # its top is at the right
    picture.save(file, kind, exif=exif)
    read = read_image(file)
    assert read.shape == (60, 40, 3)
    assert read[:, 32:].min() > 200
    assert read[:, :28].max() < 50


def test_sixteen_bits_are_stretched_to_the_images_own_values(file: Path) -> None:
    pixels = np.linspace(300, 4300, 101).astype(np.uint16).reshape(1, 101)
    cv2.imwrite(f"{file}.png", pixels)
    read = read_image(f"{file}.png")[0, :, 0].astype(int)
    assert (read[:3].max(), read[98:].min()) == (0, 255)
    np.testing.assert_array_equal(read[2:99], np.rint(np.linspace(0, 255, 97)))


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bit_colours_stay_what_they_are(file: Path, kind: str) -> None:
    red_first = np.full((4, 6, 3), (4000, 2000, 0), np.uint16)
    cv2.imwrite(f"{file}.{kind}", red_first[..., ::-1])
    np.testing.assert_array_equal(read_image(f"{file}.{kind}")[0, 0], (255, 128, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "int32", "uint32"])
@pytest.mark.parametrize("bands", [1, 3])
def test_other_numbers_are_stretched(file: Path, dtype: str, bands: int) -> None:
    pixels = (noise(9, 7, bands, most=1000) * 30).astype(dtype) - np.array(10, dtype)
    file.write_bytes(tiff(pixels))
    expected = (pixels.astype(float) - pixels.min()) * (255 / np.ptp(pixels.astype(float)))
    np.testing.assert_allclose(read_image(file, stretch=MINMAX), np.broadcast_to(expected, (9, 7, 3)), atol=0.51)


@pytest.mark.parametrize("nodata", [None, "-9999", "nan", "-3.4028234663852886e+38", "-1.7976931348623157e+308", ""])
def test_what_is_no_value_takes_no_part_and_is_black(file: Path, nodata: str | None) -> None:
    pixels = np.arange(3, 103, dtype=np.float32).reshape(10, 10, 1)
    pixels[0, :3, 0] = np.nan, np.inf, -np.inf
    if nodata in ("-9999", "-3.4028234663852886e+38"):
        pixels[1:4] = float(nodata)
    file.write_bytes(tiff(pixels, nodata=nodata))
    read = read_image(file, stretch=MINMAX)[..., 0]
    lowest = pixels[np.isfinite(pixels) & (pixels > -9999)].min()
    valid = pixels[..., 0] >= lowest
    valid[0, :3] = False
    assert (read[~valid] == 0).all()
    np.testing.assert_allclose(read[valid], (pixels[..., 0][valid] - lowest) * (255 / (102 - lowest)), atol=0.51)


def test_sixteen_bits_know_nodata(file: Path) -> None:
    pixels = np.full((4, 6, 1), 65535, np.uint16)
    pixels[0, :, 0] = range(100, 106)
    file.write_bytes(tiff(pixels, nodata="65535"))
    assert read_image(file, stretch=MINMAX)[..., 0].tolist() == [[0, 51, 102, 153, 204, 255], *[[0] * 6] * 3]


def test_an_image_without_values_is_refused(file: Path) -> None:
    file.write_bytes(tiff(np.full((4, 6, 1), np.nan, np.float32)))
    with pytest.raises(DataError, match=r"picture: holds no value; all of it is NaN"):
        read_image(file)


@pytest.mark.parametrize("value", [0.0, 7.5, -3e38, 3e38])
@pytest.mark.parametrize("stretch", ["percentile:2,98", "minmax", "range:0,1"])
@pytest.mark.filterwarnings("error")
def test_an_image_of_one_value_is_no_division_by_zero(value: float, stretch: str) -> None:
    read = rgb(np.full((4, 6), value, np.float32), stretch=Stretch.parse(stretch))
    assert len(np.unique(read)) == 1
    assert stretch == "range:0,1" or not read.any()


def test_few_bright_pixels_on_one_value_are_seen() -> None:
    pixels = np.zeros((20, 20), np.uint16)
    pixels[0, 0] = 500
    assert rgb(pixels)[0, 0].tolist() == [255] * 3
    assert rgb(pixels)[1:].max() == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("percentile:0,100", [0, 64, 128, 191, 255]),
        ("minmax", [0, 64, 128, 191, 255]),
        ("range:0,800", [32, 64, 96, 128, 159]),
        ("range:200,400", [0, 0, 128, 255, 255]),
        ("range:-1e3,1000", [140, 153, 166, 178, 191]),
        ("percentile:25,75", [0, 0, 128, 255, 255]),
    ],
)
def test_the_stretch_is_the_one_that_was_asked_for(text: str, expected: list[int]) -> None:
    pixels = np.array([[100, 200, 300, 400, 500]], np.float32)
    assert rgb(pixels, stretch=Stretch.parse(text))[0, :, 2].tolist() == expected


def test_eight_bits_are_not_stretched() -> None:
    pixels = np.full((4, 6, 3), 100, np.uint8)
    np.testing.assert_array_equal(rgb(pixels, stretch=MINMAX), pixels)


@pytest.mark.parametrize(
    "text",
    [
        *("", "linear", "minmax:1,2", "percentile", "percentile:2", "percentile:98,2", "percentile:-1,50"),
        *("percentile:0,101", "percentile:5,5", "range:1,1", "range:0,1,2", "range:a,b", "range:nan,1", "range:0,inf"),
    ],
)
def test_a_stretch_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=rf"stretch={text}: expected percentile:2,98 .*, minmax, or range:0,10000"):
        Stretch.parse(text)


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int64, np.float16, np.float32, np.float64])
def test_arrays_of_every_kind(shape: tuple[int, ...], dtype: type) -> None:
    pixels = noise(*shape).astype(dtype)
    pixels.flags.writeable = False
    made = rgb(pixels)
    assert (made.shape, made.dtype) == ((4, 6, 3), np.uint8)
    assert made.flags.c_contiguous
    if dtype is bool:
        assert set(np.unique(made)) <= {0, 255}


@pytest.mark.parametrize(
    "pixels",
    [
        *(np.zeros(shape) for shape in ((4,), (4, 6, 2), (1, 3, 4, 6), (4, 0, 3))),
        *(np.full((2, 2), value) for value in (1j, "red", None)),
    ],
)
def test_arrays_of_another_kind_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"got an array .*, expected \(H, W\) or \(H, W, C\) of numbers with C = 1, 3"):
        rgb(pixels)


@pytest.mark.parametrize(("bands", "dtype"), [(2, "uint16"), (2, "uint8"), (5, "uint8"), (13, "uint16")])
def test_other_numbers_of_bands_are_refused(file: Path, bands: int, dtype: str) -> None:
    file.write_bytes(tiff(noise(9, 7, bands, dtype=dtype)))
    with pytest.raises(DataError, match=rf"picture: has {bands} bands, expected 1, 3 or 4; choose three, as by gdal"):
        read_image(file)


@pytest.mark.parametrize(
    "content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + b"0" * 64, b"II*\0", b"MM\0*" + b"9" * 99]
)
def test_what_is_no_picture_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(DataError, match="picture: cannot be decoded; expected a PNG, JPEG or TIFF file"):
        read_image(file)


@pytest.mark.parametrize("kind", ["png", "jpg", "tif", "webp"])
def test_a_cut_picture_is_refused_and_no_library_adds_a_line(
    file: Path, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = cv2.imencode(f".{kind}", noise(60, 60, 3))[1].tobytes()
    for length in (len(whole) // 10, len(whole) // 2, len(whole) - 20):
        file.write_bytes(whole[:length])
        with pytest.raises(DataError, match="picture: cannot be decoded"):
            read_image(file)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("place", [20, 300])
def test_a_picture_with_wrong_bytes_is_refused(file: Path, place: int, capfd: pytest.CaptureFixture[str]) -> None:
    content = bytearray(cv2.imencode(".png", noise(60, 60, 3))[1].tobytes())
    content[place] ^= 255
    file.write_bytes(content)
    with pytest.raises(DataError, match="cannot be decoded"):
        read_image(file)
    assert capfd.readouterr().err == ""


def test_damage_of_any_kind_is_no_other_error(file: Path) -> None:
    rng = np.random.default_rng(0)
    whole = [tiff(noise(9, 7, bands, dtype=dtype)) for bands in (1, 3, 4) for dtype in ("uint8", "float32")]
    whole += [cv2.imencode(f".{kind}", noise(9, 7, 3))[1].tobytes() for kind in ("png", "tif", "webp")]
    for number in range(300):
        content = bytearray(whole[number % len(whole)])
        for place in rng.integers(0, len(content), 5):
            content[place] = rng.integers(256)
        file.write_bytes(content)
        with suppress(DataError):
            read_image(file)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path):
        with pytest.raises(DataError, match=rf"image={path}: no such file"):
            read_image(path)


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_too_many_pixels_are_refused_before_they_are_decoded(
    file: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{file}.{kind}"
    cv2.imwrite(path, noise(30, 40))
    read_image(path)
    monkeypatch.setattr(images, "MAX_PIXELS", 1199)
    monkeypatch.setattr(cv2, "imdecode", None)
    with pytest.raises(DataError, match=r"has 40 x 30 = 1,200 pixels, expected at most 1,199; cut it into tiles"):
        read_image(path)


def test_a_header_that_claims_a_huge_picture_is_refused(file: Path) -> None:
    file.write_bytes(tiff(noise(9, 7, 3), size=(2**31, 2**31)))
    with pytest.raises(DataError, match=r"2,147,483,648 x 2,147,483,648 = .* pixels, expected at most 134,217,728"):
        read_image(file)
    head = bytearray(cv2.imencode(".bmp", noise(9, 7, 3))[1].tobytes())
    head[18:26] = (60000).to_bytes(4, "little") * 2
    file.write_bytes(head)
    with pytest.raises(DataError, match="has too many pixels, expected at most 134,217,728; cut it into tiles"):
        read_image(file)

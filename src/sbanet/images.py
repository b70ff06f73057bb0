"""Image files and arrays of any kind as what the networks see: 8-bit RGB.

What becomes of the kinds:

- grey and 1-bit: three equal channels. A palette: its colours.
- alpha, or the fourth band of an aerial image (near infrared): left out; a transparent pixel has the colour that
  the file stores.
- EXIF orientation: applied, so image and mask stand as viewers show the file.
- 8 bits: as they are. Anything else (16-bit, float, signed): stretched to 0..255 by a `Stretch`, over all channels
  jointly, so that a red roof stays red. What is NaN, infinite or a GeoTIFF's nodata value takes no part and is black.

Shape letters: H W the image's own size.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from sbanet.errors import ConfigError, DataError

SUFFIXES = (".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""Of the files that are images, in small letters."""

MAX_PIXELS = 2**27
"""Above this (11,585 x 11,585) an image is refused before it fills the memory."""

_PNG = b"\x89PNG"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WIDTH, _HEIGHT, _BITS, _BANDS, _EXTRA, _NODATA = 256, 257, 258, 277, 338, 42113  # tags of TIFF and GDAL
_UNASSOCIATED_ALPHA = (2,)
_BLACK, _WHITE = 0, 255


@dataclass(frozen=True, slots=True)
class Stretch:
    """How values that are not 8-bit become 0..255; what lies beyond the two ends becomes black or white.

    Attributes:
        low: what becomes black.
        high: what becomes white, above `low`.
        percentile: whether the two are percentiles of the image's own values, or values.
    """

    low: float
    high: float
    percentile: bool = True

    @classmethod
    def parse(cls, text: str) -> Stretch:
        """`percentile:2,98`, `range:0,10000`, or `minmax` for the image's own least and greatest value.

        Raises:
            ConfigError: it is none of these.
        """
        kind, _, numbers = ("percentile:0,100" if text == "minmax" else text).partition(":")
        try:
            low, high = map(float, numbers.split(","))
        except ValueError:
            low = high = np.nan
        percentile = kind == "percentile"
        least, greatest = (0, 100) if percentile else np.finfo(np.float32).max * np.array([-1, 1])
        if kind not in ("percentile", "range") or not least <= low < high <= greatest:
            raise ConfigError(
                f"stretch={text}: expected percentile:2,98 (two of 0..100), minmax, or range:0,10000, the lower first"
            )
        return cls(low, high, percentile)

    def __call__(self, values: np.ndarray, nodata: float | None = None) -> np.ndarray:
        """Numbers of any shape -> uint8 of the same shape; an image of one value becomes black.

        Raises:
            DataError: none of them is a number other than nodata.
        """
        values = values.astype(np.result_type(values, np.float32), copy=False)
        number = values.dtype.type
        with np.errstate(over="ignore"):  # far beyond an end is beyond it
            valid = np.isfinite(values)
            if nodata is not None:
                valid &= values != number(nodata)
            if not valid.any():
                raise DataError("holds no value; all of it is NaN, infinite or nodata")
            ends = np.percentile(values[valid], (self.low, self.high)) if self.percentile else (self.low, self.high)
            low, high = map(number, ends)
            width = max(high - low, np.finfo(np.float32).tiny)  # of a single value it is 0
            shares = (np.where(valid, values, low) - low) / width
        return np.where(valid, np.rint(np.clip(shares, 0, 1) * _WHITE), _BLACK).astype(np.uint8)


DEFAULT_STRETCH = Stretch(2, 98)


def read_image(path: str | Path, *, stretch: Stretch = DEFAULT_STRETCH) -> np.ndarray:
    """An image file as (H, W, 3) uint8 RGB.

    Args:
        path: a JPEG, PNG, TIFF or another file that OpenCV decodes; of several pages the first.
        stretch: for what is not 8-bit.

    Raises:
        DataError: no such file, not an image that can be decoded, one of two or more than four bands, of more than
            `MAX_PIXELS`, or without any value.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"image={path}: no such file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"image={path}: cannot be read ({error.strerror or error})") from error
    try:
        if content[:4] in _TIFF:
            return _read_tiff(content, stretch)
        _refuse_too_large(_size(content))
        pixels = _decoded(content, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
        return rgb(_red_first(pixels), stretch=stretch)
    except DataError as error:
        raise DataError(f"image={path}: {error}") from error


def rgb(pixels: np.ndarray, *, stretch: Stretch = DEFAULT_STRETCH, nodata: float | None = None) -> np.ndarray:
    """An array as (H, W, 3) uint8 RGB.

    Args:
        pixels: (H, W) or (H, W, C) with C of 1, 3 (RGB) or 4 (the last is left out); bool or numbers.
        stretch: for what is neither uint8 nor bool.
        nodata: the number that stands for no value.

    Raises:
        DataError: it has another shape, no pixel, or holds no numbers.
    """
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in (2, 3) or channels not in (1, 3, 4) or not pixels.size or pixels.dtype.kind not in "buif":
        raise DataError(
            f"got an array {pixels.shape} {pixels.dtype}, expected (H, W) or (H, W, C) of numbers with C = 1, 3 or 4"
        )
    pixels = pixels.reshape(*pixels.shape[:2], channels)[..., :3]
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * _WHITE
    elif pixels.dtype != np.uint8:
        pixels = stretch(pixels, nodata)
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)


@dataclass(frozen=True, slots=True)
class _Page:
    """What the first page of a TIFF says about itself."""

    size: tuple[int, int]  # (height, width)
    bands: int
    alpha_over: bool  # 8-bit colours that OpenCV would multiply by their alpha
    nodata: float | None

    @classmethod
    def of(cls, content: bytes) -> _Page:
        header_length = 16 if 43 in content[2:4] else 8  # BigTIFF has the longer one
        try:
            with warnings.catch_warnings(action="ignore"):  # about tags that Pillow does not know
                tags = ImageFileDirectory_v2(content[:header_length])
                file = io.BytesIO(content)
                file.seek(tags.next)
                tags.load(file)
                return cls(
                    size=(int(tags[_HEIGHT]), int(tags[_WIDTH])),
                    bands=int(tags.get(_BANDS, 1)),
                    alpha_over=set(tags.get(_BITS, ())) == {8} and tags.get(_EXTRA) == _UNASSOCIATED_ALPHA,
                    nodata=_number(tags.get(_NODATA)),
                )
        except Exception as error:  # of any kind: a damaged file is parsed until something does not fit
            raise _undecodable() from error


def _read_tiff(content: bytes, stretch: Stretch) -> np.ndarray:
    page = _Page.of(content)
    _refuse_too_large(page.size)
    if page.alpha_over:
        pixels = _straight(content)
        return rgb(pixels[..., : 1 if page.bands == 2 else 3])
    if page.bands not in (1, 3, 4):
        raise DataError(
            f"has {page.bands} bands, expected 1, 3 or 4; choose three, as by "
            "gdal_translate -b 4 -b 3 -b 2 IN.tif OUT.tif"
        )
    return rgb(_red_first(_decoded(content, cv2.IMREAD_UNCHANGED)), stretch=stretch, nodata=page.nodata)


def _number(text: object) -> float | None:
    try:
        return float(str(text))
    except ValueError:
        return None


def _straight(content: bytes) -> np.ndarray:
    """The pixels of a TIFF with the colours as they are stored, whatever their alpha."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content)) as image:
            return np.array(image)
    except Exception as error:  # of any kind, as above
        raise _undecodable() from error


def _size(content: bytes) -> tuple[int, int]:
    """(height, width) as the file's header says; (0, 0) where Pillow does not know the format."""
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content)) as image:
            if image.format == "PNG":
                image.verify()  # else libpng reports damage by a line of its own
            return image.height, image.width
    except Image.DecompressionBombError as error:
        raise DataError(f"has too many pixels, expected at most {MAX_PIXELS:,}; cut it into tiles") from error
    except UnidentifiedImageError as error:
        if content.startswith(_PNG):
            raise _undecodable() from error
        return 0, 0  # whether it is an image, the decoder says
    except Exception as error:  # of any kind, as above
        raise _undecodable() from error


def _refuse_too_large(size: tuple[int, int]) -> None:
    height, width = size
    if height * width > MAX_PIXELS:
        raise DataError(
            f"has {width:,} x {height:,} = {height * width:,} pixels, expected at most {MAX_PIXELS:,}; "
            "cut it into tiles"
        )


def _decoded(content: bytes, flags: int) -> np.ndarray:
    """The pixels as OpenCV orders them; what it logs about them is left out."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), flags) if content else None
    except cv2.error as error:
        raise _undecodable() from error
    finally:
        cv2.utils.logging.setLogLevel(level)
    if pixels is None:
        raise _undecodable()
    return pixels


def _red_first(pixels: np.ndarray) -> np.ndarray:
    if pixels.ndim == 2:
        return pixels
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if pixels.dtype == np.uint8 else pixels[..., 2::-1]


def _undecodable() -> DataError:
    return DataError("cannot be decoded; expected a PNG, JPEG or TIFF file")

"""TIFF files that neither OpenCV nor Pillow writes: any number of bands of any type, uncompressed."""

from __future__ import annotations

import struct

import numpy as np

KIND = {"u": 1, "i": 2, "f": 3}
SHORT, LONG = 3, 4


def tiff(
    pixels_HWC: np.ndarray, *, extra: int = 0, nodata: str | None = None, size: tuple[int, int] | None = None
) -> bytes:
    """A file of one strip.

    Args:
        pixels_HWC: of any number of bands.
        extra: what bands beyond the colours are: 0 unspecified, 1 or 2 associated or unassociated alpha.
        nodata: GDAL's tag.
        size: (height, width) that the header claims, if not that of the pixels.
    """
    height, width = size or pixels_HWC.shape[:2]
    bands, content = pixels_HWC.shape[2], pixels_HWC.tobytes()
    colours = 3 if bands >= 3 else 1
    tags: list[tuple[int, int, list[int] | str]] = [
        (256, LONG, [width]),
        (257, LONG, [height]),
        (258, SHORT, [8 * pixels_HWC.itemsize] * bands),
        (259, SHORT, [1]),
        (262, SHORT, [2 if colours == 3 else 1]),
        (273, LONG, [8]),
        (277, SHORT, [bands]),
        (278, LONG, [height]),
        (279, LONG, [len(content)]),
        (284, SHORT, [1]),
        (339, SHORT, [KIND[pixels_HWC.dtype.kind]] * bands),
    ]
    if bands > colours:
        tags.insert(-1, (338, SHORT, [extra] * (bands - colours)))
    if nodata is not None:
        tags.append((42113, 2, nodata))
    start = 8 + len(content)
    after = start + 2 + 12 * len(tags) + 4
    directory, tail = struct.pack("<H", len(tags)), b""
    for tag, kind, values in tags:
        packed = (
            values.encode() + b"\0"
            if isinstance(values, str)
            else struct.pack(f"<{len(values)}{'H' if kind == SHORT else 'I'}", *values)
        )
        count = len(packed) if isinstance(values, str) else len(values)
        field = packed.ljust(4, b"\0")
        if len(packed) > 4:
            field = struct.pack("<I", after + len(tail))
            tail += packed
        directory += struct.pack("<HHI", tag, kind, count) + field
    return b"II*\0" + struct.pack("<I", start) + content + directory + struct.pack("<I", 0) + tail

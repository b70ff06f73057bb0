"""Tiles of ground texture, ripples and sensor noise: made once, then cropped and mirrored at random.

Integer arithmetic only, so that every machine makes the same tiles.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from sbanet.data.scenes.dice import Dice

_TILE_SEED = 20250101
_MARGIN = 3 / 2


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Roughly Gaussian whole numbers, standard deviation 148: sums of eight uniform ones (Irwin-Hall)."""
    return rng.integers(-90, 91, size=(8, *shape), dtype=np.int32).sum(axis=0)


def _clouds(rng: np.random.Generator, side: int, cells: tuple[int, ...]) -> np.ndarray:
    """(side, side) int32 value noise around 0: octaves of about `cells` blobs across, all equally strong."""
    total = np.zeros((side, side), np.int32)
    for count in cells:
        grid = np.clip(_normal(rng, (count, count)) // 4 + 128, 0, 255).astype(np.uint8)
        total += cv2.resize(grid, (side, side), interpolation=cv2.INTER_LINEAR_EXACT).astype(np.int32) - 128
    return total


def _signed(field: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A signed field as two of uint8: what to add, and what to take away."""
    return np.clip(field, 0, 255).astype(np.uint8), np.clip(-field, 0, 255).astype(np.uint8)


@lru_cache(maxsize=8)
def ground_tile(side: int, strength: int) -> tuple[np.ndarray, np.ndarray]:
    """Mottled ground for a canvas of `side` pixels; `strength` is its contrast in grey levels.

    Returns:
        Two (S, S, 3) uint8 arrays, S > side: what to add and what to subtract.
    """
    rng = np.random.Generator(np.random.PCG64([_TILE_SEED, 1]))
    tile = int(side * _MARGIN)
    light = _clouds(rng, tile, (5, 14, 40, 120))
    tint = _clouds(rng, tile, (4, 9))
    channels = np.stack([light + tint // 2, light, light - tint // 3], axis=-1)
    return _signed(channels * strength // 72)


@lru_cache(maxsize=8)
def ripple_tile(side: int, strength: int, upright: bool) -> tuple[np.ndarray, np.ndarray]:
    """Waves that run across or `upright`, for a canvas of `side` pixels; returns as `ground_tile`."""
    rng = np.random.Generator(np.random.PCG64([_TILE_SEED, 2]))
    tile = int(side * _MARGIN)
    swell = _clouds(rng, tile, (3, 7))
    grid = np.clip(_normal(rng, (90, 28)) // 4 + 128, 0, 255).astype(np.uint8)
    waves = cv2.resize(grid, (tile, tile), interpolation=cv2.INTER_LINEAR_EXACT).astype(np.int32) - 128
    field = (swell + (waves if not upright else waves.T)) * strength // 72
    return _signed(np.repeat(field[..., None], 3, axis=-1))


@lru_cache(maxsize=8)
def noise_tile(side: int, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Sensor noise of standard deviation `sigma` grey levels, mostly common to the channels; faint clouds.

    The clouds weather the flat paint of the objects. Returns as `ground_tile`.
    """
    rng = np.random.Generator(np.random.PCG64([_TILE_SEED, 3]))
    tile = int(side * _MARGIN) + 16
    gain = round(sigma * 1024)
    shared = _normal(rng, (tile, tile, 1)) * 4
    single = _normal(rng, (tile, tile, 3)) * 3
    weather = _clouds(rng, tile, (24, 60)) * 11  # clouds of two octaves deviate by about 33: a half of the noise
    # sqrt(4^2 + 3^2) = 5 keeps the deviation at 148 * 5
    return _signed((shared + single + weather[..., None]) * gain // (148 * 5 * 1024))


def crop(dice: Dice, tile: tuple[np.ndarray, np.ndarray], side: int) -> tuple[np.ndarray, np.ndarray]:
    """The same random window of both halves of a tile; views, no copies."""
    room = tile[0].shape[0] - side
    y, x = dice.integer(0, room), dice.integer(0, room)
    return tile[0][y : y + side, x : x + side], tile[1][y : y + side, x : x + side]


def apply(image: np.ndarray, window: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Add a window of a tile to an image, saturating."""
    return cv2.subtract(cv2.add(image, window[0]), window[1])

"""One procedural aerial scene: a picture, the map of its objects, and what can be said about them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sbanet.data.grammar import Instance
from sbanet.data.scenes import texture
from sbanet.data.scenes.composition import Composition
from sbanet.data.scenes.config import SceneConfig
from sbanet.data.scenes.dice import Dice
from sbanet.data.scenes.sketch import Canvas, count_words, downsample_labels, instance_numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A drawn scene.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        instance_map: (H, W) uint8: 0 = background, k = a visible pixel of instance k - 1.
        instances: boxes and areas are those of the visible pixels, colours and shapes as drawn.
    """

    image: np.ndarray
    instance_map: np.ndarray
    instances: list[Instance]


def render_scene(seed: int, index: int, config: SceneConfig) -> Scene:
    """Draw one top-down aerial scene, a function of its arguments alone.

    Only uint8 and integer image operations and element-wise double arithmetic are used: every machine, rank
    and worker gets the same bytes.

    Args:
        seed: the data set's seed, at least 0.
        index: the scene's number, at least 0.
        config: what scenes are like.

    Returns:
        The scene, H = W = config.size.

    Raises:
        ValueError: for a negative seed or index.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed={seed}, index={index}: expected whole numbers of 0 or more")
    dice = Dice(seed, index)
    composition = Composition(config, dice)
    canvas = composition.canvas
    _paint(composition, dice, config)
    labels = downsample_labels(canvas.labels)
    instance_map = instance_numbers(labels)
    return Scene(
        image=_photograph(canvas, dice, config),
        instance_map=instance_map,
        instances=_describe(composition, labels, instance_map, config.min_colour_share),
    )


def _paint(composition: Composition, dice: Dice, config: SceneConfig) -> None:
    """Shadows first, on the ground; then everything that stands on it."""
    canvas = composition.canvas
    reach = dice.uniform(*config.shadow_reach)
    objects = [sketch for _, sketch in composition.placed]
    for sketch in composition.scenery + objects:
        sketch.lay_ground(canvas)
        sketch.cast(canvas, reach)
    # the sky lights shadows a little bluer than the sun does
    keep = np.array([1 - config.shadow, 1 - 0.97 * config.shadow, 1 - 0.9 * config.shadow])
    cv2.copyTo(cv2.LUT(canvas.image, _table(keep, 0)), canvas.shade, canvas.image)
    for sketch in composition.scenery:
        sketch.render(canvas, 0)
    for number, sketch in enumerate(objects, start=1):
        sketch.render(canvas, number)


def _photograph(canvas: Canvas, dice: Dice, config: SceneConfig) -> np.ndarray:
    """What a camera makes of the canvas: (H, W, 3) uint8."""
    image = cv2.resize(canvas.image, (config.size, config.size), interpolation=cv2.INTER_AREA)
    image = cv2.GaussianBlur(image, (3, 3), max(dice.uniform(*config.blur), 1e-3))
    gain = np.full(3, dice.uniform(*config.brightness))
    cast = np.array([dice.integer(-config.colour_cast, config.colour_cast) for _ in range(3)])
    image = cv2.LUT(image, _table(gain, cast))
    return texture.apply(image, texture.crop(dice, texture.noise_tile(config.size, config.noise), config.size))


def _table(gain: np.ndarray, offset: np.ndarray | int) -> np.ndarray:
    """(256, 1, 3) uint8 lookup table of `gain * value + offset`, one column a channel."""
    return np.clip(np.arange(256.0)[:, None] * gain + offset, 0, 255).astype(np.uint8)[:, None]


def _describe(
    composition: Composition, labels: np.ndarray, instance_map: np.ndarray, min_colour_share: float
) -> list[Instance]:
    """What can be said about each object, from its visible pixels."""
    instances = []
    words = count_words(labels, len(composition.placed))
    for number, (category, sketch) in enumerate(composition.placed, start=1):
        mask = (instance_map == number).view(np.uint8)
        x, y, width, height = cv2.boundingRect(mask)
        area = cv2.countNonZero(mask)
        ranked = sorted(words[number - 1].items(), key=lambda item: -item[1])
        colours = tuple(word for word, count in ranked if count >= min_colour_share * area)[:2]
        box = (float(x), float(y), float(x + width), float(y + height))
        instances.append(Instance(category=category, box=box, area=float(area), colours=colours, shape=sketch.shape))
    return instances

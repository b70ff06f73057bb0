"""A dataset in the layout of RefSegRS small enough for a test: a bright box on dark ground, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

SIZE = (40, 56)
"""Height and width of the images."""
SENTENCES = ("vehicle in the parking area", "light-duty vehicle driving on the road", "road marking")


def write_phrases(
    root: Path, samples: dict[str, int], images: str = "images", masks: str = "masks", suffix: str = ".tif"
) -> Path:
    """Write so many samples a split, each with an image and a mask of its own.

    Returns:
        The root.
    """
    for folder in (images, masks):
        (root / folder).mkdir(parents=True)
    rng = np.random.default_rng(5)
    number = 0
    for split, count in samples.items():
        lines = []
        for _ in range(count):
            number += 1
            mask = np.zeros(SIZE, np.uint8)
            top, left = (int(start) for start in rng.integers(2, 20, 2))
            mask[top : top + 12, left : left + 15] = 255
            image = np.where(mask[..., None], 200, 30).astype(np.uint8).repeat(3, 2)
            image[0, 0] = number
            cv2.imwrite(str(root / images / f"{number}{suffix}"), image)
            cv2.imwrite(str(root / masks / f"{number}{suffix}"), mask)
            lines.append(f"{number} {SENTENCES[number % len(SENTENCES)]}")
        (root / f"output_phrase_{split}.txt").write_text("\n".join(lines) + "\n")
    return root

"""Masks and images come back as they were, and the choice of samples is fair and repeatable."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from sbanet.analysis.gallery import Gallery
from sbanet.analysis.outcomes import OUTCOMES, outcomes
from sbanet.analysis.pictures import choose, data_uri, decode, read_image
from sbanet.analysis.rows import rows_of
from sbanet.analysis.runs import Run, RunFolderError


@pytest.fixture
def square() -> np.ndarray:
    mask = np.zeros((40, 60), bool)
    mask[10:20, 30:50] = True
    return mask


def test_decode_restores_the_mask(square: np.ndarray) -> None:
    counts = coco.encode(np.asfortranarray(square, dtype=np.uint8))["counts"].decode()
    np.testing.assert_array_equal(decode(counts, 40, 60), square)


def test_data_uri_is_a_jpeg_in_the_right_colours() -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 255
    head, _, body = data_uri(red).partition(",")
    assert head == "data:image/jpeg;base64"
    image = cv2.imdecode(np.frombuffer(base64.b64decode(body), np.uint8), cv2.IMREAD_COLOR)
    assert image[8, 8, 2] > 240
    assert image[8, 8, 0] < 20


def test_a_thumbnail_that_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_text("half")
    with pytest.raises(RunFolderError, match=r"0\.jpg: not a picture"):
        read_image(tmp_path / "0.jpg")


def test_choice_is_the_same_for_shuffled_rows(runs: dict[str, Run]) -> None:
    frame = runs["pwam"].predictions()
    images = set(frame["image"])
    chosen = choose(frame, images, count=5)
    assert chosen == choose(frame.sample(frac=1, random_state=3), images, count=5)
    assert list(chosen) == list(OUTCOMES)
    assert all(chosen.values())
    outcome = outcomes(frame)["outcome"].set_axis(frame["sample_id"])
    for name, samples in chosen.items():
        assert set(outcome[samples]) == {name}


def test_categories_take_turns_the_best_hit_first(runs: dict[str, Run]) -> None:
    frame = runs["sbanet"].predictions()
    hits = choose(frame, set(frame["image"]), count=5)["hit"]
    by_id = frame.set_index("sample_id")
    assert by_id.loc[hits, "category"].nunique() == 5
    iou = outcomes(frame)["iou"].set_axis(frame["sample_id"])
    assert iou[hits[0]] == iou.max()


def test_only_images_that_can_be_shown_are_chosen(runs: dict[str, Run]) -> None:
    chosen = choose(runs["sbanet"].predictions(), {"4"}, count=9)
    assert {sample.split("-")[0] for samples in chosen.values() for sample in samples} == {"scene4"}


def test_gallery_puts_all_models_side_by_side_and_repeats_nothing(runs: dict[str, Run]) -> None:
    gallery = Gallery(rows_of(list(runs.values()))[:2])
    sections = gallery.by_outcome(9)
    assert [section.title for section in sections] == [
        "Hits",
        "Loose masks",
        "Wrong objects",
        "Nothing found",
    ]
    cards = [card for section in sections for card in section.cards]
    assert len({card.sample_id for card in cards}) == len(cards)
    assert all([panel.name for panel in card.panels] == ["sbanet", "pwam"] for card in cards)
    assert all(panel.expression is None for card in cards for panel in card.panels)


def test_disagreements_are_the_widest_gaps(runs: dict[str, Run]) -> None:
    gallery = Gallery(rows_of(list(runs.values()))[:2])
    sections = gallery.disagreements(3)
    assert [section.title for section in sections] == [
        "Where they disagree: sbanet ahead of pwam",
        "Where they disagree: pwam ahead of sbanet",
    ]
    ious = [outcomes(run.predictions())["iou"] for run in runs.values()]
    showable = runs["sbanet"].predictions()["image"].isin(set(gallery.images))
    for sign, section in zip((1, -1), sections, strict=True):
        shown = [sign * (card.panels[0].iou - card.panels[1].iou) for card in section.cards]
        assert shown == sorted(shown, reverse=True)
        assert shown[0] == (sign * (ious[0] - ious[1]))[showable].max() > 0
    assert Gallery(gallery.rows[:1]).disagreements(3) == []


def test_disagreements_average_over_the_seeds(make_run: Callable[..., Run]) -> None:
    """One seed's blunder is no disagreement: the sample with the widest mean gap comes first."""
    own = [make_run(f"runs/{seed}", seed=seed, skill=0.9) for seed in (1, 2)]
    rows = rows_of([*own, make_run("runs/other", name="other", skill=0.2)])
    (card, *_) = Gallery(rows).disagreements(1)[0].cards
    ious = [outcomes(frame)["iou"] for row in rows for frame in row.frames]
    gap = ((ious[0] + ious[1]) / 2 - ious[2])[rows[0].predictions["image"].isin(set(Gallery(rows).images))]
    assert rows[0].predictions["sample_id"][gap.idxmax()] == card.sample_id


def test_a_control_shows_the_sentence_it_was_asked(runs: dict[str, Run]) -> None:
    model, _, control = rows_of(list(runs.values()))
    section = Gallery([model, control]).controls(2)
    assert section is not None
    for card in section.cards:
        own, other = card.panels
        assert own.outcome == "hit"
        assert own.expression is None
        assert other.expression not in (None, card.expression)

"""The page holds what it shows, asks nobody for anything, and believes no name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from sbanet.analysis.page import controls, render, write_page
from sbanet.analysis.rows import Row, rows_of
from sbanet.analysis.runs import Run

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Outline(HTMLParser):
    """Elements that are never closed, addresses, ids and visible text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.addresses += [values[key] or "" for key in ("src", "href", "action") if key in values]
        self.ids += [values["id"] or ""] if "id" in values else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        (self.scripts if self.open and self.open[-1] == "script" else self.text).append(data)


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture(scope="module")
def rows(runs: dict[str, Run]) -> list[Row]:
    return rows_of(list(runs.values()))


@pytest.fixture(scope="module")
def page(rows: list[Row]) -> str:
    return render(rows, "Two models", "network", pictures=2)


def test_everything_is_inside(page: str) -> None:
    parts = outline(page)
    outside = [address for address in parts.addresses if not address.startswith(("data:image/jpeg;base64,", "#"))]
    assert outside == []
    assert "link" not in parts.tags
    assert "default-src 'none'" in page
    assert page.count("plotly.js v") == 1


def test_links_lead_somewhere(page: str) -> None:
    parts = outline(page)
    links = {address[1:] for address in parts.addresses if address.startswith("#")}
    assert links == {"comparison", "skills", "curves", "more", "pictures", "runs"} == set(parts.ids)


def test_it_says_what_was_measured_and_how(page: str) -> None:
    text = " ".join(" ".join(outline(page).text).split())
    for words in (
        "Two models",
        "leads with",
        "protocol network",
        "48 expressions",
        "Does it listen?",
        "Pr@0.5",
    ):
        assert words in text
    for section in ("Hits", "Loose masks", "Wrong objects", "Nothing found", "Where they disagree"):
        assert section in text
    assert "asked: the" in text
    assert "config.model.alignment.num_queries" in text


def test_charts_hold_the_numbers(page: str) -> None:
    figures = [json.loads(text) for text in re.findall(r'<script type="application/json">(.*?)</script>', page)]
    assert len(figures) == 4
    costs, skills, loss, val = figures
    assert [(trace["name"], trace["x"]) for trace in costs["data"]] == [("sbanet", [1.2]), ("pwam", [1.2])]
    assert [trace["name"] for trace in skills["data"]] == ["sbanet", "pwam", "sbanet, wrong sentence"]
    assert len(skills["data"][0]["x"]) == 8
    assert [len(trace["x"]) for trace in loss["data"]] == [40, 40]
    assert max(val["data"][0]["y"]) > 1, "in percent"


def test_names_and_sentences_are_text(make_run: Callable[..., Run]) -> None:
    evil = "</script><script>alert(1)</script>"
    run = make_run(name="x", scenes=3)
    run.facts["name"] = evil
    path = run.folder / "predictions" / "test.parquet"
    pd.read_parquet(path).assign(expression=evil, category=evil, tags=[[evil]] * 12).to_parquet(path)
    parts = outline(render(rows_of([run]), evil, "native", pictures=1, remarks=[evil]))
    assert not any("alert(1)" in script and "u003c" not in script for script in parts.scripts)
    assert any("alert(1)" in text for text in parts.text)


def test_one_run_without_pictures_curves_or_controls(make_run: Callable[..., Run]) -> None:
    run = make_run(scenes=2)
    (run.folder / "metrics.csv").unlink()
    for thumbnail in (run.folder / "predictions" / "images").iterdir():
        thumbnail.unlink()
    parts = outline(render(rows_of([run]), "One", "network", pictures=3))
    assert set(parts.ids) == {"comparison", "skills", "more", "runs"}
    assert "img" not in set(parts.tags) - {"img"}
    assert "leads with" not in " ".join(parts.text)


def test_controls_say_what_the_model_keeps(rows: list[Row]) -> None:
    (control,) = controls(rows, "network")
    assert (control.name, control.model) == ("sbanet, wrong sentence", "sbanet")
    assert control.kept == pytest.approx(100 * control.score / control.model_score)


def test_write_page_makes_the_folder_and_refuses_controls_alone(rows: list[Row], tmp_path: Path) -> None:
    path = write_page(tmp_path / "deep" / "index.html", rows, pictures=0)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    with pytest.raises(ValueError, match="expected at least one that is no control"):
        write_page(path, rows[2:])

"""The page in a real browser: Debian's chromium without a screen, opened from the disk, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from sbanet.report import main

from .conftest import write_run

pytestmark = pytest.mark.slow

DRAWN = "return [...document.querySelectorAll('.chart')].every(chart => chart.querySelector('.main-svg'))"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Three models, two of them with two seeds, a control, a baseline."""
    folder = tmp_path_factory.mktemp("page with spaces")
    for name, skill, seeds in (("pwam", 0.4, (1, 2)), ("sbanet", 0.8, (1, 2)), ("iim", 0.6, (1,))):
        for seed in seeds:
            write_run(folder / "runs" / f"{name}{seed}", name=name, skill=skill, seed=seed, control=name == "sbanet")
    out = folder / "out.html"
    assert main([str(folder / "runs"), f"out={out}", "baseline=pwam", "pictures=2", "resamples=200"]) == 0
    return out.as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1280,1000",
        "--force-prefers-reduced-motion",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    yield browser
    browser.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, address: str) -> webdriver.Chrome:
    """The page with its charts drawn; nothing was logged on the way."""
    browser.get(address)
    WebDriverWait(browser, 60).until(lambda page: page.execute_script(DRAWN))
    return browser


def first_table(page: webdriver.Chrome) -> tuple[dict[str, WebElement], WebElement]:
    """The heads of the comparison by their titles, and the table."""
    table = page.find_element(By.CSS_SELECTOR, "#comparison table")
    return {head.text.split("\n")[0].strip(" ↕↑↓"): head for head in table.find_elements(By.TAG_NAME, "th")}, table


def column(table: WebElement, place: int) -> list[str]:
    return [row.find_elements(By.XPATH, "*")[place].text for row in table.find_elements(By.CSS_SELECTOR, "tbody tr")]


def test_it_opens_without_a_complaint_and_asks_nobody(page: webdriver.Chrome) -> None:
    assert page.get_log("browser") == []
    loaded = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in loaded if not name.startswith("data:")] == []


def test_every_plot_draws_its_traces(page: webdriver.Chrome) -> None:
    charts = page.execute_script(
        "return [...document.querySelectorAll('.chart')].map(chart => [chart.data.length, chart.clientHeight,"
        " chart.querySelectorAll('.trace path, .trace .point').length])"
    )
    assert len(charts) == 5, "changes, costs, skills, loss, val"
    assert all(traces >= 2 and height > 150 and marks >= traces for traces, height, marks in charts), charts


def test_every_picture_shows(page: webdriver.Chrome) -> None:
    widths = page.execute_script("return [...document.querySelectorAll('figure img')].map(i => i.naturalWidth)")
    assert len(widths) >= 20
    assert min(widths) >= 200
    page.find_element(By.CSS_SELECTOR, ".zoom").click()
    shown = page.find_element(By.CSS_SELECTOR, "dialog[open] img")
    assert shown.size["width"] > 500
    page.find_element(By.TAG_NAME, "dialog").click()
    assert not page.find_elements(By.CSS_SELECTOR, "dialog[open]")


def test_tables_sort_by_the_number_and_not_by_its_text(page: webdriver.Chrome) -> None:
    heads, table = first_table(page)
    place = list(heads).index("mIoU")
    button = heads["mIoU"].find_element(By.TAG_NAME, "button")
    for direction, reverse in (("descending", True), ("ascending", False)):
        button.click()
        assert heads["mIoU"].get_attribute("aria-sort") == direction
        values = [float(text.split(" ±")[0]) for text in column(table, place)]
        assert values == sorted(values, reverse=reverse)
        assert len(set(values)) == 4
    heads["Model"].find_element(By.TAG_NAME, "button").click()
    assert column(table, 0) == ["iim", "pwam", "sbanet", "sbanet, wrong sentence"]
    heads["Change of mIoU"].find_element(By.TAG_NAME, "button").click()
    assert column(table, list(heads).index("Change of mIoU"))[-1] == "-", "no value sorts last"

    everywhere = page.find_elements(By.CSS_SELECTOR, "#more table")
    everywhere[-1].find_elements(By.CSS_SELECTOR, "thead button")[1].click()
    counts = column(everywhere[-1], 1)
    assert len({len(text) for text in counts}) > 1, "texts and numbers sort differently"
    assert [int(text) for text in counts] == sorted(map(int, counts), reverse=True)


def test_it_fits_a_telephone_and_a_dark_room(page: webdriver.Chrome, tmp_path: Path) -> None:
    light = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    WebDriverWait(page, 30).until(lambda page: page.execute_script(DRAWN))
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert page.execute_script("return getComputedStyle(document.body).backgroundColor") != light
    ink = page.execute_script("return document.querySelector('.chart').layout.font.color")
    assert ink == page.execute_script("return getComputedStyle(document.documentElement).getPropertyValue('--ink')")
    assert page.get_log("browser") == []

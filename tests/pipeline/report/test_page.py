"""The report in a real browser: slider, charts, layout, and no requests."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page

from drawn_run import draw_run
from progan.pipeline.report.page import write_report

WORDS = ("growth.last=16", "growth.fade_kimg=0.3", "growth.steady_kimg=0.3", "ticks.kimg=0.05",
         "ticks.samples_every=2", "ticks.grid=3")  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run in its last stage."""
    folder = tmp_path_factory.mktemp("report")
    return write_report(draw_run(folder / "run", *WORDS, until=(16, 200)))


@pytest.fixture
def open_page(browser: Browser, report: Path) -> Iterator[Page]:
    """The page on a desktop; fails if it logs an error or loads anything else."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: heard.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_selector("#charts path.line")
    yield page
    assert [entry for entry in heard if not entry.startswith("data:")] == [report.as_uri()]
    context.close()


def picture(page: Page, selector: str) -> Image.Image:
    return Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")


def colours(image: Image.Image) -> int:
    return len(image.getcolors(image.width * image.height) or [])


def test_slider_changes_the_pictures(open_page: Page) -> None:
    last = picture(open_page, "#mosaic")
    assert "16 × 16, fading in, alpha 0.67" in open_page.locator("#where").inner_text()
    open_page.locator("#slider").focus()
    open_page.keyboard.press("Home")
    assert "4 × 4, fully in" in open_page.locator("#where").inner_text()
    first = picture(open_page, "#mosaic")
    assert colours(first) > 50 and colours(last) > colours(first)
    assert ImageChops.difference(first, last).getbbox() is not None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible(browser: Browser, report: Path, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(report.as_uri())
    page.wait_for_selector("#charts path.line")
    found = Axe().run(page)
    assert not found.violations_count, found.generate_report()
    context.close()


def test_stages_with_one_tick_are_joined_dots(browser: Browser, tmp_path: Path) -> None:
    words = (*WORDS, "ticks.kimg=5")
    page = browser.new_page()
    page.goto(write_report(draw_run(tmp_path / "run", *words)).as_uri())
    page.wait_for_selector("#charts circle.point")
    speed = page.locator("#charts article", has_text="Speed")
    assert speed.locator("circle.point").count() == 3
    assert speed.locator("path.line").count() == 1
    page.close()


def test_stacked_stages_show_their_phases(browser: Browser, tmp_path: Path) -> None:
    words = (*WORDS, "growth.mode=stacked")
    report = write_report(draw_run(tmp_path / "run", *words, until=(16, 200)))
    page = browser.new_page()
    page.goto(report.as_uri())
    page.wait_for_selector("#charts path.line")
    assert "16 × 16, separate" in page.locator("#where").inner_text()
    tip = page.locator("#plan-chart .tip")
    # The run has 1,500 images; stage 8 has those from 300 to 900, stage 16 those after it.
    width = page.locator("#plan-chart svg.chart").bounding_box()["width"]  # type: ignore[index]
    for images, said in ((450, "8 × 8, separate"), (750, "8 × 8, joint"), (1400, "16 × 16, joint")):
        page.locator("#plan-chart svg.chart").hover(position={"x": images / 1500 * width, "y": 100})
        assert said in tip.inner_text() and "alpha 1.00" in tip.inner_text()
    assert page.locator("#stages th").all_inner_texts()[3:5] == ["Separate", "Joint"]
    assert "Shaded: new layers are trained separately." in page.locator("#curves").inner_text()
    page.close()


def test_play_runs_from_the_first_picture_to_the_last(open_page: Page) -> None:
    open_page.evaluate("moments = []")
    open_page.evaluate("document.addEventListener('moment', (event) => moments.push(event.detail))")
    open_page.get_by_role("button", name="Play").click()
    open_page.wait_for_selector("#play[aria-pressed=false]")
    moments = open_page.evaluate("moments")
    assert moments[0] == 100 and moments[-1] == 1100 and moments == sorted(moments)


def test_latent_is_chosen_by_pointer_or_keys(open_page: Page) -> None:
    one = picture(open_page, "#one")
    open_page.get_by_role("button", name="Latent 5").click()
    open_page.keyboard.press("ArrowDown")
    assert open_page.locator("#one-number").inner_text() == "8"
    assert ImageChops.difference(one, picture(open_page, "#one")).getbbox() is not None


def test_hovering_shows_values_stage_and_phase(open_page: Page) -> None:
    losses = open_page.locator("#charts article", has_text="Losses")
    # In the middle of the fade to 8x8, which goes from 300 to 600 images of 1,500.
    losses.locator("svg.chart").hover(position={"x": 188, "y": 80})
    tip = losses.locator(".tip")
    assert "8 × 8, fading in" in tip.inner_text() and "alpha 0." in tip.inner_text()
    values = losses.locator(".legend b").all_inner_texts()
    assert len(values) == 2 and all(abs(float(value)) < 5 for value in values)
    other = open_page.locator("#charts article", has_text="Hitherto unknown")
    assert 0 < float(other.locator(".legend b").inner_text()) < 1


def test_arrow_keys_announce_values_to_screen_readers(open_page: Page) -> None:
    open_page.locator("#charts article", has_text="Alpha").locator("svg.chart").focus()
    open_page.keyboard.press("End")
    assert open_page.locator("#spoken").inner_text() == "1.1 kimg: alpha 0.6667"


def test_charts_zoom_to_a_stage(open_page: Page) -> None:
    line = open_page.locator("#charts path.line").first
    whole = line.get_attribute("d")
    open_page.locator("#zoom").get_by_text("8", exact=True).click()
    assert line.get_attribute("d") != whole


def test_hovering_over_the_plan_shows_stage_and_phase(open_page: Page) -> None:
    open_page.locator("#plan-chart svg.chart").hover(position={"x": 20, "y": 100})
    assert "4 × 4, steady" in open_page.locator("#plan-chart .tip").inner_text()


def test_dark_mode_is_dark_and_the_page_fits_a_phone(open_page: Page) -> None:
    light = picture(open_page, "body").getpixel((2, 2))
    open_page.emulate_media(color_scheme="dark")
    dark = picture(open_page, "body").getpixel((2, 2))
    assert isinstance(light, tuple) and isinstance(dark, tuple)
    assert min(light) > 230 and max(dark) < 40
    open_page.set_viewport_size({"width": 390, "height": 844})
    assert open_page.evaluate("document.documentElement.scrollWidth") == 390
    shot = open_page.screenshot(full_page=True)
    assert colours(Image.open(io.BytesIO(shot)).convert("RGB")) > 200


@pytest.mark.parametrize("until", [(4, 0), (4, 60), None])
def test_new_run_and_run_of_one_stage(
    until: tuple[int, int] | None, browser: Browser, tmp_path: Path
) -> None:
    words = (*WORDS, "growth.last=4", "growth.steady_kimg=0.1", "ticks.grid=1")
    path = write_report(draw_run(tmp_path / "a<b>&run", *words, until=until))
    page = browser.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("#plan-chart path")
    assert page.locator("h1").inner_text() == "a<b>&run"
    assert page.locator("text=No pictures yet").count() == (2 if until == (4, 0) else 0)
    assert heard == []
    page.close()

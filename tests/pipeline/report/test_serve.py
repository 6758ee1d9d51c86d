"""The served report follows a run in a real browser, and the reader stays in place."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from drawn_run import advance, draw_run
from progan.pipeline.errors import ConfigError
from progan.pipeline.report.serve import ReportServer

WORDS = ("growth.last=16", "growth.fade_kimg=0.3", "growth.steady_kimg=0.3", "ticks.kimg=0.05",
         "ticks.samples_every=2", "ticks.grid=3")  # fmt: skip

SECONDS = 30_000
"""That a page may take to follow, in milliseconds"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ReportServer]:
    """Of a run at the beginning of its last stage."""
    with ReportServer(draw_run(tmp_path / "run", *WORDS, until=(16, 100)), port=0) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield found
        found.shutdown()


@pytest.fixture
def page(browser: Browser, server: ReportServer) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(server.url)
    expect(page.locator("#live")).to_have_text("live")
    yield page
    assert not errors
    context.close()


def test_newest_pictures_and_figures_appear_by_themselves(page: Page, server: ReportServer) -> None:
    assert "0.1 kimg of this stage" in page.locator("#where").inner_text()
    assert "1.00 of 1.50 kimg" in page.locator("#facts").inner_text()
    advance(server.run, 16, 300)
    expect(page.locator("#where")).to_contain_text("0.3 kimg of this stage", timeout=SECONDS)
    assert "1.20 of 1.50 kimg" in page.locator("#facts").inner_text()


def test_reader_stays_at_the_chosen_moment_latent_and_part(
    page: Page, server: ReportServer
) -> None:
    page.locator("#slider").focus()
    page.keyboard.press("Home")
    page.get_by_role("button", name="Latent 5").click()
    page.locator("#zoom").get_by_text("8", exact=True).click()
    top = page.evaluate("window.scrollY")
    assert top > 0
    advance(server.run, 16, 300)
    expect(page.locator("#facts")).to_contain_text("1.20 of 1.50 kimg", timeout=SECONDS)
    expect(page.locator("#slider")).to_have_attribute("max", "10", timeout=SECONDS)
    assert "4 × 4" in page.locator("#where").inner_text()
    assert page.locator("#one-number").inner_text() == "5"
    expect(page.locator("#zoom [aria-pressed=true]")).to_have_text("8")
    assert abs(page.evaluate("window.scrollY") - top) < 2


def test_page_says_when_its_server_is_gone(page: Page, server: ReportServer) -> None:
    server.shutdown()
    server.server_close()
    expect(page.locator("#live")).to_contain_text("live no longer", timeout=SECONDS)


def test_only_pages_of_this_machine_are_answered(server: ReportServer) -> None:
    request = urllib.request.Request(server.url, headers={"Host": "evil.example"})
    with pytest.raises(urllib.error.HTTPError, match="421"):
        urllib.request.urlopen(request)


def test_port_that_is_taken_is_named(server: ReportServer) -> None:
    with pytest.raises(ConfigError, match=f"--port {server.server_port}: Address already in use"):
        ReportServer(server.run, server.server_port)

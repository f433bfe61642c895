"""A real browser, without a window, and a report to open in it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# What every page's videos say of the frames that they show, by the browser's own account.
WATCH = """
window.seen = new Map();
addEventListener("DOMContentLoaded", () => document.querySelectorAll("video").forEach((video) => {
  const see = (_, told) => { window.seen.set(video, told.mediaTime); video.requestVideoFrameCallback(see); };
  video.requestVideoFrameCallback(see);
}));
window.shown = () => [...document.querySelectorAll("video")]
  .filter((video) => video.src && video.offsetParent)
  .map((video) => Math.round(window.seen.get(video) * 25));
"""


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """The folder of a report of 60 frames, 25 a second, with keyframes every 6 and two edits (tests/reported.py)."""
    folder = tmp_path_factory.mktemp("report")
    snakemake = Path(sys.executable).with_name("snakemake")
    target = "work/environments/report.json"
    subprocess.run([snakemake, "--cores", "2", "--quiet", "all", "--", target], cwd=ROOT, check=True)
    prefix = json.loads((ROOT / target).read_text())["prefix"]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT / "scripts", ROOT / "tests")))}
    subprocess.run([f"{prefix}/bin/python", ROOT / "tests" / "reported.py", folder], env=environ, check=True)
    return folder / "report"


@pytest.fixture(scope="session")
def chromium():
    if CHROMIUM is None:
        pytest.skip("no Chromium here, and it could not be installed (make chromium)")
    with sync_playwright() as playwright:
        # Its own sandbox cannot be had by root in a container; the page is ours.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def window(chromium):
    """A function that opens a file and returns its page; what went wrong in it fails the test at its end."""
    wrong, contexts = [], []

    def opened(path, width=1400, height=900, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.add_init_script(WATCH)
        page.on("console", lambda said: wrong.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url) if not own(request.url) else None)
        address = path.as_uri()
        own = lambda url: url == address or url.startswith(("blob:", "data:"))  # noqa: E731
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


@pytest.fixture
def player(window, report):
    """The page of the clip, once its first frames are to be seen."""
    page = window(report / "ball" / "index.html")
    settle(page)
    return page


def settle(page):
    """Wait until all that is shown has arrived at the frame that was asked for; return its number."""
    page.wait_for_function("() => document.querySelector('#player').dataset.settled !== undefined")
    frame = int(page.locator("#player").get_attribute("data-settled"))
    page.wait_for_function("(frame) => window.shown().every((shown) => shown === frame)", arg=frame)
    return frame

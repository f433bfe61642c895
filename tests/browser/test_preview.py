"""The page of a preview, as a user sees it. What goes wrong (console, network) fails it: see `window`."""

import pytest


@pytest.mark.parametrize("width", [390, 1400])
def test_pictures_are_shown_and_none_overflows(window, report, width):
    page = window(report / "ball" / "preview.html", width=width)
    widths = page.eval_on_selector_all("img", "images => images.map((image) => image.naturalWidth)")
    assert len(widths) == 11 + 2 + 5  # keyframes; source and mask; seeds
    assert min(widths) > 0
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_click_on_a_line_marks_all_of_it_to_be_copied(window, report):
    page = window(report / "ball" / "preview.html")
    page.get_by_text("edit: {seed: 3}").click()
    assert page.evaluate("getSelection().toString()") == "edit: {seed: 3}"

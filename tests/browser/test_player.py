"""The player, as a user handles it."""

import re

import pytest
from playwright.sync_api import expect

from conftest import settle

KEYFRAMES = [*range(0, 60, 6), 59]
OVERLAYS = {"mask": "m", "motion": "o", "confidence": "c", "difference": "d"}


def frame(page) -> int:
    return int(page.locator("#frame").inner_text())


def divider(page) -> float:
    """Where it is, in percent of the picture's width, by what is seen."""
    line, screen = page.locator("#divider").bounding_box(), page.locator("#screen").bounding_box()
    return 100 * (line["x"] + line["width"] / 2 - screen["x"]) / screen["width"]


def scrub(page, share):
    """Click on the time line."""
    box = page.locator("#tracks svg").first.bounding_box()
    page.mouse.click(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


def play(page, until):
    page.keyboard.press("Space")
    page.wait_for_function(f"() => document.querySelector('#player').dataset.frame >= {until}")


# What goes wrong on the way (console, network) fails every test here: see `window`.


def test_it_opens_from_a_file_at_the_first_frame(player):
    assert frame(player) == 0
    assert player.evaluate("window.shown()") == [0, 0]
    expect(player.locator("h1")).to_have_text("ball")


def test_words_of_the_user_are_text(player):
    said = "<b>a green one</b><script>document.title = 'run'</script>"
    expect(player.locator("[role=radio][data-edit='0']")).to_contain_text(said)
    assert player.title() != "run"
    assert player.locator("b:text('a green one')").count() == 0


def test_the_divider_is_dragged_and_parts_source_and_edit(player):
    screen = player.locator("#screen").bounding_box()
    handle = player.locator("#divider span").bounding_box()
    player.mouse.move(handle["x"] + 18, handle["y"] + 18)
    player.mouse.down()
    player.mouse.move(screen["x"] + 0.75 * screen["width"], screen["y"] + 40, steps=5)
    player.mouse.up()
    assert divider(player) == pytest.approx(75, abs=0.5)
    player.mouse.move(screen["x"] + 10, screen["y"] + 40)
    assert divider(player) == pytest.approx(75, abs=0.5)  # it was let go
    clip = player.locator(".pane.edit").first.evaluate("pane => getComputedStyle(pane).clipPath")
    assert float(re.search(r"([\d.]+)%", clip)[1]) == pytest.approx(75, abs=0.5)


def test_the_divider_is_moved_by_keys_too_and_leaves_the_frame_alone(player):
    player.locator("#divider").focus()
    before = divider(player)
    player.keyboard.press("ArrowRight")
    assert divider(player) == pytest.approx(before + 2, abs=0.5)
    assert frame(player) == 0


def test_a_finger_moves_the_divider(window, report):
    page = window(report / "ball" / "index.html", width=390, height=844, has_touch=True, is_mobile=True)
    settle(page)
    screen = page.locator("#screen").bounding_box()
    page.touchscreen.tap(screen["x"] + 0.8 * screen["width"], screen["y"] + 40)
    assert divider(page) == pytest.approx(80, abs=1)


def test_both_show_the_same_frame_after_every_step_and_jump(player):
    for key, expected in [
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        (".", 3),
        (",", 2),
        ("ArrowLeft", 1),
        ("ArrowLeft", 0),
        ("ArrowLeft", 0),
    ]:
        player.keyboard.press(key)
        assert settle(player) == expected
    for share, expected in [(0.505, 30), (0.999, 59), (0.0, 0), (0.33, 19)]:
        scrub(player, share)
        assert settle(player) == expected
        assert player.evaluate("window.shown()") == [expected] * 2


def test_while_it_plays_they_are_within_one_frame_and_after_it_stops_at_the_same(player):
    # Looked at whenever the browser paints: by then both have said what they show.
    player.evaluate(
        """() => {
            window.apart = [];
            const look = () => {
                window.apart.push(Math.abs(window.shown()[0] - window.shown()[1]));
                requestAnimationFrame(look);
            };
            requestAnimationFrame(look);
        }"""
    )
    play(player, 40)
    player.keyboard.press("Space")
    assert settle(player) >= 40
    apart = player.evaluate("window.apart")
    assert sorted(apart)[len(apart) * 9 // 10] <= 1


def test_after_a_seek_while_it_plays_both_are_there(player):
    play(player, 5)
    scrub(player, 0.505)
    assert settle(player) == 30


def test_at_the_end_it_starts_again_or_stops(player):
    player.keyboard.press("End")  # the page's own key unless the player is used
    scrub(player, 0.95)
    settle(player)
    player.keyboard.press("Space")
    player.wait_for_function("() => document.querySelector('#player').dataset.frame < 30")
    player.keyboard.press("Space")
    settle(player)
    expect(player.locator("#play")).to_have_attribute("aria-pressed", "false")
    player.keyboard.press("r")
    scrub(player, 0.95)
    settle(player)
    player.keyboard.press("Space")
    expect(player.locator("#play")).to_have_attribute("aria-pressed", "true")
    expect(player.locator("#play")).to_have_attribute("aria-pressed", "false")
    assert settle(player) == 59


def test_it_is_paused_while_it_starts_again(player):
    scrub(player, 0.95)
    settle(player)
    play(player, 58)
    player.evaluate(
        """() => {
            document.querySelector("#source").dispatchEvent(new Event("ended"));
            document.body.dispatchEvent(new KeyboardEvent("keydown", { key: " ", bubbles: true }));
        }"""
    )
    assert settle(player) == 0
    expect(player.locator("#play")).to_have_attribute("aria-pressed", "false")


def test_it_plays_backwards_and_faster(player):
    scrub(player, 0.505)
    settle(player)
    player.keyboard.press("j")
    player.wait_for_function("() => document.querySelector('#player').dataset.frame < 20")
    player.keyboard.press("k")
    assert settle(player) < 20
    player.keyboard.press("l")
    player.keyboard.press("l")
    expect(player.locator("#speed")).to_have_value("2")
    player.wait_for_function("() => document.querySelector('#source').playbackRate === 2")
    player.keyboard.press("k")


def test_speed_is_set_by_keys(player):
    player.keyboard.press("-")
    expect(player.locator("#speed")).to_have_value("0.5")
    player.keyboard.press("+")
    player.keyboard.press("+")
    expect(player.locator("#speed")).to_have_value("2")


def test_keyframes_are_jumped_to(player):
    reached = []
    for _ in KEYFRAMES:
        player.keyboard.press("Shift+ArrowRight")
        reached.append(settle(player))
    assert reached == [*KEYFRAMES[1:], 59]
    player.locator("#previous").click()
    assert settle(player) == 54
    expect(player.locator("#mark")).to_have_text("keyframe")
    player.locator(".sheet:not([hidden]) .card", has_text="reference").click()
    assert settle(player) == 6
    expect(player.locator("#mark")).to_have_text("reference")


@pytest.mark.parametrize("name", OVERLAYS)
def test_an_overlay_is_switched_on_shows_the_same_frame_and_is_switched_off(player, name):
    layer = player.locator(f".overlay[data-layer={name}]")
    expect(layer).to_be_hidden()
    player.keyboard.press("Shift+ArrowRight")
    player.keyboard.press(OVERLAYS[name])  # while the other is still on its way
    expect(layer).to_be_visible()
    assert settle(player) == 6
    assert player.evaluate("window.shown()") == [6] * 3
    expect(player.locator("#legend")).to_be_visible()
    player.keyboard.press(OVERLAYS[name])
    expect(layer).to_be_hidden()


def test_views_show_what_they_say(player):
    source, edits = player.locator(".pane.source"), player.locator(".pane.edit")
    for key, seen in {
        "2": (True, True, False),
        "3": (True, False, False),
        "4": (False, True, False),
        "5": (True, True, True),
        "1": (True, True, False),
    }.items():
        player.keyboard.press(key)
        settle(player)
        assert (source.is_visible(), *(edits.nth(n).is_visible() for n in range(2))) == seen
    player.keyboard.press("5")
    scrub(player, 0.505)
    settle(player)
    assert player.evaluate("window.shown()") == [30] * 3


def test_an_alarm_leads_to_its_frame_of_its_edit(player):
    expect(player.locator(".top .badge")).to_have_text(re.compile("alarm"))
    expect(player.locator(".note.bad")).to_contain_text("Warp error in A")
    player.locator(".note.bad .go").first.click()
    assert settle(player) in (29, 30)
    expect(player.locator("[role=radio][data-edit='1']")).to_have_attribute("aria-checked", "true")


def test_plots_follow_the_frame_and_are_clicked(player):
    plot = player.locator("[data-plot=mask_iou]")
    box = plot.locator(".frame").bounding_box()
    plot.locator(".frame").click(position={"x": 0.505 * box["width"], "y": 20})
    assert settle(player) == 30
    expect(plot.locator("output")).to_have_text(re.compile(r"^[01]\.\d{3} IoU$"))


def test_a_table_is_sorted_by_a_column_both_ways(player):
    table = player.locator(".metrics")
    head = table.locator("thead button", has_text="ball.blink")

    def values():
        cells = table.locator("tbody tr:not(.missing) td:nth-child(4)")
        return [float(text) for text in cells.evaluate_all("cells => cells.map((c) => c.dataset.value)") if text]

    head.click()
    assert values() == sorted(values(), reverse=True)
    head.click()
    assert values() == sorted(values())
    expect(table.locator("tbody tr").last).to_have_class("missing")


def test_the_summary_leads_to_the_page_and_sorts(window, report):
    page = window(report / "summary.html")
    names = page.locator("tbody th")
    page.locator("thead button", has_text="Warp error in A").click()
    assert names.all_inner_texts() == ["ball.blink", "ball"]
    page.locator("thead button", has_text="Warp error in A").click()
    assert names.all_inner_texts() == ["ball", "ball.blink"]
    assert page.locator("tr.bad").count() == 1
    assert names.first.locator("a").evaluate("a => a.href") == (report / "ball" / "index.html").as_uri()


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [390, 1400])
def test_nothing_is_wider_than_the_window(window, report, width, scheme):
    for name in ("ball/index.html", "summary.html"):
        page = window(report / name, width=width, color_scheme=scheme)
        for view in "12345" if name.startswith("ball") else "1":
            page.keyboard.press(view)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            # Outside of what scrolls by itself, nothing is cut off either.
            cut = page.evaluate(
                """() => [...document.querySelectorAll("h1, h2, p, button, .plot, .card, .stage, .tracks, li")]
                    .filter((e) => e.offsetParent && !e.closest(".scroll, .choice, [hidden]"))
                    .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5)
                    .map((e) => e.outerHTML.slice(0, 80))"""
            )
            assert cut == []
        grounds = page.evaluate("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")
        assert (int(grounds[0]) < 64) == (scheme == "dark")


def test_it_is_used_by_keys_alone(player):
    """Every control is reached by tabulator, and says what it is."""
    seen = set()
    for _ in range(40):
        player.keyboard.press("Tab")
        seen.add(
            player.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        )
    assert {"Play", "One frame on", "Next keyframe", "Speed", "Divider", "Mask", "Time line"} <= seen

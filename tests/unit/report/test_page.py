"""The page and the summary: whole, by themselves, and safe whatever names and words say."""

import base64
import csv
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from clevam import alarms, benchmarks, measure, proxies, summary
from clevam.errors import UserError
from clevam.figures import LEARNT
from clevam.files import read_json, write_json
from clevam.page import DOUBTS
from reported import LIMITS, measured, painted, report, squares

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> {{ 7*7 }}"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    source, masks = squares(14)
    measured(folder, source, painted(source, masks, (20, 160, 60)), masks, "ball")
    measured(folder, source, source[::-1], masks, "ball.'\"&<wolf>")
    return report(folder, {"ball": HOSTILE, "ball.'\"&<wolf>": "the square → a wolf"})


def test_it_asks_for_no_other_file(page):
    text = re.sub(r'"http://www.w3.org/2000/svg"', "", page.read_text())
    assert "http:" not in text
    assert "https:" not in text
    assert not re.search(r"<(link rel=.stylesheet|script src|img src=.(?!data:)|iframe|object)", text)


def test_only_its_own_script_and_style_may_run(page):
    text = page.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    for tag in ("script", "style"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert " style=" not in text
    assert not re.search(r"<[^>]* on\w+=", re.sub(r'title="[^"]*"', "", text))


def test_words_are_text(page):
    text = page.read_text()
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in text
    data = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1]
    assert json.loads(data)["edits"][0]["words"] == HOSTILE


def test_names_are_quoted_in_addresses(page):
    assert 'href="../../out/ball.%27%22%26%3Cwolf%3E.mp4"' in page.read_text()


def test_what_is_the_same_in_two_edits_is_in_it_once(page):
    text = page.read_text()
    media = json.loads(re.search(r'id="media">(.*?)</script>', text, re.DOTALL)[1])
    edits = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])["edits"]
    assert edits[0]["media"]["source"] == edits[1]["media"]["source"]
    assert {name for edit in edits for name in edit["media"].values()} == set(media)


def test_it_says_what_was_not_measured_and_why(page):
    for name, key in (("LPIPS, blanked", "lpips"), ("CLIP-T", "clip"), ("CLIP-F", "clip")):
        why = rf"not measured: weights not available: write models.{key}: [^<]+, then `snakemake fetch --cores 1`"
        assert re.search(rf"{name}</th><td[^>]*>{why}", page.read_text())
    assert set(read_json(page.with_name("metrics.json"))["not_measured"]) == set(LEARNT)


def test_what_networks_saw_stands_beside_the_rest(tmp_path):
    source, masks = squares(14)
    measured(tmp_path, source, painted(source, masks, (20, 160, 60)), masks, "ball")
    seen = {"series": {"lpips": [12.5] + [None] * 13}, "summary": {"lpips": {"mean": 12.5, "worst": 12.5, "frame": 0}}}
    write_json(tmp_path / "seen.json", seen)
    page = report(tmp_path, {"ball": "a → b"}, seen="seen.json")
    told = read_json(page.with_name("metrics.json"))
    assert told["edits"]["ball"]["summary"]["lpips"]["mean"] == 12.5
    assert told["edits"]["ball"]["summary"]["exactness"]["mean"] == 1
    assert "lpips" not in told["not_measured"]
    assert re.search(r'data-value="12.5">12.5</td>', page.read_text())
    assert "Background LPIPS" in (tmp_path / "report/summary.html").read_text()
    with (tmp_path / "report/summary.tsv").open() as stream:
        (row,) = csv.DictReader(stream, delimiter="\t")
    assert (row["lpips"], row["clip_text"]) == ("12.5", "")


def test_whatever_may_be_doubtful_of_a_mask_is_said_in_words():
    identity = Path(measure.__file__).with_name("identity.py").read_text()
    assert {*re.findall(r'\.append\("(\w+)"\)', identity)} == {*DOUBTS}


def test_alarms_are_in_the_numbers_and_on_the_page_and_in_the_summary(page):
    edits = read_json(page.with_name("metrics.json"))["edits"]
    assert edits["ball"]["alarms"] == []
    assert {"background_psnr", "exactness"} <= {alarm["metric"] for alarm in edits["ball.'\"&<wolf>"]["alarms"]}
    assert '<tr class="bad">' in page.read_text()
    overview = page.parents[1] / "summary.html"
    assert 'href="ball/index.html"' in overview.read_text()
    assert '<tr class="bad">' in overview.read_text()
    with (page.parents[1] / "summary.tsv").open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert [row["result"] for row in rows] == ["ball", "ball.'\"&<wolf>"]
    assert rows[0]["alarms"] == ""
    assert rows[0]["exactness"] == "1"
    assert "Exactness" in rows[1]["alarms"]


def test_strict_names_what_is_red(page):
    with pytest.raises(UserError, match="report.strict: ball.*wolf.*: .*Background PSNR .* below 30.0"):
        summary.refuse([str(page.with_name("metrics.json"))])


def test_ten_seconds_stay_below_ten_megabytes(page):
    """Of the worst that there is, pictures of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)
    bits = 10 * (2 * proxies.RATE + 4 * proxies.OVERLAY_RATE)
    pictures = 3 * measure.MOST * len(proxies.jpeg(noise))
    assert (bits / 8 + pictures) * 4 / 3 < 10e6


def test_a_small_video_keeps_to_its_share_of_bits(tmp_path):
    facts, rng = {"time_base": [1, 25], "rate": [25, 1]}, np.random.default_rng(0)
    with proxies.video(tmp_path / "noise.mp4", facts, seconds=2) as write:
        for i in range(50):
            write(rng.integers(0, 256, (360, 640, 3), np.uint8), i)
    assert (tmp_path / "noise.mp4").stat().st_size * 8 < 2 * proxies.RATE * 2


def test_a_limit_is_held_against_the_worst_frame_and_null_is_no_limit():
    told = {"frames": {"expected": 1, "found": 1, "off": 0}, "summary": dict.fromkeys(LIMITS)}
    told["summary"]["mask_iou"] = {"mean": 0.9, "worst": 0.4, "frame": 3}
    (alarm,) = alarms.raised(told, LIMITS, lossless=True)
    assert alarm == {"metric": "mask_iou", "frame": 3, "text": "Mask steadiness 0.400, below 0.500 (frame 3)"}
    assert alarms.raised(told, LIMITS | {"mask_iou": None}, lossless=True) == []
    assert alarms.raised(told, LIMITS | {"mask_iou": 0.4}, lossless=True) == []


def test_times_and_memory_are_those_of_the_clips_own_jobs(tmp_path):
    head = "s\th:m:s\tmax_rss\tmax_vms\n"
    for path, line in {
        "edit/ball/0000.tsv": "2.5\t0:00:02\t861.5\t1\n",
        "out/ball.moon.mp4.tsv": "0.5\t0:00:00\t-\t-\n",
        "edit/ballroom/0000.tsv": "9\t0:00:09\t1\t1\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(head + line)
    found = list(benchmarks.jobs({"ball", "ball.moon"}, tmp_path))
    assert [(job.rule, job.of, job.seconds, job.memory) for job in found] == [
        ("edit", "ball/0000", 2.5, 861.5),
        ("out", "ball.moon.mp4", 0.5, None),
    ]

"""Removing results: inside the results' folders or not at all."""

import pytest

from clevam import prune
from clevam.errors import UserError


@pytest.fixture
def project(tmp_path):
    for path in ("out/dog.mp4", "out/cat.mp4", "edited/dog/000000.png", "dog.mp4", "mine/000000.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"1234")
    return tmp_path


def test_only_what_a_job_made_is_a_result(project):
    assert list(prune.results(project, lambda path: "dog" in path)) == ["edited/dog", "out/dog.mp4"]


def test_folders_that_it_leaves_empty_go_too(project):
    prune.remove(project, ["edited/dog/000000.png", "out/dog.mp4"])
    assert sorted(path.name for path in project.iterdir()) == ["dog.mp4", "mine", "out"]


@pytest.mark.parametrize(
    "path", ["mine/000000.png", "dog.mp4", "out/../dog.mp4", "linked/dog.mp4", "edited/link/dog.mp4"]
)
def test_what_leads_elsewhere_stops_it_before_anything_is_removed(project, path):
    (project / "linked").symlink_to(project / "out")
    (project / "edited/link").symlink_to(project)
    with pytest.raises(UserError, match="no result of this project; nothing was removed"):
        prune.remove(project, ["out/cat.mp4", path])
    assert (project / "out/cat.mp4").exists()


def test_a_link_is_left_alone(project):
    (project / "edited/link").symlink_to(project / "mine")
    assert "edited/link" not in list(prune.results(project, lambda _: True))


def test_sizes_are_told(project):
    assert prune.report(project, ["edited/dog"]).splitlines() == [
        "    0.0 MB  edited/dog",
        "    0.0 MB  in 1 results that nothing asks for",
    ]

"""A hub on this machine, and an empty cache for every test."""

import os

import pytest
from hub_server import Hub

SERVER = Hub().__enter__()
# Read once, when huggingface_hub is imported, which the tests do.
os.environ |= {"HF_ENDPOINT": SERVER.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Hub:
    """The hub, empty; caches are the test's own, files come in small pieces, and nobody waits to try again."""
    from huggingface_hub import constants, file_download

    from clevam import fetch

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # bytes; a piece that is cut off is lost
    monkeypatch.setattr(file_download.time, "sleep", lambda _: None)
    monkeypatch.setattr(fetch, "PYTORCH", f"{SERVER.url}/files")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for content in (SERVER.repositories, SERVER.files, SERVER.limits, SERVER.damaged, SERVER.requests, SERVER.logins):
        content.clear()
    return SERVER

"""A small Hugging Face Hub on 127.0.0.1: folders of files, under the addresses that huggingface_hub asks for.

GET        /api/models/<repo>/revision/<revision>    the commit, the licence and the files, with sizes and digests
GET        /api/models/<repo>/tree/<revision>        the files once more
HEAD, GET  /<repo>/resolve/<revision>/<file>         a file, or the Range of it that is asked for
HEAD, GET  /files/<file>                             one of `Hub.files`, as any other server has them
"""

import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".pth", ".ckpt")  # kept by git-lfs, and known by SHA-256 as git-lfs does
API = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)(/(?P<what>revision|tree)/(?P<revision>[^/]+))?")
FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")


@dataclass
class Repository:
    """The files of every commit, the commit of every branch, what its card says, and how its files are refused."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    card: dict | None = field(default_factory=lambda: {"license": "apache-2.0"})
    refused: tuple[int, str] | None = None  # status, error code


@dataclass
class Hub:
    """What is served, how it goes wrong, and what was asked for."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)  # of a file's name: the connection breaks after so many bytes
    damaged: set[str] = field(default_factory=set)  # names of files that arrive with one bit changed
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)  # method, path, Range
    logins: set[str | None] = field(default_factory=set)

    def commit(self, name: str, files: dict[str, bytes] | Path) -> str:
        """Make files, or a folder of them, the newest commit of a repository's branch `main`; its digest."""
        if isinstance(files, Path):
            paths = (path for path in sorted(files.rglob("*")) if path.is_file())
            files = {path.relative_to(files).as_posix(): path.read_bytes() for path in paths}
        repository = self.repositories.setdefault(name, Repository())
        commit = hashlib.sha1(repr(sorted((n, git_blob(b)) for n, b in files.items())).encode()).hexdigest()
        repository.commits[commit] = files
        repository.branches["main"] = commit
        return commit

    def downloads(self, file: str) -> list[str | None]:
        """The Range of every GET of a file so far."""
        return [span for method, path, span in self.requests if method == "GET" and path.endswith(f"/{file}")]

    def __enter__(self) -> "Hub":
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": self}))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, self.headers["Range"]))
        self.hub.logins.add(self.headers["Authorization"])
        if path.startswith("/files/"):
            self.send_file(path, self.hub.files.get(path.removeprefix("/files/")), {})
        elif found := API.fullmatch(path) or FILE.fullmatch(path):
            self.answer(**found.groupdict())
        else:
            self.refuse(404, "NoSuchAddress")

    do_HEAD = do_GET

    def answer(self, repo: str, revision: str | None, what: str | None = None, file: str | None = None) -> None:
        """What the hub says of a repository at a revision: its files (`what`), or one `file`."""
        repository = self.hub.repositories.get(repo)
        if not repository:
            return self.refuse(401, "RepoNotFound")  # not 404: nobody is told which private ones there are
        commit = repository.branches.get(revision or "main", revision)
        files = repository.commits.get(commit)
        if files is None:
            return self.refuse(404, "RevisionNotFound")
        if file and repository.refused:
            return self.refuse(*repository.refused)
        if file:
            return self.send_file(file, files.get(file), {"X-Repo-Commit": commit})
        if what == "tree":
            return self.send_json([listed(name, content) for name, content in files.items()])
        siblings = [sibling(name, content) for name, content in files.items()]
        return self.send_json({"id": repo, "sha": commit, "cardData": repository.card, "siblings": siblings})

    def send_json(self, data: object) -> None:
        self.send(200, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def send_file(self, name: str, content: bytes | None, headers: dict) -> None:
        if content is None:
            return self.refuse(404, "EntryNotFound")
        headers |= {"ETag": f'"{digest(name, content)}"', "Accept-Ranges": "bytes"}
        limit = self.hub.limits.get(Path(name).name)
        if Path(name).name in self.hub.damaged:
            content = bytes([content[0] ^ 1]) + content[1:]
        start = int(re.match(r"bytes=(\d+)-$", self.headers["Range"] or "bytes=0-")[1])
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return self.send(206 if start else 200, content[start:], headers, limit and max(0, limit - start))

    def refuse(self, status: int, code: str) -> None:
        self.send(status, b"", {"X-Error-Code": code})

    def send(self, status: int, body: bytes, headers: dict, limit: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": len(body)}).items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:limit])
            self.close_connection |= limit is not None and limit < len(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the requests are recorded."""


def sibling(name: str, content: bytes) -> dict:
    """A file as `revision` lists it."""
    entry = listed(name, content)
    lfs = entry.get("lfs") and {**entry["lfs"], "sha256": entry["lfs"]["oid"]}
    return {"rfilename": name, "size": entry["size"], "blobId": entry["oid"], "lfs": lfs}


def listed(name: str, content: bytes) -> dict:
    """A file as `tree` lists it."""
    entry = {"type": "file", "path": name, "size": len(content), "oid": git_blob(content)}
    if name.endswith(LARGE):
        pointer = b"what git itself keeps: " + digest(name, content).encode()
        entry["lfs"] = {"oid": digest(name, content), "size": len(content), "pointerSize": len(pointer)}
        entry["oid"] = git_blob(pointer)
    return entry


def digest(name: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if name.endswith(LARGE) else git_blob(content)


def git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()

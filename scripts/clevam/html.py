"""Pages from templates: what is put in is escaped, and nothing but the page's own script and style may run."""

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from clevam.files import replacing

TEMPLATES = Path(__file__).with_name("templates")


def jpeg(content: bytes) -> str:
    """The address of a picture that is in the page itself."""
    return f"data:image/jpeg;base64,{base64.b64encode(content).decode()}"


def write(target: str, name: str, **values: Any) -> None:
    """Write the page of templates/<name>.html, with page.css, page.js and, if there is one, <name>.js in it."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = number
    own = TEMPLATES / f"{name}.js"
    style, script = (TEMPLATES / "page.css").read_text(), (TEMPLATES / "page.js").read_text()
    script += own.read_text() if own.exists() else ""
    text = environment.get_template(f"{name}.html").render(
        values, style=Markup(style), script=Markup(script), policy=policy(style, script)
    )
    with replacing(target) as part:
        part.write_text(text)


def policy(style: str, script: str) -> str:
    """A Content-Security-Policy under which only these two run, and nothing is loaded but what the page holds."""
    return (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "media-src blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def number(value: float | None, digits: int) -> str:
    """For people; a dash for what is not known."""
    return "–" if value is None else f"{value:.{digits}f}"

"""Write config/README.md and config/schema.json from the models in scripts/clevam/config.py: `make config-docs`."""

import json
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scripts"))

from clevam import config  # noqa: E402

HEAD = """# Every key of the configuration

Made by `make config-docs` from `scripts/clevam/config.py`; do not edit. Editors complete and check a configuration
that begins with `# yaml-language-server: $schema=<path to>/config/schema.json`.

A section at the top level holds the defaults of all videos; a video, or one of its `edits`, may override single keys.
"""


def main() -> None:
    (HERE / "README.md").write_text(readme())
    (HERE / "schema.json").write_text(schema())


def schema() -> str:
    made = config.Config.model_json_schema()
    videos = made["properties"]["videos"]
    about = {key: videos.pop(key) for key in ("description", "title")}
    made["properties"]["videos"] = about | {"anyOf": [videos, {"type": "string"}]}
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def readme() -> str:
    parts = [HEAD]
    for title, model, about in sections():
        rows = [
            f"| `{name}` | {kind(field)} | {default(field)} | {(field.description or '').replace('<', '&lt;')} |"
            for name, field in leaves(model)
        ]
        parts += [f"\n## {title}\n\n{about}\n\n| key | values | default | |\n|---|---|---|---|", *rows]
    for name in SINGLE:
        parts.append(f"\n## {name}\n\n{config.Config.model_fields[name].description}")
    return "\n".join(parts) + "\n"


def sections() -> Iterator[tuple[str, type[config.Section], str]]:
    """(title, model, what it says of itself) of a video, a region and every section."""
    videos = f"{doc(config.Video)} `videos` may also name a table (TSV), a line per video: {TABLE}"
    yield "videos.&lt;name&gt;", config.Video, videos
    yield "videos.&lt;name&gt;.regions[]", config.Region, doc(config.Region)
    yield "videos.&lt;name&gt;.subject, regions[].subject", config.Subject, doc(config.Subject)
    yield "edit.control[]", config.Control, doc(config.Control)
    yield "edit.adapters[]", config.Adapter, doc(config.Adapter)
    for name, field in config.Config.model_fields.items():
        if name not in ("videos", *SINGLE):
            yield name, field.annotation, doc(field.annotation)


TABLE = "its columns are `name` and any keys of these, as `path`, `replace`, `edit.guidance`."
SINGLE = ("sweep", "yes")  # keys that are no sections


def leaves(model: type[config.Section], prefix: str = "") -> Iterator[tuple[str, typing.Any]]:
    """(key, field) of a model, those of nested sections with a dot; sections that only override are left out."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, config.Section):
            yield from leaves(field.annotation, f"{prefix}{name}.")
        elif name not in config.Config.model_fields or not issubclass(model, config.Variant):
            yield prefix + name, field


def kind(field: typing.Any) -> str:
    """The values of a field, in words."""
    limits = [
        f"{sign} {getattr(m, key)}"
        for m in field.metadata
        for key, sign in SIGNS.items()
        if getattr(m, key, None) is not None
    ]
    return " ".join([words(field.annotation), *limits])


SIGNS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def words(annotation: typing.Any) -> str:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return kind(types.SimpleNamespace(annotation=args[0], metadata=args[1:]))
    if origin is typing.Literal:
        return ", ".join(f"`{a}`" for a in args)
    if origin in (types.UnionType, typing.Union):
        return " or ".join(words(a) for a in args if a is not type(None))
    if origin in (list, dict, tuple):
        return {list: "list", dict: "mapping", tuple: f"{len(args)} numbers"}[origin]
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true, false"}
    return names.get(annotation.__name__, annotation.__name__.lower())


def default(field: typing.Any) -> str:
    if field.is_required():
        return "required"
    return "" if field.default in (None, {}) else f"`{json.dumps(field.default, ensure_ascii=False)}`"


def doc(model: type) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


if __name__ == "__main__":
    main()

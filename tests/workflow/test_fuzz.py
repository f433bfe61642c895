"""Whatever a configuration, a table or a name holds: an answer, or UserError; nothing of it is run."""

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from snakemake.common.configfile import load_configfile
from snakemake.exceptions import WorkflowError

from clevam import table
from clevam.config import Config, Edit, Masks, Section, Video
from clevam.errors import UserError
from clevam.jobs import Resolved, merge, resolve
from conftest import ROOT

settings.register_profile(
    "fuzz", derandomize=True, database=None, deadline=None, max_examples=300, suppress_health_check=list(HealthCheck)
)
settings.load_profile("fuzz")

NASTY = [
    "", " ", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "$(touch pwned)", "`touch pwned`", "; touch pwned", "'",
    '"', "a\nb", "a\0b", "\x1b[31m", "{input}", "{wildcards.x}", "%s", "<script>alert(1)</script>", "狗", "\u202e",
    "\udcff", "~", "-rf", "*",
    "background", "replace it with a dog", "1e999", "nan", "owner/name@main/file", "x" * 300,
]  # fmt: skip
PLAIN = st.one_of(
    st.none(), st.booleans(), st.sampled_from(NASTY), st.text(max_size=9),
    st.sampled_from([0, 1, -1, 2**31, 2**64, 10**30, -(10**30), 0.0, -0.0, 1e-320, 1e308, float("inf"), float("nan")]),
    st.integers(-9, 999), st.floats(-9, 99),
)  # fmt: skip
WORD = st.sampled_from(NASTY) | st.text(max_size=6)
VALUE = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORD, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
EXTREMES = [
    *NASTY[:12], 0, -1, 10**30, 1e308, 1e-320, float("inf"), float("nan"), [], {}, [[]], [None] * 300, {"x": {}}, True,
    None, [float("nan")] * 4, [0, 0, 1e308, 1e308], [0, float("inf")], "x" * 10**5, "\udcff",
]  # fmt: skip
CLIP = {"path": "dog.mp4", "find": "the dog", "replace": "a fox"}


def keys(model: type[Section], before: tuple = ()) -> Iterator[tuple]:
    """Every key of a section, and of the sections in it."""
    for name, field in model.model_fields.items():
        yield (*before, name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, (*before, name))


OF_A_CLIP = [("videos", "dog", *key) for key in keys(Video)]
OF_A_CLIP += [
    ("videos", "dog", name, *key) for name, model in {"edit": Edit, "masks": Masks}.items() for key in keys(model)
]
OF_AN_EDIT = [("videos", "dog", "edits", "wolf", *key[2:]) for key in OF_A_CLIP]
KEYS = [key for key in keys(Config) if key != ("videos",)] + OF_A_CLIP + OF_AN_EDIT


def put(config: dict, key: tuple, value: object) -> dict:
    for part in reversed(key):
        value = {part: value}
    return merge(config, value)


def asked(raw: dict) -> Resolved | None:
    """What a configuration asks for, if it can be understood: plain values, all of it."""
    try:
        resolved = resolve(raw)
    except UserError as error:
        assert all(line and line.isprintable() for line in str(error).split("\n"))
        assert len(str(error)) < 20_000
        return None
    json.dumps(resolved.describe(), allow_nan=False)
    return resolved


@given(st.lists(st.tuples(st.sampled_from(KEYS), VALUE), min_size=1, max_size=4))
def test_any_value_of_any_key_is_understood_or_refused(changes):
    config = {"videos": {"dog": CLIP}}
    for key, value in changes:
        config = put(config, key, value)
    asked(config)


@pytest.mark.parametrize("key", sorted(set(KEYS)), ids=".".join)
def test_every_key_refuses_or_takes_each_extreme(key):
    for value in EXTREMES:
        asked(put({"videos": {"dog": CLIP}}, key, value))


@given(st.dictionaries(st.sampled_from(["videos", "edit", "sweep", *NASTY]), VALUE, max_size=4))
def test_anything_that_is_a_mapping_is_understood_or_refused(raw):
    asked(raw)


PIECES = [
    "videos", "dog", "path", "a", ":", " ", "\n", "  ", "- ", "[", "]", "{", "}", "&a ", "*a", "<<", "? ", "|", ">",
    "#", "'", '"', "\t", "1", "~", "---", "%", "!!python/name:os.system", "2024-99-99",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_any_text_is_no_more_than_yaml(parts):
    try:
        raw = yaml.safe_load("".join(parts))
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    if isinstance(raw, dict):
        asked(raw)


# ---- names -------------------------------------------------------------------------------------------------------


@given(st.text(max_size=12) | st.sampled_from(NASTY) | st.lists(st.sampled_from(NASTY), max_size=3).map("".join))
def test_no_name_leads_out_of_the_folder_that_it_is_put_into(name):
    for raw in ({"videos": {name: CLIP}}, {"videos": {"dog": CLIP | {"edits": {name: {"replace": "a wolf"}}}}}):
        for job in asked(raw).jobs if asked(raw) else ():
            path = PurePosixPath(f"out/{job}.mp4")
            assert (path.parent, path.name) == (PurePosixPath("out"), f"{job}.mp4")
            assert os.path.normpath(path) == str(path)
            assert job.isprintable() or not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in job)
            assert not set(job) & set('/\\{}*?"<>|')


@given(
    st.dictionaries(
        st.sampled_from(["edit.guidance", "seed", "a.b", "../x", "edit.negative"]), st.lists(VALUE, max_size=2)
    )
)
def test_no_swept_value_leads_out_of_the_folder_either(sweep):
    resolved = asked({"videos": {"dog": CLIP}, "sweep": sweep})
    for job in resolved.jobs if resolved else ():
        assert "/" not in job and not job.startswith(".")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


# ---- tables ------------------------------------------------------------------------------------------------------


COLUMN = st.sampled_from(["name", "path", "find", "edit.guidance", "edit", "a..b"]) | WORD


@given(st.lists(st.lists(COLUMN, max_size=4), max_size=4))
def test_any_table_is_understood_or_refused(folder, lines):
    path = folder / "clips.tsv"
    path.write_text("\n".join("\t".join(line) for line in lines), errors="replace")
    asked({"videos": str(path)})


def test_bytes_that_are_no_text_are_no_table(tmp_path):
    (tmp_path / "clips.tsv").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="cannot be read as a table of videos"):
        resolve({"videos": str(tmp_path / "clips.tsv")})


# ---- nothing is run ----------------------------------------------------------------------------------------------


def test_tags_of_yaml_make_no_object(tmp_path):
    text = f"x: !!python/object/apply:os.system ['touch {tmp_path}/pwned']"
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(WorkflowError):
        load_configfile(tmp_path / "mine.yaml")
    (tmp_path / "clips.tsv").write_text(f"name\tpath\tedit.guidance\ndog\tdog.mp4\t{text[3:]}\n")
    with pytest.raises(ValueError, match="cannot be understood"):
        table.read(str(tmp_path / "clips.tsv"), ())
    assert not (tmp_path / "pwned").exists()


def test_a_configuration_in_json_is_data_and_one_in_yaml_a_program_if_it_says_so(tmp_path):
    """Snakemake's own doing, before a line of ours is read (docs/security.md)."""
    config = {"__use_yte__": True, "x": f"?open('{tmp_path}/pwned', 'w').close()"}
    (tmp_path / "mine.json").write_text(json.dumps(config))
    assert load_configfile(tmp_path / "mine.json") == config
    assert not (tmp_path / "pwned").exists()
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(config))
    load_configfile(tmp_path / "mine.yaml")
    assert (tmp_path / "pwned").exists()


CODE = [
    *ROOT.glob("scripts/**/*.py"),
    *ROOT.glob("envs/**/*.py"),
    ROOT / "envs/conda/bin/conda",
    *ROOT.glob("config/*.py"),
]
REFUSED = {
    "eval", "exec", "os.system", "os.popen", "pickle.load", "pickle.loads", "yaml.load", "yaml.unsafe_load",
    "yaml.full_load", "marshal.loads", "shelve.open", "subprocess.getoutput", "joblib.load",
}  # fmt: skip
NEEDED = {"torch.load": "weights_only", "np.load": "allow_pickle", "Image.open": "formats"}


@pytest.mark.parametrize("file", CODE, ids=lambda path: path.name)
def test_no_code_runs_what_it_reads(file):
    for call in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)):
        name, given = ast.unparse(call.func), {key.arg: key.value for key in call.keywords}
        assert name not in REFUSED, f"{file}, line {call.lineno}"
        assert "shell" not in given, f"{file}, line {call.lineno}: {name} starts a shell"
        assert NEEDED.get(name) in (None, *given), f"{file}, line {call.lineno}: {name} without {NEEDED.get(name)}"


def test_every_word_that_a_rule_hands_to_a_shell_is_quoted():
    found = 0
    for file in (ROOT / "Snakefile", *ROOT.glob("rules/**/*.smk")):
        text = file.read_text()
        for said in re.findall(r"^ +shell:\n +(.+)$", text, re.MULTILINE):
            assert said == "HAND_OUT", f"{file}: {said}"
            found += 1
        if hand_out := re.search(r'^HAND_OUT = """(.*?)"""', text, re.MULTILINE | re.DOTALL):
            words = re.findall(r"\{([^}]*)\}", hand_out[1])
            assert words and all(word.endswith(":q") for word in words)
            found += 10
    assert found == 13


def test_no_page_takes_a_word_as_it_is():
    for template in ROOT.glob("scripts/clevam/templates/*.html"):
        taken = re.findall(r"\{\{(.*?)\}\}", template.read_text())
        assert not any("safe" in word for word in taken), template
    for script in ROOT.glob("scripts/clevam/templates/*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", script.read_text()), (
            script
        )

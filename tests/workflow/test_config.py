"""The configuration: what it asks for, and what it says to a mistake."""

import re

import pytest
import yaml

from clevam import config
from clevam.errors import UserError
from clevam.jobs import resolve
from conftest import ROOT, Project

DOG = {"path": "dog.mp4", "find": "the dog", "replace": "a fox", "box": [1, 2, 3, 4]}


def asked(**changes):
    """What a configuration with one video asks for, with `changes` to that video."""
    return resolve({"videos": {"dog": DOG | changes}})


def test_one_video_is_one_clip_one_find_and_one_job():
    resolved = asked()
    assert (list(resolved.clips), list(resolved.finds), list(resolved.jobs)) == (["dog"], ["dog"], ["dog"])
    assert resolved.jobs["dog"].replace == ["a fox"]


def test_edits_that_find_the_same_share_the_clips_masks_and_others_get_their_own():
    resolved = asked(edits={"wolf": {"replace": "a wolf"}, "cat": {"find": "the cat", "replace": "a fox"}})
    assert {name: job.find for name, job in resolved.jobs.items()} == {
        "dog": "dog",
        "dog.wolf": "dog",
        "dog.cat": "dog.cat",
    }


def test_a_video_with_edits_and_no_replace_of_its_own_makes_only_the_edits():
    video = {k: v for k, v in DOG.items() if k != "replace"} | {"edits": {"wolf": {"replace": "a wolf"}}}
    assert list(resolve({"videos": {"dog": video}}).jobs) == ["dog.wolf"]


def test_the_clips_name_stays_with_what_the_clip_looks_for_whichever_edits_come_and_go():
    cat = {"cat": {"find": "the cat", "replace": "a fox"}}
    wolf = {"wolf": {"replace": "a wolf"}}
    video = {k: v for k, v in DOG.items() if k != "replace"}
    for edits in (cat | wolf, wolf | cat, wolf):
        assert resolve({"videos": {"dog": video | {"edits": edits}}}).jobs["dog.wolf"].find == "dog"


def test_a_preset_is_what_it_stands_for():
    plain, same = asked(), asked(edit={"preset": "clevam"})
    assert plain.jobs == same.jobs
    sdedit = asked(edit={"preset": "sdedit", "strength": 0.4, "share": {"reference": True}}).jobs["dog"]
    spelled = {"start": "source", "constrain": "none", "attention": {"isolation": "none", "words": "whole"}}
    assert sdedit == asked(edit=spelled | {"strength": 0.4}).jobs["dog"]
    assert "preset" not in sdedit.edit


def test_a_preset_of_one_edit_gives_way_to_keys_of_the_whole_file():
    raw = {"edit": {"guidance": 3, "strength": 0.9}, "videos": {"dog": DOG | {"edit": {"preset": "sdedit"}}}}
    settings = resolve(raw).jobs["dog"].edit
    assert (settings["start"], settings["strength"], settings["guidance"]) == ("source", 0.9, 3)


def test_the_presets_are_the_files_that_there_are():
    folder = ROOT / "config" / "presets"
    assert sorted(path.stem for path in folder.iterdir()) == sorted(config.PRESETS)
    for path in folder.iterdir():
        assert re.search(r", [A-Z]+ (19|20)\d\d\)", path.read_text()), f"{path.name} names no paper"
        asked(edit={"preset": path.stem})


def test_only_edits_that_take_an_inversion_have_one():
    assert asked().jobs["dog"].inversion is None
    assert asked(edit={"start": "noise", "inject": {"where": "both"}}).jobs["dog"].inversion
    assert asked(edit={"start": "inversion"}).jobs["dog"].inversion


def test_controls_and_adapters_must_be_named_among_the_models():
    with pytest.raises(UserError, match=r"edit\.control: there is no models\.controls\.pose; named are: depth$"):
        videos = {"dog": DOG | {"edit": {"control": [{"model": "pose"}]}}}
        resolve({"models": {"controls": {"depth": "d"}}, "videos": videos})
    with pytest.raises(UserError, match=r"edit\.adapters: there is no models\.adapters\.fur; named are: none$"):
        asked(edit={"adapters": [{"model": "fur"}]})


def swept(**keys):
    return resolve({"videos": {"dog": DOG}, "sweep": {key.replace("__", "."): values for key, values in keys.items()}})


def test_a_sweep_tries_every_combination_of_its_values_on_every_job():
    resolved = swept(edit__guidance=[3, 7.5], replace=["a fox", "an owl"])
    values = resolved.sweeps["dog"]
    assert list(values) == [
        f"dog.edit.guidance={guidance},replace={word}" for guidance in (3, 7.5) for word in ("a-fox", "an-owl")
    ]
    for name, chosen in values.items():
        assert resolved.jobs[name].edit["guidance"] == chosen["edit.guidance"]
        assert resolved.jobs[name].replace == [chosen["replace"]]
    assert resolved.jobs["dog"] == asked().jobs["dog"]


def test_a_sweep_reaches_into_nested_keys_and_keeps_those_beside_them():
    resolved = resolve(
        {
            "videos": {"dog": DOG | {"edits": {"x": {"edit": {"share": {"adain": False}}}}}},
            "sweep": {"edit.share.window": [[0, 0.5]]},
        }
    )
    share = resolved.jobs["dog.x.edit.share.window=0-0.5"].edit["share"]
    assert (share["window"], share["adain"]) == ((0, 0.5), False)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"edit__guidanc": [3]}, r"^sweep: edit\.guidanc: unknown key; did you mean `guidance`\?$"),
        ({"edit__guidance": [0.1]}, r"^sweep: edit\.guidance: should be greater than or equal to 1, not 0\.1$"),
        ({"edit": [1]}, r"^sweep: edit: should be keys with values, not 1$"),
        ({"edit__guidance": 3}, r"^config: sweep\.edit\.guidance: should be a list, not 3$"),
        ({"edit__guidance": []}, r"^config: sweep\.edit\.guidance: should not be empty"),
        ({"replace": ["a/b", "a-b"]}, r"two entries write out/dog\.replace=a-b;"),
    ],
    ids=str,
)
def test_a_sweep_of_what_cannot_be_is_refused(keys, reason):
    with pytest.raises(UserError, match=reason):
        swept(**keys)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ({"layout": "grid", "share": {"previous": 1}}, "layout: grid paints keyframes together"),
        ({"share": {"previous": 1, "reference": False}}, "previous needs reference: true"),
    ],
)
def test_ways_to_paint_keyframes_that_exclude_each_other_are_refused(edit, reason):
    with pytest.raises(UserError, match=reason):
        asked(edit=edit)


def test_a_subject_needs_an_adapter_to_be_seen_with():
    subject = {"subject": {"images": ["fox.png"]}}
    with pytest.raises(UserError, match=r"^videos: dog: `subject` needs models\.subject\.weights and "):
        asked(**subject)
    viewer = {"models": {"subject": {"weights": "w", "encoder": "e"}}}
    assert resolve(viewer | {"videos": {"dog": DOG | subject}}).jobs["dog"].shown[1]["images"] == ["fox.png"]


def test_subjects_belong_to_the_regions_that_are_edited():
    fox, owl = ({"images": [f"{name}.png"]} for name in ("fox", "owl"))
    regions = [
        {"find": "the dog", "replace": "a fox", "subject": fox},
        {"find": "the cat"},
        {"find": "background", "replace": "a wood"},
        {"find": "the bird", "replace": "an owl", "subject": owl},
    ]
    videos = {"dog": {"path": "dog.mp4", "regions": regions}}
    job = resolve({"models": {"subject": {"weights": "w", "encoder": "e"}}, "videos": videos}).jobs["dog"]
    said = {label: subject["images"] for label, subject in job.shown.items()}
    assert {job.replace[label - 1]: images for label, images in said.items()} == {
        "a fox": ["fox.png"],
        "an owl": ["owl.png"],
    }


def test_an_edit_overrides_the_video_and_the_video_the_section_key_by_key():
    raw = {
        "edit": {"steps": 5, "guidance": 3},
        "videos": {"dog": DOG | {"edit": {"guidance": 7}, "edits": {"x": {"edit": {"share": {"adain": False}}}}}},
    }
    settings = resolve(raw).jobs["dog.x"].edit
    assert (settings["steps"], settings["guidance"]) == (5, 7.0)
    assert (settings["share"]["adain"], settings["share"]["scale"]) == (False, 1.0)


def test_a_keyframe_method_of_a_video_replaces_the_sections():
    raw = {"keyframes": {"every": 5}, "videos": {"dog": DOG | {"keyframes": {"count": 3}}}}
    assert resolve(raw).clips["dog"].keyframes["method"] == {"count": 3}


@pytest.mark.parametrize(
    ("whole", "own", "method"),
    [
        ({}, {}, {"every": 12}),
        ({"method": "adaptive"}, None, {"adaptive": {"unreached": 0.6, "region": None}}),
        ({"every": 5}, {"method": "adaptive"}, {"adaptive": {"unreached": 0.6, "region": None}}),
        ({"method": "adaptive", "unreached": 0.3}, {"region": [1, 2, 3, 4]},
         {"adaptive": {"unreached": 0.3, "region": [1, 2, 3, 4]}}),
        ({"method": "adaptive", "region": [1, 2, 3, 4]}, {"every": 5}, {"every": 5}),
        ({"method": "spaced", "unreached": 0.3}, {}, {"every": 12}),
    ],
)  # fmt: skip
def test_keyframes_are_recorded_by_what_their_method_uses_and_no_more(whole, own, method):
    resolved = resolve({"keyframes": whole, "videos": {"dog": DOG | {"keyframes": own}}})
    assert resolved.clips["dog"].keyframes["method"] == method


@pytest.mark.parametrize(
    ("text", "find", "replace"),
    [
        ("replace the dog with a red fox", "the dog", "a red fox"),
        ("Please replace the dog with the hat by a fox.", "the dog", "the hat by a fox"),
        ("turn the car into a boat", "the car", "a boat"),
        ("change the dog to a cat", "the dog", "a cat"),
        ("把狗换成红狐", "狗", "红狐"),
        ("请将 红色的车 替换为 蓝色的船。", "红色的车", "蓝色的船"),
    ],
)
def test_a_sentence_stands_for_find_and_replace(text, find, replace):
    resolved = resolve({"videos": {"v": {"path": "v.mp4", "text": text, "box": [0, 0, 1, 1]}}})
    assert (resolved.finds["v"].regions[0]["find"], resolved.jobs["v"].replace) == (find, [replace])


def test_explicit_words_win_over_the_sentence():
    resolved = asked(text="replace a cat with a cow")
    assert (resolved.finds["dog"].regions[0]["find"], resolved.jobs["dog"].replace) == ("the dog", ["a fox"])


@pytest.mark.parametrize(
    ("changes", "method"),
    [
        ({"box": None}, "grounded_sam"),
        ({}, "box"),
        ({"box": None, "masks": {"path": "masks.mkv"}}, "files"),
        ({"masks": {"path": "masks.mkv"}}, "files"),
        ({"masks": {"method": "grounded_sam"}}, "grounded_sam"),
    ],
)
def test_a_is_found_by_words_unless_masks_or_boxes_are_given(changes, method):
    find = asked(**changes).finds["dog"]
    assert find.masks["method"] == method
    assert (find.regions[0]["box"] is not None) == (method == "box")


@pytest.mark.parametrize("words", ["*", "background"])
def test_the_whole_frame_is_not_looked_for(words):
    find = asked(box=None, find=words).finds["dog"]
    assert find.masks["method"] == "box"
    assert find.regions == [{"find": words, "box": None, "label": 1, "phrase": None, "pick": "all"}]


def test_the_background_is_behind_all_regions_and_those_without_a_replacement_are_kept():
    regions = [{"find": "the dog"}, {"find": "a cat", "replace": "a fox"}, {"find": "background", "replace": "a beach"}]
    resolved = resolve({"videos": {"v": {"path": "v.mp4", "regions": regions}}})
    assert [(r["find"], r["label"]) for r in resolved.finds["v"].regions] == [
        ("background", 1),
        ("the dog", 0),
        ("a cat", 2),
    ]
    assert resolved.finds["v"].edited == ["background", "a cat"]
    assert resolved.jobs["v"].replace == ["a beach", "a fox"]


@pytest.mark.parametrize("example", sorted((ROOT / "config" / "examples").glob("*.yaml")), ids=lambda p: p.stem)
def test_an_example_is_valid_and_names_pinned_weights_on_the_hub(example):
    models = resolve(yaml.safe_load(example.read_text())).models
    names = [models.diffusion, *models.detector.model_dump().values(), models.segmenter]
    assert all(re.search("@[0-9a-f]{40}(/|$)", name) for name in names)


def test_equal_numbers_are_equal_however_they_are_written():
    written = [asked(encode={"crf": crf}, edit={"steps": steps}) for crf, steps in ((18, 20), (18.0, "20"))]
    assert repr(written[0].jobs) == repr(written[1].jobs) == repr(asked().jobs)


def test_a_number_is_a_name_too():
    assert list(resolve({"videos": {2024: DOG}}).jobs) == ["2024"]


def test_each_of_several_mistakes_has_its_line():
    with pytest.raises(UserError) as caught:
        resolve({"videos": {"dog": DOG}, "runtime": {"batch": 0, "dtype": "half"}, "kyframes": {}})
    assert [line.split(":")[1].strip() for line in str(caught.value).splitlines()] == [
        "runtime.dtype",
        "runtime.batch",
        "kyframes",
    ]


@pytest.mark.parametrize("name", ["a b", "狗", "it's", "a.b"])
def test_names_with_spaces_quotes_and_unicode_are_fine(name):
    assert list(resolve({"videos": {name: DOG}}).jobs) == [name]


@pytest.mark.parametrize("name", ["", "..", "a/b", "/a", ".a", "a.", " a", "a\n", "{a}", "a*"])
def test_names_that_could_leave_the_folder_or_be_patterns_are_refused(name):
    with pytest.raises(UserError, match="a name may not be empty"):
        resolve({"videos": {name: DOG}})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"edti": {}}, "config: videos.dog.edti: unknown key; did you mean `edit`?"),
        ({"edit": {"stepz": 3}}, "config: videos.dog.edit.stepz: unknown key; did you mean `steps`?"),
        (
            {"edit": {"guidance": 99}},
            "config: videos.dog.edit.guidance: should be less than or equal to 30, not 99",
        ),
        ({"box": [1, 2, 3]}, "config: videos.dog.box: number 4 of the list is missing"),
        ({"box": "1, 2, 3, 4"}, "config: videos.dog.box: should be a list of numbers, not '1, 2, 3, 4'"),
        ({"box": {"first": [1, 2, 3, 4]}}, "config: videos.dog.box.first: should be a whole number, not 'first'"),
        (
            {"regions": [{"find": "a", "replac": "b"}]},
            "videos.dog.regions.0.replac: .* did you mean `replace`?",
        ),
        ({"masks": {"method": "boxes"}}, "videos.dog.masks.method: should be .* not 'boxes'; did you mean box\\?"),
        ({"masks": "box"}, "config: videos.dog.masks: should be keys with values, not 'box'"),
        (
            {"edit": {"preset": "fatezer"}},
            "config: videos.dog.edit.preset: should be 'clevam', 'shape_guided', 'style_aligned', 'sdedit', 'ilvr', "
            "'repaint', 'fatezero', 'plug_and_play', 'ddim' or 'style', not 'fatezer'; did you mean fatezero?",
        ),
        (
            {"edit": {"start": "noise", "strength": 0.5}},
            "config: videos.dog.edit: strength below 1 needs start: source or inversion, since noise has all the way "
            "to go",
        ),
        (
            {"edit": {"strength": 0.5}},
            "config: edit: strength below 1 needs start: source or inversion, since noise has all the way to go",
        ),
        (
            {"edit": {"preset": "sdedit", "start": "noise"}},
            "config: edit: strength below 1 needs start: source or inversion, since noise has all the way to go",
        ),
        ({"edit": {"steps": 2.5}}, "config: videos.dog.edit.steps: should be a whole number, not 2.5"),
        ({"encode": {"lossless": "maybe"}}, "config: videos.dog.encode.lossless: should be true or false, not 'maybe'"),
        ({"encode": {"container": "avi"}}, "config: videos.dog.encode.container: should be 'mp4', 'mov' or 'mkv', not"),
        (
            {"encode": {"extra": {"-vf": "x"}}},
            "config: videos.dog.encode.extra: '-vf' is no name of an encoder's option",
        ),
        (
            {"encode": {"extra": {"tune": "/tmp/a"}}},
            "config: videos.dog.encode.extra: tune should be a number, true, false or a word, not '/tmp/a'",
        ),
        ({"encode": {"extra": {"g": [1]}}}, "config: videos.dog.encode.extra: g should be a number, true, false or a"),
        ({"encode": {"pix_fmt": "bgr24"}}, "config: videos.dog.encode.pix_fmt: give planar YUV, as yuv420p"),
        (
            {"keyframes": {"every": 2, "count": 3}},
            "videos.dog.keyframes: give one of every, seconds, count, frames",
        ),
        (
            {"keyframes": {"method": "adaptive", "every": 2}},
            "videos.dog.keyframes: method: adaptive finds the keyframes by itself; leave out every, or give unreached",
        ),
        (
            {"keyframes": {"method": "adaptive", "region": [5, 5, 5, 9]}},
            r"videos.dog.keyframes.region: box \[5.0, 5.0, 5.0, 9.0\] is empty: give x0, y0, x1, y1",
        ),
        ({"keyframes": {"unreached": 1}}, "videos.dog.keyframes.unreached: should be less than 1, not 1"),
        ({"range": [3, 2]}, r"config: videos.dog: range \[3.0, 2.0\] must run forward from 0 or later"),
        (
            {"find": None, "replace": None, "box": None, "regions": [{"find": "a", "replace": "b"}, {"find": "c"}]},
            "videos: dog: `replace` is missing",
        ),
        ({"replace": None}, "videos: dog: `replace` is missing: say what A becomes"),
        ({"text": "make it nice"}, "config: videos.dog: 'make it nice' is not of the form `replace A with B`"),
        ({"find": None}, "videos: dog: `find` is missing"),
        (
            {"box": None, "masks": {"method": "box"}},
            r"videos: dog: masks.method is `box`, so 'the dog' needs box: \[x0, y0, x1, y1\]",
        ),
        ({"box": [9, 0, 1, 9]}, r"config: videos.dog.box: box \[9.0, 0.0, 1.0, 9.0\] is empty"),
        ({"masks": {"method": "files"}}, "videos: dog: masks.method is `files`, so masks.path must name a folder"),
        ({"regions": [{"find": "a", "replace": "b"}]}, "videos: dog: give either `regions` or find, replace, box"),
    ],
    ids=lambda v: "-".join(v) if isinstance(v, dict) else "",
)
def test_a_mistake_is_one_line_with_the_key_and_the_cure(changes, message):
    with pytest.raises(UserError, match=message) as caught:
        asked(**changes)
    assert "\n" not in str(caught.value)


def test_two_entries_that_write_the_same_file_are_refused():
    with pytest.raises(UserError, match=r"two entries write out/dog\.x;"):
        resolve({"videos": {"dog": DOG | {"edits": {"x": {"replace": "y"}}}, "dog.x": DOG}})


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("edit={stepz: 3}", "config: edit.stepz: unknown key; did you mean `steps`?"),
        (
            "masks={pick: bigest}",
            "config: masks.pick: should be 'best', 'all', 'largest', 'smallest', 'leftmost', "
            "'rightmost', 'topmost' or 'lowest', not 'bigest'; did you mean best?",
        ),
        ("masks={pick: 0}", "config: masks.pick: 1 is the first from the left, -1 the first from the right"),
    ],
)
def test_a_mistake_ends_the_run_with_one_line_and_no_traceback(tmp_path, typed, message):
    ran = Project(tmp_path, {"videos": {"dog": DOG | {"path": str(ROOT / "demo/clip.mp4")}}})("--config", typed)
    assert ran.status == 1
    (line,) = [line for line in ran.text.splitlines() if "profile" not in line]
    assert line.startswith(f"error: {message}")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("videos={dog: {path: gone.mp4}}", "videos.dog.path: there is no gone.mp4"),
        ("videos={dog: {masks: {method: files, path: gone}}}", "videos.dog.masks.path: there is no gone"),
        ("models={diffusion: nowhere}", "models.diffusion: there is no nowhere, seen from "),
        (
            "models={diffusion: some/model}",
            "models.diffusion: there is no folder some/model here, and some/model is not",
        ),
        ("masks={method: grounded_sam} & models={segmenter: gone.pth}", "models.segmenter: there is no gone.pth"),
        ("flow={method: raft} & models={flow: Raft_Smal_Weights.C_T_V2}", "models.flow: there is no Raft_Smal_Weights"),
    ],
)
def test_what_a_job_needs_and_is_missing_stops_the_run_before_its_first_job(tmp_path, typed, message):
    video = DOG | {"path": str(ROOT / "demo/clip.mp4")}
    ran = Project(tmp_path, {"videos": {"dog": video}})("--config", *typed.split(" & "))
    assert ran.status == 1
    assert f"error: {message}" in ran.text
    assert "Traceback" not in ran.text
    assert not ran.jobs


def test_missing_weights_that_no_job_needs_are_not_missed(tmp_path):
    video = DOG | {"path": str(ROOT / "demo/clip.mp4")}
    ran = Project(tmp_path, {"videos": {"dog": video}})("--dry-run", "--config", "models={segmenter: gone.pth}")
    assert ran.status == 0, ran.text


def test_a_mask_missing_for_one_keyframe_stops_the_run_and_is_named(tmp_path):
    (tmp_path / "masks").mkdir()
    video = DOG | {"path": str(ROOT / "demo/clip.mp4"), "masks": {"method": "files", "path": "masks"}}
    ran = Project(tmp_path, {"videos": {"dog": video}})()
    assert ran.status == 1
    assert "error: videos.dog.masks.path: there is no masks/000000.png" in ran.text
    assert "Traceback" not in ran.text


def test_the_table_of_keys_and_the_schema_are_those_of_the_models(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "config")
    import generate

    assert generate.readme() == (ROOT / "config/README.md").read_text(), "run `make config-docs`"
    assert generate.schema() == (ROOT / "config/schema.json").read_text(), "run `make config-docs`"


@pytest.mark.parametrize(
    "text", ["README.md", "docs/models.md", "config/examples/sd15.yaml", "config/examples/sdxl.yaml"]
)
def test_no_printed_command_has_a_target_behind_the_configuration(text):
    """`--configfile` takes all that follows for files."""
    commands = re.findall(r"^.*--configfile .*$", (ROOT / text).read_text(), re.M)
    assert commands
    assert not [line for line in commands if re.search(r"--configfile \S+ +[^#\s]", line)]


@pytest.mark.parametrize(
    ("find", "phrase", "pick"),
    [
        ("the dog", "the dog", "best"),
        ("the dog on the left", "the dog", "leftmost"),
        ("The dog that is on the left.", "The dog", "leftmost"),
        ("a red ball, at the far right", "a red ball", "rightmost"),
        ("the cup at the bottom", "the cup", "lowest"),
        ("the dog on the left-hand side of the picture", "the dog", "leftmost"),
        ("the leftmost dog", "the dog", "leftmost"),
        ("the biggest dog", "the dog", "largest"),
        ("the second dog from the left", "the dog", 2),
        ("the second dog from the right", "the dog", -2),
        ("all the dogs", "the dogs", "all"),
        ("both of the dogs", "the dogs", "all"),
        ("every dog", "dog", "all"),
        ("左边的狗", "狗", "leftmost"),
        ("从右数第二只狗", "狗", -2),
        ("所有的狗", "狗", "all"),
        ("all black dog", "all black dog", "best"),
        ("each of us", "each of us", "best"),
        ("画面左侧的狗", "狗", "leftmost"),
        ("最大的狗", "狗", "largest"),
        ("the bottom line", "the bottom line", "best"),
        ("the left hand", "the left hand", "best"),
        ("the cat in the top drawer", "the cat in the top drawer", "best"),
        ("the car turning to the left", "the car turning to the left", "best"),
        ("the largest of the dogs", "the largest of the dogs", "best"),
        ("the man with the bag on the table", "the man with the bag on the table", "best"),
    ],
)
def test_words_say_which_of_several_is_meant(find, phrase, pick):
    region = asked(find=find, box=None).finds["dog"].regions[0]
    assert (region["phrase"], region["pick"]) == (phrase, pick)


def test_words_win_over_pick():
    said = {"masks": {"pick": "all"}, "box": None}
    assert asked(**said).finds["dog"].regions[0]["pick"] == "all"
    assert asked(find="the leftmost dog", **said).finds["dog"].regions[0]["pick"] == "leftmost"


def test_nothing_is_looked_for_where_boxes_say_it():
    region = asked(find="the dog on the left").finds["dog"].regions[0]
    assert (region["phrase"], region["pick"]) == (None, "all")

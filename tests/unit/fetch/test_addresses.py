"""addresses.py: what a model's name stands for, and which of a repository's files it comes to."""

import pytest

from clevam.addresses import Address, parse, select
from clevam.errors import UserError

COMMIT = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"

# Laid out as stable-diffusion-v1-5/stable-diffusion-v1-5 is.
SD = """
.gitattributes README.md feature_extractor/preprocessor_config.json model_index.json safety_checker/config.json
safety_checker/model.fp16.safetensors safety_checker/model.safetensors safety_checker/pytorch_model.bin
safety_checker/pytorch_model.fp16.bin scheduler/scheduler_config.json text_encoder/config.json
text_encoder/model.fp16.safetensors text_encoder/model.safetensors text_encoder/pytorch_model.bin
text_encoder/pytorch_model.fp16.bin tokenizer/merges.txt tokenizer/special_tokens_map.json
tokenizer/tokenizer_config.json tokenizer/vocab.json unet/config.json unet/diffusion_pytorch_model.bin
unet/diffusion_pytorch_model.fp16.bin unet/diffusion_pytorch_model.fp16.safetensors
unet/diffusion_pytorch_model.non_ema.bin unet/diffusion_pytorch_model.non_ema.safetensors
unet/diffusion_pytorch_model.safetensors v1-5-pruned-emaonly.ckpt v1-5-pruned-emaonly.safetensors v1-5-pruned.ckpt
v1-inference.yaml vae/config.json vae/diffusion_pytorch_model.bin vae/diffusion_pytorch_model.fp16.bin
vae/diffusion_pytorch_model.fp16.safetensors vae/diffusion_pytorch_model.safetensors
""".split()  # noqa: SIM905 as plain text they can be read

# Of stabilityai/stable-diffusion-xl-base-1.0, what 1.5 has nothing like.
XL = """
text_encoder/flax_model.msgpack text_encoder/model.onnx text_encoder/openvino_model.bin text_encoder_2/config.json
text_encoder_2/model.fp16.safetensors text_encoder_2/model.onnx_data text_encoder_2/model.safetensors
tokenizer_2/merges.txt tokenizer_2/vocab.json unet/model.onnx unet/openvino_model.xml vae_1_0/config.json
vae_1_0/diffusion_pytorch_model.safetensors vae_encoder/config.json sd_xl_base_1.0.safetensors
""".split()  # noqa: SIM905 as plain text they can be read

SETTINGS = """
model_index.json scheduler/scheduler_config.json text_encoder/config.json tokenizer/merges.txt
tokenizer/special_tokens_map.json tokenizer/tokenizer_config.json tokenizer/vocab.json unet/config.json
vae/config.json
""".split()  # noqa: SIM905 as plain text they can be read


def diffusion(files, variant=None):
    return set(select(Address("o/n"), files, "models.diffusion", variant))


def test_of_stable_diffusion_one_set_of_weights_for_each_network_is_taken_and_no_checker():
    weights = {
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
    }
    assert diffusion(SD) == {*SETTINGS, *weights}


def test_a_variant_is_taken_instead_of_the_plain_weights():
    weights = {
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.fp16.safetensors",
        "text_encoder/model.fp16.safetensors",
    }
    assert diffusion(SD, "fp16") == {*SETTINGS, *weights}


def test_where_the_variant_is_missing_the_plain_weights_are_taken():
    files = [file for file in SD if file != "vae/diffusion_pytorch_model.fp16.safetensors"]
    assert {file for file in diffusion(files, "fp16") if file.startswith("vae")} == {
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
    }


def test_pickled_weights_are_taken_only_where_there_are_no_others():
    files = [file for file in SD if not file.startswith("unet") or not file.endswith(".safetensors")]
    chosen = diffusion(files)
    assert {file for file in chosen if file.endswith(".bin")} == {"unet/diffusion_pytorch_model.bin"}
    assert "vae/diffusion_pytorch_model.safetensors" in chosen


def test_of_xl_the_second_encoder_is_taken_and_nothing_of_other_programs():
    extra = {"text_encoder_2/config.json", "text_encoder_2/model.safetensors", "tokenizer_2/merges.txt"}
    assert diffusion(SD + XL) == diffusion(SD) | extra | {"tokenizer_2/vocab.json"}


@pytest.mark.parametrize(
    ("variant", "parts"),
    [
        (
            None,
            ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"],
        ),
        ("fp16", ["model.fp16-00001-of-00002.safetensors", "model.safetensors.index.fp16.json"]),
        ("fp16", ["model-00001-of-00002.fp16.safetensors", "model.safetensors.fp16.index.json"]),  # older
    ],
)
def test_weights_in_parts_come_with_their_list(variant, parts):
    others = ["model-00001-of-00002.bin", "model.bin.index.json", "model.safetensors.index.non_ema.json"]
    files = [file for file in SD if not file.startswith("text_encoder/")]
    files += [f"text_encoder/{name}" for name in ("config.json", *parts, *others)]
    chosen = {file for file in diffusion(files, variant) if file.startswith("text_encoder/")}
    assert chosen == {f"text_encoder/{name}" for name in ("config.json", *parts)}


def test_of_a_bert_its_settings_and_words_are_taken_but_no_weights():
    wanted = ["config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"]
    files = [*wanted, "README.md", "coreml/config.json", "model.safetensors", "pytorch_model.bin", "model.onnx"]
    assert sorted(select(Address("google-bert/bert-base-uncased"), files, "models.detector.text")) == wanted


def test_of_a_clip_its_settings_its_words_and_one_set_of_weights_are_taken():
    wanted = [
        "config.json",
        "merges.txt",
        "model.safetensors",
        "preprocessor_config.json",
        "tokenizer.json",
        "vocab.json",
    ]
    files = [*wanted, "pytorch_model.bin", "flax_model.msgpack", "tf_model.h5", "README.md", ".gitattributes"]
    assert sorted(select(Address("openai/clip-vit-base-patch32"), files, "models.clip")) == wanted


def test_of_a_folder_in_a_repository_only_what_is_in_it_is_taken():
    files = ["config.json", "weights.pth", "text/config.json", "text/vocab.txt", "texts/config.json"]
    assert select(Address("o/n", file="text"), files, "models.detector.text") == ["text/config.json", "text/vocab.txt"]


def test_a_file_is_taken_alone_but_a_segmenters_with_the_sizes_beside_it():
    files = ["a/sam.pth", "a/sam.json", "sam.json", "other.pth"]
    assert select(Address("o/n", file="a/sam.pth"), files, "models.detector.weights") == ["a/sam.pth"]
    assert select(Address("o/n", file="a/sam.pth"), files, "models.segmenter") == ["a/sam.json", "a/sam.pth"]
    assert select(Address("o/n", file="other.pth"), files, "models.segmenter") == ["other.pth"]


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("o/n", Address("o/n")),
        (f"o/n@{COMMIT}", Address("o/n", COMMIT)),
        ("o/n@v1.0/a/b.pth", Address("o/n", "v1.0", "a/b.pth")),
        ("hf://o/n/a/b.pth", Address("o/n", "main", "a/b.pth")),
    ],
)
def test_a_name_is_an_address(name, address):
    assert parse(name, "models.x") == address


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("models/sd/v1", "models.x: there is no models/sd/v1, seen from /"),
        ("Raft_Small_Weights.C_T_V3", "; did you mean Raft_Small_Weights.C_T_V"),
    ],
)
def test_any_other_name_is_a_path_that_is_not_there(name, message):
    with pytest.raises(UserError, match=message):
        parse(name, "models.x")


@pytest.mark.parametrize(
    ("key", "file", "files", "message"),
    [
        ("segmenter", "sam_h.pth", ["sam_b.pth"], "o/n@main has no sam_h.pth; did you mean sam_b.pth?"),
        (
            "segmenter",
            None,
            ["README.md", "b.pth", "a.pth"],
            "o/n@main is a folder; name a file in it, as o/n@main/a.pth",
        ),
        ("detector.text", None, ["vocab.txt"], "o/n@main has no config.json, so it is no BERT"),
        ("diffusion", None, ["v1-5.ckpt"], "o/n@main is no Stable Diffusion in diffusers' layout"),
        ("diffusion", None, ["model_index.json"], "o/n@main: unet has no weights that can be read; name another"),
        (
            "diffusion",
            None,
            [file for file in SD if not file.startswith("vae/") or "fp16" in file],
            "vae has no weights that can be read; only variants, fp16: set models.variant",
        ),
    ],
)
def test_what_a_repository_lacks_is_said_in_one_line(key, file, files, message):
    with pytest.raises(UserError) as caught:
        select(Address("o/n", file=file), files, f"models.{key}")
    assert str(caught.value).startswith(f"models.{key}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)

"""Every kind of encoder against `transformers` used by hand, on random weights in its own file layout."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from imagen_bench.errors import ModelError
from imagen_bench.imagen.text import open_text_encoder
from imagen_bench.imagen.text_models import find_encoder

WORDS = ["a", "red", "apple", "three", "pears", "an", "octopus", "left", "of"]
TEXTS = ["a red apple", "an octopus left of three red pears", ""]


def write_tokenizer(folder, begin, end, pad, limit):
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    special = list(dict.fromkeys([pad, begin, end, "<unk>"]))
    vocabulary = {word: index for index, word in enumerate(special + WORDS)}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    ends = [(token, vocabulary[token]) for token in (begin, end)]
    tokenizer.post_processor = TemplateProcessing(single=f"{begin} $A {end}", special_tokens=ends)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, eos_token=end, unk_token="<unk>", model_max_length=limit
    ).save_pretrained(str(folder))


def write_t5(folder):
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=20, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, pad_token_id=0)
    T5ForConditionalGeneration(config).save_pretrained(str(folder))
    write_tokenizer(folder, "<s>", "</s>", "<pad>", 512)


def write_clip(folder):
    from transformers import CLIPConfig, CLIPModel

    text = {
        "vocab_size": 20, "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2,
        "max_position_embeddings": 7, "bos_token_id": 1, "eos_token_id": 0, "pad_token_id": 0,
    }  # fmt: skip
    vision = {
        "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 8,
        "patch_size": 4,
    }  # fmt: skip
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision)).save_pretrained(str(folder))
    write_tokenizer(folder, "<s>", "</s>", "</s>", 7)


def write_bert(folder):
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=20, hidden_size=20, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=12,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(str(folder))
    write_tokenizer(folder, "[CLS]", "[SEP]", "[PAD]", 12)


WRITERS = {"t5": write_t5, "clip": write_clip, "bert": write_bert}
WIDTHS = {"t5": 16, "clip": 24, "bert": 20}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    found = {}
    for kind, write in WRITERS.items():
        found[kind] = tmp_path_factory.mktemp(kind)
        torch.manual_seed(0)
        write(found[kind])
    return found


def by_hand(kind, folder, text, length):
    """One text, without padding, through transformers alone."""
    from transformers import AutoTokenizer, BertModel, CLIPModel, T5ForConditionalGeneration

    coded = AutoTokenizer.from_pretrained(str(folder))(text, return_tensors="pt", truncation=True, max_length=length)
    ids = coded["input_ids"]
    with torch.no_grad():
        if kind == "t5":
            return T5ForConditionalGeneration.from_pretrained(str(folder)).eval().encoder(ids).last_hidden_state[0]
        if kind == "bert":
            return BertModel.from_pretrained(str(folder)).eval()(ids).last_hidden_state[0]
        model = CLIPModel.from_pretrained(str(folder)).eval().text_model
        return model(ids, output_hidden_states=True).hidden_states[-2][0]


@pytest.mark.parametrize("kind", list(WRITERS))
def test_embeddings_are_transformers_own_whatever_the_batch(folders, kind):
    encoder = open_text_encoder(folders[kind])
    limit = {"t5": 128, "clip": 7, "bert": 12}[kind]
    assert (encoder.kind, encoder.dim, encoder.max_length) == (kind, WIDTHS[kind], limit)
    batch = encoder(TEXTS)
    for index, text in enumerate(TEXTS):
        expected = by_hand(kind, folders[kind], text, limit)
        count = int(batch.mask[index].sum())
        assert count == len(expected)
        torch.testing.assert_close(batch.tokens[index, :count], expected, rtol=1e-4, atol=1e-4)
        assert batch.tokens[index, count:].abs().sum() == 0
        assert not batch.mask[index, count:].any()


def test_half_precision_stays_near_the_exact_embedding(folders):
    exact = open_text_encoder(folders["t5"])(TEXTS).tokens
    half = open_text_encoder(folders["t5"], dtype="bfloat16")(TEXTS).tokens
    assert half.dtype == torch.float32
    assert 0 < (half - exact).abs().max() < 0.1 * exact.abs().max()


def test_an_encoder_without_some_of_its_weights_is_refused(folders, tmp_path):
    shutil.copytree(folders["t5"], tmp_path / "t5")
    weights = tmp_path / "t5" / "model.safetensors"
    tensors = load_file(weights)
    tensors.pop(next(name for name in tensors if "encoder.block.1" in name))
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(
        ModelError, match=r"no T5EncoderModel: 1 of its layers have no weights, first encoder\.block\.1"
    ):
        open_text_encoder(tmp_path / "t5")


def test_digest_and_fingerprint_follow_the_files(folders, tmp_path):
    shutil.copytree(folders["bert"], tmp_path / "bert")
    original, copy = find_encoder(folders["bert"]), find_encoder(tmp_path / "bert")
    assert (copy.weights_sha256, copy.fingerprint) == (original.weights_sha256, original.fingerprint)
    tokenizer = tmp_path / "bert" / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8").replace("apple", "apples"), encoding="utf-8")
    assert copy.weights_sha256 == original.weights_sha256
    assert copy.fingerprint != original.fingerprint


def test_weights_in_several_files_and_of_pytorch_load_too(folders, tmp_path):
    from transformers import BertModel

    expected = open_text_encoder(folders["bert"])(TEXTS).tokens
    shutil.copytree(folders["bert"], tmp_path / "parts")
    (tmp_path / "parts" / "model.safetensors").unlink()
    model = BertModel.from_pretrained(str(folders["bert"]), add_pooling_layer=False)
    model.save_pretrained(str(tmp_path / "parts"), max_shard_size="5KB")
    parts = open_text_encoder(tmp_path / "parts")
    assert len(list((tmp_path / "parts").glob("model-*.safetensors"))) > 1
    torch.testing.assert_close(parts(TEXTS).tokens, expected)
    assert len(parts.digest) == 64
    shutil.copytree(folders["bert"], tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pickled" / "pytorch_model.bin")
    torch.testing.assert_close(open_text_encoder(tmp_path / "pickled")(TEXTS).tokens, expected)


def test_a_sentencepiece_tokenizer_without_a_converted_file_is_read(folders, tmp_path):
    spm = pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    folder = tmp_path / "t5"
    shutil.copytree(folders["t5"], folder, ignore=shutil.ignore_patterns("tokenizer*", "special*"))
    (tmp_path / "text").write_text("\n".join(["a red apple", "three pears", "an octopus"] * 20), encoding="utf-8")
    spm.SentencePieceTrainer.train(
        input=str(tmp_path / "text"), model_prefix=str(folder / "spiece"), vocab_size=19, pad_id=0, eos_id=1, unk_id=2,
        bos_id=-1, minloglevel=2,
    )  # fmt: skip
    settings = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "eos_token": "</s>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    pieces = spm.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    encoder = open_text_encoder(folder)
    for text in ("three red pears", "an apple"):
        assert int(encoder([text]).mask.sum()) == len(pieces.encode(text)) + 1


def fake_hub(tmp_path, monkeypatch, source=None):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    if source is not None:
        repo = tmp_path / "hub" / "models--acme--tiny"
        (repo / "refs").mkdir(parents=True)
        (repo / "refs" / "main").write_text("0123", encoding="utf-8")
        shutil.copytree(source, repo / "snapshots" / "0123")


def test_a_hub_id_loads_from_the_local_cache_alone(folders, tmp_path, monkeypatch):
    fake_hub(tmp_path, monkeypatch, folders["t5"])
    expected = open_text_encoder(folders["t5"])(TEXTS).tokens
    assert torch.equal(open_text_encoder("acme/tiny")(TEXTS).tokens, expected)


def broken(folder, name, content):
    folder.mkdir()
    (folder / name).write_text(content, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: "acme/absent", "fetch it with `hf download acme/absent"),
        (lambda _: "no such/./place", "is no folder: expected a text encoder's folder, or a hub id"),
        (lambda tmp: tmp, r"expected config\.json"),
        (lambda tmp: broken(tmp / "a", "config.json", "{"), r"config\.json cannot be read"),
        (lambda tmp: broken(tmp / "b", "config.json", '{"model_type": "gpt2"}'), "is a gpt2 model: expected"),
        (lambda tmp: broken(tmp / "c", "config.json", '{"model_type": "t5"}'), r"expected model\.safetensors"),
    ],
)
def test_what_is_no_encoder_is_refused_in_one_line(tmp_path, monkeypatch, make, message):
    fake_hub(tmp_path, monkeypatch)
    with pytest.raises(ModelError, match=message) as caught:
        open_text_encoder(make(tmp_path))
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_refused_in_one_line(folders, tmp_path):
    shutil.copytree(folders["t5"], tmp_path / "t5")
    (tmp_path / "t5" / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="cannot be loaded") as caught:
        open_text_encoder(tmp_path / "t5")
    assert "\n" not in str(caught.value)


def test_an_unknown_precision_is_refused(folders):
    with pytest.raises(ModelError, match="did you mean 'bfloat16'"):
        open_text_encoder(folders["t5"], dtype="bfloat")

from __future__ import annotations

import shutil

import open_clip
import torch
import torch.nn.functional as F
from transformers import AutoTokenizer

from imagen_bench.metrics.extractors import open_extractor
from imagen_bench.tiny.scorer import ScorerConfig, contrastive_loss, model_config, train_scorer

COLOURS = {
    "a red apple": (220, 30, 30),
    "an blue crab": (30, 30, 220),
    "three pears": (30, 200, 30),
    "a red octopus": (240, 240, 20),
}


def pairs(step):
    images = torch.stack(
        [torch.tensor(colour, dtype=torch.uint8).reshape(3, 1, 1).expand(3, 32, 32) for colour in COLOURS.values()]
    )
    return images, list(COLOURS)


def config(**more):
    return ScorerConfig(
        embed_dim=8,
        image_size=32,
        width=32,
        vision_layers=1,
        text_layers=1,
        heads=2,
        context_length=10,
        **more,
    )


def test_a_trained_scorer_is_an_ordinary_open_clip_folder_and_matches_pairs(t5_folder, tmp_path):
    rows = []
    train_scorer(
        pairs,
        t5_folder,
        config(steps=80, batch_size=4, warmup=10, log_every=79, learning_rate=3e-3),
        tmp_path,
        rows.append,
    )
    assert rows[-1]["loss"] < rows[0]["loss"]
    extractor = open_extractor(str(tmp_path))
    images = F.normalize(extractor.image_features(pairs(0)[0]), dim=1)
    texts = F.normalize(extractor.text_features(list(COLOURS)), dim=1)
    assert (images @ texts.T).argmax(1).tolist() == [0, 1, 2, 3]
    assert not list(tmp_path.glob("*.bin"))
    shutil.copytree(tmp_path, tmp_path / "moved" / "clip")
    assert open_extractor(str(tmp_path / "moved" / "clip")).id == extractor.id


def test_equal_captions_are_no_negatives_of_each_other(t5_folder):
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(str(t5_folder))
    model = open_clip.CLIP(**model_config(config(), len(tokenizer)))

    def loss(captions):
        ids = tokenizer(captions, padding="max_length", max_length=10, return_tensors="pt")["input_ids"]
        return contrastive_loss(model, torch.zeros(len(captions), 3, 32, 32), ids)[0].item()

    assert loss(["a red apple", "a red apple"]) < 1e-4
    assert loss(["a red apple", "three pears"]) > 0.1

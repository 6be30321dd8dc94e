"""Malformed inputs, each with the command that is given it: files to write, arguments, what the message names."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CANARY = "canary"
RUN = "run"


@dataclass(frozen=True)
class Case:
    """A command that has to be refused.

    Attributes:
        name: Of the test.
        arguments: Of `imagen-bench`; paths are relative to the case's folder.
        files: What lies in that folder, by relative path.
        says: A part of the message; more than a type or a number.
        spoil: Changes a copy of a finished run in the folder "run", for commands that read one.
    """

    name: str
    arguments: Sequence[str]
    files: Mapping[str, bytes | str] = field(default_factory=dict)
    says: str = ""
    spoil: Callable[[Path], None] | None = None


class Canary:
    """Unpickling it writes the file "canary" into the working folder."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.system, (f"echo executed > {CANARY}",)


def png(width: int = 8, height: int = 8, color: int = 2, depth: int = 8, data: bytes | None = None) -> bytes:
    """A PNG whose header may lie about its pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    rows = data or b"".join(b"\0" + bytes([90]) * (width * channels * depth // 8) for _ in range(height))

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def pickled() -> bytes:
    """A pickle that acts when it is read."""
    return pickle.dumps(Canary())


def torch_zip() -> bytes:
    """What `torch.save` writes, with a payload instead of weights."""
    import torch

    stream = io.BytesIO()
    torch.save({"weights": Canary()}, stream)
    return stream.getvalue()


def object_npz() -> bytes:
    """Statistics in pytorch-fid's layout whose arrays are pickles."""
    import numpy as np

    stream = io.BytesIO()
    np.savez(stream, mu=np.array([Canary()], dtype=object), sigma=np.array([Canary()], dtype=object))
    return stream.getvalue()


def tensors(**values: Any) -> bytes:
    """A safetensors file."""
    import torch
    from safetensors.torch import save

    return save({name: torch.tensor(value) for name, value in values.items()})


def toml(*changes: str, drop: str = "") -> str:
    """A run's configuration with lines added, or replaced where a key is there already; `drop` removes a table."""
    sections: dict[str, dict[str, str]] = {
        "": {"name": '"bad"', "seed": "0"},
        "model": {"name": '"toy"', "generator": '"callable"'},
        "model.options": {"target": '"toy_bench:sample"'},
        "prompts": {"set": '"prompts.csv"'},
        "sweep": {"guidance_weights": "[1, 2]"},
        "scores": {"metrics": '["clip_score"]'},
    }
    if drop:
        sections.pop(drop)
    for change in changes:
        key, value = change.split(" = ", 1)
        table, _, name = key.rpartition(".")
        sections.setdefault(table, {})[name] = value
    lines = []
    for table, rows in sections.items():
        lines += [f"[{table}]"] if table else []
        lines += [f"{name} = {value}" for name, value in rows.items()]
    return "\n".join(lines) + "\n"


PROMPTS = "prompt_id,prompt,category\np1,a red apple,red\np2,a blue cat,blue\n"


def of_config(name: str, config: bytes | str, says: str, **files: bytes | str) -> Case:
    """A run of a wrong configuration."""
    named = {key.replace("__", "."): value for key, value in files.items()}
    return Case(
        f"config: {name}", ["run", "bad.toml", "--out", "out"], {"prompts.csv": PROMPTS, "bad.toml": config, **named},
        says,
    )  # fmt: skip


def of_prompts(name: str, file: str, content: bytes | str, says: str) -> Case:
    """A run on wrong prompts."""
    config = toml(f'prompts.set = "{file}"')
    return Case(f"prompts: {name}", ["run", "ok.toml", "--out", "out"], {"ok.toml": config, file: content}, says)


def of_images(name: str, says: str, *arguments: str, **files: bytes | str) -> Case:
    """A score of wrong images, captions or statistics; two good images lie in "images"."""
    named = {key.replace("__", "."): value for key, value in files.items()}
    good = {"images/a.png": png(32, 32), "images/b.png": png(16, 32), "captions.csv": CAPTIONS}
    given = list(arguments)
    if "--images" not in given:
        given = ["--images", "images", *given]
    return Case(f"score: {name}", ["score", *given], {**good, **named}, says)


CAPTIONS = "file,caption\na.png,a red apple\nb.png,a blue cat\n"


def config_cases() -> list[Case]:
    """Wrong configurations of a run."""
    changed = {
        "unknown table": ("swep.weights = [1]", "swep"),
        "unknown key": ("sweep.guidance_weight = [1]", "did you mean"),
        "seed is text": ('seed = "many"', "seed"),
        "seed is negative": ("seed = -1", "seed"),
        "seed is a fraction": ("seed = 0.5", "seed"),
        "seed is too large": ("seed = 9223372036854775808", "seed"),
        "name leads out": ('name = "../../evil"', "name"),
        "name is absolute": ('name = "/tmp/evil"', "name"),
        "name is empty": ('name = ""', "name"),
        "name is endless": (f'name = "{"x" * 300}"', "name"),
        "name is a number": ("name = 3", "name"),
        "name has a line end": ('name = "a\\nb"', "name"),
        "name is hidden": ('name = ".hidden"', "name"),
        "no weights": ("sweep.guidance_weights = []", "guidance_weights"),
        "weight is text": ('sweep.guidance_weights = ["a"]', "guidance_weights"),
        "weight is true": ("sweep.guidance_weights = [true]", "guidance_weights"),
        "weight is not a number": ("sweep.guidance_weights = [nan]", "guidance_weights"),
        "weight is infinite": ("sweep.guidance_weights = [inf]", "guidance_weights"),
        "weight is negative": ("sweep.guidance_weights = [-1]", "guidance_weights"),
        "weight twice": ("sweep.guidance_weights = [1, 1.0]", "twice"),
        "near-copies of a weight": ("sweep.guidance_weights = [1, 1.00000001]", "6 digits"),
        "weights is a number": ("sweep.guidance_weights = 1", "guidance_weights"),
        "unknown generator": ('model.generator = "calable"', "did you mean"),
        "generator is a list": ("model.generator = []", "generator"),
        "no such prompt set": ('prompts.set = "no-such-set"', "no-such-set"),
        "prompt set is empty": ('prompts.set = ""', "prompts.set"),
        "prompt set is a folder": ('prompts.set = "."', "."),
        "no samples": ("prompts.samples_per_prompt = 0", "samples_per_prompt"),
        "limit zero": ("prompts.limit = 0", "limit"),
        "unknown metric": ('scores.metrics = ["clip_scor"]', "did you mean"),
        "metric twice": ('scores.metrics = ["clip_score", "clip_score"]', "twice"),
        "distance without reference": ('scores.metrics = ["fd"]', "reference"),
        "unknown extractor": ('scores.extractor = "clip"', "extractor"),
        "extractor folder is empty": ('scores.extractor = "."', "open_clip"),
        "reference is missing": (
            'scores.metrics = ["fd"]\nreference = "no-such-folder"', "no-such-folder",
        ),
        "batch of none": ("model.options.batch_size = 0", "batch_size"),
        "batch is text": ('model.options.batch_size = "big"', "batch_size"),
        "batch is true": ("model.options.batch_size = true", "batch_size"),
        "target without colon": ('model.options.target = "toy_bench"', "target"),
        "target of no module": ('model.options.target = "no_such_module:f"', "no_such_module"),
        "target of no function": ('model.options.target = "toy_bench:no_such"', "no_such"),
        "target is no function": ('model.options.target = "toy_bench:SIZE"', "SIZE"),
        "target returns a string": ('model.options.target = "os.path:join"', "join"),
        "target raises": ('model.options.target = "toy_bench:raises"', "toy_bench"),
        "target returns one image too few": ('model.options.target = "toy_bench:one_short"', "expected"),
        "target returns floats": ('model.options.target = "toy_bench:floats"', "expected"),
        "target returns grey": ('model.options.target = "toy_bench:grey"', "expected"),
        "sheets of a weight that is not swept": ("sheets.guidance_weights = [1, 3]", "sweep"),
        "gallery of a weight that is not swept": ("gallery.guidance_weight = 3", "sweep"),
    }  # fmt: skip
    cases = [of_config(name, toml(change), says) for name, (change, says) in changed.items()]
    cases += [
        of_config("empty", "", "missing"),
        of_config("no model", toml(drop="model"), "model"),
        of_config("not TOML", "name = [", "TOML"),
        of_config("JSON", '{"name": "x"}', "TOML"),
        of_config("binary", b"\x00\xff\xfe\x01" * 40, "bad.toml"),
        of_config("UTF-16", toml().encode("utf-16"), "UTF-8"),
        of_config("Latin-1", 'name = "é"\n'.encode("latin-1"), "UTF-8"),
        of_config("key twice", 'name = "a"\nname = "b"\n', "TOML"),
        of_config("table is a value", "sweep = 3\n" + toml(drop="sweep"), "sweep"),
        of_config("a pickle", pickled(), "bad.toml"),
        Case("config: absent", ["run", "absent.toml"], says="absent.toml"),
        Case("config: a folder", ["run", "folder"], {"folder/x": ""}, "folder"),
        Case("config: run.json without config", ["run", "run.json"], {"run.json": "{}"}, "config"),
        Case("config: run.json is a list", ["run", "run.json"], {"run.json": "[]"}, "config"),
        Case("config: --set without value", ["run", "ok.toml", "--set", "seed"], {"ok.toml": toml()}, "seed"),
        Case("config: --set of an unknown key", ["run", "ok.toml", "--set", "sed=1"], {"ok.toml": toml()}, "sed"),
        Case("config: --set through a value", ["run", "ok.toml", "--set", "seed.x=1"], {"ok.toml": toml()}, "seed"),
        Case("config: --limit 0", ["run", "ok.toml", "--limit", "0"], {"ok.toml": toml()}, "limit"),
        Case("config: --part 3/2", ["run", "ok.toml", "--part", "3/2"], {"ok.toml": toml()}, "part"),
        Case("config: --part nonsense", ["run", "ok.toml", "--part", "a/b"], {"ok.toml": toml()}, "part"),
        Case("config: --weights nonsense", ["run", "ok.toml", "--weights", "a"], {"ok.toml": toml()}, "weights"),
        Case(
            "config: out is a file",
            ["run", "ok.toml", "--out", "ok.toml"],
            {"ok.toml": toml(), "prompts.csv": PROMPTS},
            "is a file",
        ),
        Case(
            "config: out holds other things",
            ["run", "ok.toml", "--out", "docs"],
            {"ok.toml": toml(), "prompts.csv": PROMPTS, "docs/thesis.tex": "mine"},
            "thesis.tex",
        ),
    ]
    return cases


def prompt_cases() -> list[Case]:
    """Wrong prompt files."""
    header = "prompt_id,prompt,category\n"
    bad_ids = {
        "leads out": "../../evil", "is absolute": "/etc/passwd", "has a slash": "a/b", "has a backslash": "a\\b",
        "is a dot": ".", "is two dots": "..", "is endless": "x" * 400, "is a device": "con\x01",
    }  # fmt: skip
    cases = [
        of_prompts(f"id {name}", "p.csv", f"{header}{value},a red apple,red\n", "p.csv")
        for name, value in bad_ids.items()
    ]
    cases += [
        of_prompts("empty text file", "p.txt", "", "p.txt"),
        of_prompts("blank lines alone", "p.txt", "\n \n\t\n", "p.txt"),
        of_prompts("text is binary", "p.txt", b"\xff\xfe\x00\x80\x81", "p.txt"),
        of_prompts("csv without rows", "p.csv", header, "p.csv"),
        of_prompts("csv without prompts", "p.csv", "id,words\n1,a\n", "prompt"),
        of_prompts("csv of one id twice", "p.csv", header + "p1,a,x\np1,b,x\n", "p1"),
        of_prompts("csv with an empty prompt", "p.csv", header + "p1,,x\n", "empty"),
        of_prompts("csv with a NUL", "p.csv", header + "p1,a\x00b,x\n", "p.csv"),
        of_prompts("csv in Latin-1", "p.csv", (header + "p1,café,x\n").encode("latin-1"), "p.csv"),
        of_prompts("csv in UTF-16", "p.csv", (header + "p1,a,x\n").encode("utf-16"), "p.csv"),
        of_prompts("csv with rows too long", "p.csv", header + "p1,a,b,c,d,e\n", "p.csv"),
        of_prompts("csv with an open quote", "p.csv", header + 'p1,"a red apple,x\n', "p.csv"),
        of_prompts("jsonl is no JSON", "p.jsonl", "{prompt: a}\n", "p.jsonl"),
        of_prompts("jsonl of lists", "p.jsonl", '["a"]\n', "p.jsonl"),
        of_prompts("jsonl without prompt", "p.jsonl", '{"words": "a"}\n', "prompt"),
        of_prompts("jsonl prompt is a number", "p.jsonl", '{"prompt_id": "p1", "prompt": 3}\n', "p.jsonl"),
        of_prompts("jsonl prompt is null", "p.jsonl", '{"prompt_id": "p1", "prompt": null}\n', "p.jsonl"),
        of_prompts("jsonl nested without end", "p.jsonl", '{"prompt":' + "[" * 5000 + "\n", "p.jsonl"),
        of_prompts("parquet is text", "p.parquet", "not parquet", "p.parquet"),
        of_prompts("parquet is cut", "p.parquet", b"PAR1" + b"\0" * 64, "p.parquet"),
        of_prompts("unknown suffix", "p.docx", "a", "p.docx"),
        Case("prompts: add a missing file", ["prompts", "add", "drawbench", "no.csv"], says="no.csv"),
        Case("prompts: add to an unknown set", ["prompts", "add", "drawbanch", "p.csv"], {"p.csv": PROMPTS}, "drawb"),
        Case("prompts: add other rows", ["prompts", "add", "drawbench", "p.csv"], {"p.csv": PROMPTS}, "200"),
        Case("prompts: show an unknown set", ["prompts", "show", "drawbanch"], says="drawb"),
    ]
    return cases


def image_cases() -> list[Case]:
    """Wrong images, captions, statistics and weights for `score`."""
    bomb = png(60000, 60000, data=b"\0" * 100)
    clip = ("--captions", "captions.csv")
    reference = ("--reference",)
    broken = {
        "zero bytes": b"", "text": b"not an image", "cut": png(32, 32)[:60], "header alone": png()[:20], "a bomb": bomb,
        "a pickle": pickled(), "html": b"<script>alert(1)</script>", "data cut": png(32, 32, data=b"\0\1\2"),
    }  # fmt: skip
    cases = [of_images(f"image is {name}", "z.png", *clip, **{"images/z__png": data}) for name, data in broken.items()]
    cases += [
        Case("score: no such folder", ["score", "--images", "nowhere", *clip], {"captions.csv": CAPTIONS}, "nowhere"),
        Case(
            "score: empty folder",
            ["score", "--images", "docs", *clip],
            {"captions.csv": CAPTIONS, "docs/x": ""},
            "docs",
        ),
        Case(
            "score: images is a file",
            ["score", "--images", "captions.csv", *clip],
            {"captions.csv": CAPTIONS},
            "captions.csv",
        ),
        of_images("nothing to score with", "--captions"),
        of_images("captions are missing", "none.csv", "--captions", "none.csv"),
        of_images("captions are empty", "c.csv", "--captions", "c.csv", c__csv=""),
        of_images("captions without columns", "c.csv", "--captions", "c.csv", c__csv="x,y\n1,2\n"),
        of_images("captions of other images", "a.png", "--captions", "c.csv", c__csv="file,caption\nq.png,a\n"),
        of_images("a caption is missing", "b.png", "--captions", "c.csv", c__csv="file,caption\na.png,a\n"),
        of_images(
            "captions in Latin-1", "c.csv", "--captions", "c.csv", c__csv=CAPTIONS.replace("red", "é").encode("latin-1")
        ),
        of_images("captions are a pickle", "c.csv", "--captions", "c.csv", c__csv=pickled()),
        of_images("captions json is cut", "c.json", "--captions", "c.json", c__json='{"images": ['),
        of_images("captions json of another kind", "c.json", "--captions", "c.json", c__json="[1, 2]"),
        of_images("captions of unknown suffix", "c.xml", "--captions", "c.xml", c__xml="<a/>"),
        of_images("unknown metric", "did you mean", *clip, "--metrics", "clip_scor"),
        of_images("metric twice", "twice", *clip, "--metrics", "clip_score,clip_score"),
        of_images("metric without its reference", "--reference", *clip, "--metrics", "fd"),
        of_images("batch of none", "batch-size", *clip, "--batch-size", "0"),
        of_images("unknown device", "gpu9", *clip, "--device", "gpu9"),
        of_images("unknown extractor", "vit", *clip, "--extractor", "vit"),
        of_images("unknown architecture", "VIT-Q", *clip, "--extractor", "VIT-Q/openai"),
        of_images("extractor is an empty folder", "clip", *clip, "--extractor", "clip", **{"clip/readme": "x"}),
        of_images(
            "extractor weights are a pickle",
            "clip",
            *clip,
            "--extractor",
            "clip",
            **{"clip/open_clip_config__json": "{}", "clip/open_clip_pytorch_model__bin": torch_zip()},
        ),
        of_images("weights file is a pickle", "w.pt", *clip, "--extractor", "ViT-B-32/w.pt", w__pt=torch_zip()),
        of_images(
            "weights of another model",
            "w.safetensors",
            *clip,
            "--extractor",
            "ViT-B-32/w.safetensors",
            w__safetensors=tensors(x=[1.0]),
        ),
        of_images("reference is missing", "nowhere", *reference, "nowhere"),
        of_images("reference is an empty folder", "docs", *reference, "docs", **{"docs/readme": ""}),
        of_images("reference is a text", "r.txt", *reference, "r.txt", r__txt="x"),
        of_images("statistics are text", "s.safetensors", *reference, "s.safetensors", s__safetensors="no tensors"),
        of_images("statistics are a pickle", "s.safetensors", *reference, "s.safetensors", s__safetensors=pickled()),
        of_images(
            "statistics of other things",
            "s.safetensors",
            *reference,
            "s.safetensors",
            s__safetensors=tensors(mean=[0.0]),
        ),
        of_images(
            "statistics are not numbers",
            "s.safetensors",
            *reference,
            "s.safetensors",
            s__safetensors=tensors(mean=[float("nan")], covariance=[[1.0]]),
        ),
        of_images("npz of pickles", "s.npz", *reference, "s.npz", s__npz=object_npz()),
        of_images("npz is cut", "s.npz", *reference, "s.npz", s__npz=object_npz()[:80]),
        of_images("parquet is text", "r.parquet", *reference, "r.parquet", r__parquet="x"),
        of_images("--save-stats without reference", "--reference", *clip, "--save-stats", "s.safetensors"),
        of_images("--out is a folder", "images", *clip, "--out", "images"),
    ]
    return cases


def model_cases() -> list[Case]:
    """Wrong requests to `generate`, and wrong models."""

    def ask(name: str, says: str, *arguments: str, **files: bytes | str) -> Case:
        named = {key.replace("__", "."): value for key, value in files.items()}
        given = ["generate", *arguments]
        given += [] if "--model" in arguments else ["--model", "imagen-emoji"]
        given += [] if "--prompt" in arguments else ["--prompt", "a red apple"]
        return Case(f"generate: {name}", given, named, says)

    layout = '[model]\ntext_encoder = "t"\nbase = "b"\n'
    return [
        ask("unknown model", "imagen-emoij", "--model", "imagen-emoij"),
        ask("model is an empty folder", "config.toml", "--model", "m", **{"m/readme": ""}),
        ask("model's config is no TOML", "config.toml", "--model", "m", **{"m/config__toml": "["}),
        ask("model's parts are missing", "m", "--model", "m", **{"m/config__toml": layout}),
        ask(
            "model's part leads out",
            "m",
            "--model",
            "m",
            **{"m/config__toml": '[model]\ntext_encoder="../../t"\nbase="b"\n'},
        ),
        ask("guidance is no number", "guidance", "--guidance", "strong"),
        ask("guidance is negative", "guidance", "--guidance", "-2"),
        ask("guidance is not a number", "guidance", "--guidance", "nan"),
        ask("seed is negative", "seed", "--seed", "-1"),
        ask("no samples", "samples", "--samples", "0"),
        ask("unknown option", "stepps", "--set", "base.stepps=3"),
        ask("no steps", "steps", "--set", "base.steps=0"),
        ask("steps is text", "steps", "--set", "base.steps=many"),
        ask("unknown sampler", "sampler", "--set", "base.sampler=euler9"),
        ask("percentile above 100", "percentile", "--set", "base.percentile=101"),
        ask("unknown stage", "sr9", "--stage", "sr9"),
        ask("unknown device", "gpu9", "--set", "device=gpu9"),
        ask("unknown generator", "bundeld", "--generator", "bundeld"),
        ask("image to enlarge is missing", "small.png", "--from-image", "small.png"),
        ask("image to enlarge is text", "small.png", "--from-image", "small.png", small__png="x"),
        ask(
            "image to enlarge has another size",
            "8x8",
            "--from-image",
            "small.png",
            "--stage",
            "cascade",
            small__png=png(),
        ),
        ask("--out is a file of another kind", "red.txt", "--out", "red.txt", red__txt="mine"),
    ]


def train_cases() -> list[Case]:
    """Wrong training jobs."""
    good = {
        "": {"task": '"stage"', "out": '"out"', "text_encoder": '"models/imagen-emoji/text_encoder"'},
        "data": {"kind": '"folder"', "root": '"pictures"', "captions": '"pictures/c.csv"'},
        "stage": {"name": '"base"', "image_size": "16"},
        "stage.unet": {
            "kind": '"efficient"', "dim": "8", "channel_mult": "[1, 2]", "blocks": "[1, 1]",
            "attention": '["none", "self+text"]', "text_dim": "128", "head_dim": "8", "patch_size": "2",
        },
        "recipe": {"steps": "1", "batch_size": "2", "learning_rate": "1e-3"},
    }  # fmt: skip
    text = "\n".join(
        line
        for table, rows in good.items()
        for line in ([f"[{table}]"] if table else []) + [f"{name} = {value}" for name, value in rows.items()]
    )
    pictures = {"pictures/a.png": png(16, 16), "pictures/c.csv": "file,caption\na.png,a red apple\n"}

    def wrong(name: str, says: str, *sets: str, **files: bytes | str) -> Case:
        named = {key.replace("__", "."): value for key, value in files.items()}
        given = [part for change in sets for part in ("--set", change)]
        return Case(f"train: {name}", ["train", "t.toml", *given], {"t.toml": text, **pictures, **named}, says)

    return [
        wrong("unknown task", "task", "task=paint"),
        wrong("unknown key", "lerning", "recipe.lerning_rate=1"),
        wrong("no steps", "steps", "recipe.steps=0"),
        wrong("rate is text", "learning_rate", "recipe.learning_rate=fast"),
        wrong("batch does not divide", "batch_size", "recipe.batch_size=3", "recipe.accumulate=2"),
        wrong("unknown optimiser", "optimiser", "recipe.optimiser=sgd9"),
        wrong("crop is too large", "crop", "recipe.crop=64"),
        wrong("unknown prediction", "prediction", "stage.diffusion.prediction=y"),
        wrong("widths and blocks differ in number", "blocks", "stage.unet.blocks=[1]"),
        wrong("text width of another encoder", "128", "stage.unet.text_dim=64"),
        wrong("encoder is missing", "no-such", "text_encoder=./no-such"),
        wrong("data is missing", "nowhere", "data.root=nowhere", "data.captions=nowhere.csv"),
        wrong("picture is broken", "a.png", **{"pictures/a__png": b"x"}),
        wrong("caption of no picture", "q.png", **{"pictures/c__csv": "file,caption\nq.png,a\n"}),
        wrong("all held out", "held", "data.held_out=5"),
        wrong("unknown device", "gpu9", "device=gpu9"),
        Case("train: nothing to resume", ["train", "t.toml", "--resume"], {"t.toml": text, **pictures}, "resume"),
        Case(
            "train: start from a pickle",
            ["train", "t.toml", "--init-from", "old"],
            {"t.toml": text, **pictures, "old/config.json": "{}", "old/model.safetensors": pickled()},
            "old",
        ),
        Case(
            "train: emoji without sprites",
            ["train", "t.toml", "--set", "data.kind=emoji"],
            {"t.toml": text, **pictures},
            "pictures",
        ),
    ]


def run_cases() -> list[Case]:
    """Run folders that were damaged or are none."""

    def damaged(name: str, arguments: Sequence[str], says: str, spoil: Callable[[Path], None]) -> Case:
        return Case(f"run folder: {name}", list(arguments), {}, says, spoil)

    def write(relative: str, content: bytes | str) -> Callable[[Path], None]:
        data = content if isinstance(content, bytes) else content.encode()
        return lambda run: (run / relative).write_bytes(data) and None

    def edit(**changes: Any) -> Callable[[Path], None]:
        def spoil(run: Path) -> None:
            record = json.loads((run / "run.json").read_text())
            (run / "run.json").write_text(json.dumps(record | changes))

        return spoil

    cases = []
    for command in (
        ["report", RUN, "--out", "out"],
        ["pareto", RUN],
        ["compare", RUN, RUN],
        ["drawbench", "export", f"{RUN}@1", f"{RUN}@2", "--out", "s"],
        ["merge", RUN, "--out", "out"],
        ["rerun", RUN, "--out", "out"],
    ):
        word = " ".join(command[:2] if command[0] == "drawbench" else command[:1])
        cases += [
            Case(f"run folder: {word} of nothing", command, {}, RUN),
            Case(f"run folder: {word} of a foreign folder", command, {f"{RUN}/notes.txt": "mine"}, "run.json"),
            damaged(f"{word} of a cut run.json", command, "run.json", write("run.json", '{"schema": 1, "na')),
            damaged(f"{word} of run.json that is a list", command, "schema", write("run.json", "[]")),
            damaged(f"{word} of a later schema", command, "schema", edit(schema=99)),
        ]
    cases += [
        damaged(
            "report without columns", ["report", RUN, "--out", "out"], "scores.csv", write("scores.csv", "a,b\n1,2\n")
        ),
        damaged(
            "report of words for numbers",
            ["report", RUN, "--out", "out"],
            "scores.csv",
            lambda run: _replace_scores(run, "many"),
        ),
        damaged(
            "report of broken samples",
            ["report", RUN, "--out", "out"],
            "samples.parquet",
            write("samples.parquet", b"PAR1xx"),
        ),
        damaged("pareto without scores", ["pareto", RUN], "score the runs", lambda run: (run / "scores.csv").unlink()),
        damaged(
            "compare without scores", ["compare", RUN, RUN], "scores.csv", lambda run: (run / "scores.csv").unlink()
        ),
        damaged(
            "compare with a wrong gate",
            ["compare", RUN, RUN, "--fail-if", "clip_score is bad"],
            "gate",
            lambda run: None,
        ),
        damaged("pareto at no number", ["pareto", RUN, "--at-clip", "x"], "at-clip", lambda run: None),
        damaged(
            "run continues another",
            ["run", "ok.toml", "--out", RUN],
            "another run",
            lambda run: _other_config(run.parent),
        ),
        damaged(
            "merge into a foreign folder", ["merge", RUN, "--out", "docs"], "docs", lambda run: _foreign(run.parent)
        ),
    ]
    return cases


def _replace_scores(run: Path, word: str) -> None:
    lines = (run / "scores.csv").read_text().splitlines()
    cells = lines[1].split(",")
    cells[lines[0].split(",").index("value")] = word
    (run / "scores.csv").write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n")


def _other_config(folder: Path) -> None:
    (folder / "prompts.csv").write_text(PROMPTS)
    (folder / "ok.toml").write_text(toml("seed = 77"))


def _foreign(folder: Path) -> None:
    (folder / "docs").mkdir()
    (folder / "docs" / "thesis.tex").write_text("mine")


def all_cases() -> list[Case]:
    """The whole corpus."""
    return [*config_cases(), *prompt_cases(), *image_cases(), *model_cases(), *train_cases(), *run_cases()]

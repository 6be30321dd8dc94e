"""What tests of several folders use: tiny models, a prompt set to fetch, tables of samples, a browser."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from imagen_bench.config import RunConfig

CLIP_DIM = 16
CONTEXT = 12
WORDS = ("a", "the", "red", "green", "blue", "square", "circle", "cat", "cats", "dog", "on", "two", "left")
MODEL = {
    "embed_dim": CLIP_DIM,
    "vision_cfg": {"image_size": 32, "patch_size": 8, "width": 32, "layers": 2, "head_width": 16},
    "text_cfg": {
        "context_length": CONTEXT,
        "vocab_size": len(WORDS) + 3,
        "width": 32,
        "heads": 2,
        "layers": 2,
        "pool_type": "eos",
        "eos_id": 1,
        "pad_id": 0,
        "hf_tokenizer_name": "tokenizer",
    },
}
PREPROCESS = {
    "mean": [0.48, 0.46, 0.41],
    "std": [0.27, 0.26, 0.28],
    "interpolation": "bicubic",
    "resize_mode": "shortest",
}

# Id, prompt, category, challenge of a prompt set that has to be fetched, in its official order.
FETCHED_ROWS = (
    ("zoo-1", "A cat's meow.", "Zoo", "Sound"),
    ("zoo-2", "Two öxen, one red.", "Zoo", "Colour"),
    ("art-1", '"Hello", in oil.', "Art", ""),
    ("art-2", "A collection of nail is here.", "Art", "Style"),
    ("art-3", "An etching of rain.", "Art", "Style"),
)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the network: a socket that leaves this machine is an error, whatever a test calls."""
    connect = socket.socket.connect

    def local(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(errno.ENETUNREACH, f"tests are offline, and something asked for {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local)


@pytest.fixture(scope="session")
def write_coco() -> Callable[..., Path]:
    """Write a small COCO in the official layout: photos of three shapes, five to seven captions each."""
    import numpy as np
    from PIL import Image

    def write(root: Path, images: int = 12, split: str = "val2014", folder: str = "") -> Path:
        place = root / (folder or split)
        place.mkdir(parents=True, exist_ok=True)
        prefix = "" if split == "val2017" else f"COCO_{split}_"
        entries, notes = [], []
        for number in range(images):
            image_id = 1000 + 37 * number
            width, height = ((64, 48), (48, 64), (50, 50))[number % 3]
            pixels = np.random.default_rng(image_id).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
            name = f"{prefix}{image_id:012d}.jpg"
            Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).save(place / name, quality=90)
            entries.append({"id": image_id, "file_name": name, "width": width, "height": height})
            for which in range(5 + number % 3):
                caption = f"Photo {image_id}, described for the {which + 1}. time. "
                notes.append({"id": 50_000 - len(notes), "image_id": image_id, "caption": caption})
        file = root / "annotations" / f"captions_{split}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"info": {}, "images": entries, "annotations": notes}), encoding="utf-8")
        return root

    return write


@pytest.fixture(autouse=True)
def data_home_of_the_test(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep tests away from the user's data folder: its cache of features would make them depend on each other."""
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path_factory.mktemp("data-home")))


@pytest.fixture
def small_coco(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let val2014 have been published with the numbers of `write_coco`, and the draws be as small."""
    from dataclasses import replace

    from imagen_bench.data.coco import SPLITS
    from imagen_bench.data.coco_prompts import DRAWS

    split = replace(SPLITS["val2014"], images=12, captions=72)
    monkeypatch.setitem(SPLITS, "val2014", split)
    for name, count in (("coco-30k", 5), ("coco-10k", 3), ("coco-30k-captions", 30), ("coco-10k-captions", 10)):
        monkeypatch.setitem(DRAWS, name, replace(DRAWS[name], split=split, count=count))


@pytest.fixture
def fetched_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Define the prompt set "toy", five rows, none of them here; the user's data folder is `tmp_path / "home"`."""
    from functools import partial

    from imagen_bench.data import prompt_store, prompts
    from imagen_bench.registry import Registry

    folder = tmp_path / "definitions" / "toy"
    folder.mkdir(parents=True)
    lines = ["prompt_id,category,digest"]
    for prompt_id, prompt, category, challenge in FETCHED_ROWS:
        row = json.dumps([category, prompt, challenge], ensure_ascii=False, separators=(",", ":"))
        lines.append(f"{prompt_id},{category},{hashlib.sha256(row.encode()).hexdigest()[:16]}")
    (folder / "rows.csv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    listing = [[prompt_id, prompt, category] for prompt_id, prompt, category, _ in FETCHED_ROWS]
    whole = json.dumps(listing, ensure_ascii=False, separators=(",", ":")).encode()
    (folder / "definition.toml").write_text(
        f"""id = "toy"\nversion = "1"\ntitle = "t"\nsummary = "s"\nlicence = "none stated"\nsource = "s"
url = "https://toy.invalid/toy"\nformat = ".csv"\ncolumns = ["Challenge"]
digest = "{hashlib.sha256(whole).hexdigest()}"
[categories]\nZoo = 2\nArt = 3\n[probes]\nZoo = "Animals."\nArt = "Works."\n""",
        encoding="utf-8",
    )
    registry: Registry[Any] = Registry("prompt set")
    registry.register("toy")(partial(prompt_store.load_stored, "toy"))
    registry.register("ours")(lambda: prompts.PromptSet("ours", "1", "0" * 64, ()))
    monkeypatch.setattr(prompts, "prompt_sets", registry)
    monkeypatch.setattr(prompt_store, "OUTSIDE_SETS", ("toy",))
    monkeypatch.setattr(prompt_store, "asset", lambda name: tmp_path / "definitions" / Path(name).name)
    monkeypatch.setenv("IMAGEN_BENCH_HOME", str(tmp_path / "home"))
    return folder


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP with its own word tokenizer, 32 x 32 pixels, 16 dimensions, at most 12 tokens."""
    folder = tmp_path_factory.mktemp("models") / "tiny-clip"
    folder.mkdir()
    write_clip(folder, MODEL)
    write_tokenizer(folder)
    return folder


def write_clip(folder: Path, model: dict[str, Any], seed: int = 0) -> None:
    import open_clip
    import torch
    from safetensors.torch import save_file

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        clip = open_clip.CLIP(**model)
    save_file(clip.state_dict(), folder / "open_clip_model.safetensors")
    config = {"model_cfg": model, "preprocess_cfg": PREPROCESS}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")


def write_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(["<pad>", "</s>", "<unk>", *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(str(folder))


@pytest.fixture(scope="session")
def t5_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 encoder with random weights in transformers' own format, 16 channels wide."""
    import torch
    from transformers import T5Config, T5EncoderModel

    from imagen_bench.tiny.text_encoder import TextEncoderConfig, train_tokenizer

    folder = tmp_path_factory.mktemp("t5")
    words = [
        f"{number} {thing}"
        for number in ("a red", "three", "an blue")
        for thing in ("apple", "crab", "pears", "octopus")
    ]
    train_tokenizer(words, TextEncoderConfig(vocab_size=160), folder)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=160, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, feed_forward_proj="gated-gelu",
        is_encoder_decoder=False, use_cache=False,
    )  # fmt: skip
    T5EncoderModel(config).save_pretrained(str(folder))
    return folder


@pytest.fixture
def torchrun(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `imagen-bench ARGUMENTS` in several processes of one machine, over gloo; returns what they printed."""

    def run(workers: int, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={workers}"]
        command = [*launch, "-m", "imagen_bench", *map(str, arguments)]
        package = str(Path(__file__).parents[1])
        given = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": package, **environment}
        return subprocess.run(command, capture_output=True, text=True, check=False, env=given, cwd=tmp_path)

    return run


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    """Config of a small run in tmp_path (prompts, reference images), scored by a stub extractor of tests/toys."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent / "toys"))
    import toy_bench

    monkeypatch.setattr("imagen_bench.bench.evaluate.open_extractor", toy_bench.StubExtractor)
    config: RunConfig = toy_bench.write_world(tmp_path)
    return config


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, Any]]:
    """Read everything that a run made and that is promised to be equal: all but times."""
    import pandas as pd

    def read(path: Path) -> dict[str, Any]:
        files = path.glob("images/**/*.png")
        found: dict[str, Any] = {file.relative_to(path).as_posix(): file.read_bytes() for file in files}
        for name in ("scores.csv", "samples_scores.parquet"):
            found[name] = (path / name).read_bytes()
        found["samples"] = pd.read_parquet(path / "samples.parquet").drop(columns="seconds").to_csv()
        return found

    return read


# Columns of a run's samples.parquet, as the run folder's documentation lists them.
SAMPLE_COLUMNS = ("prompt_id", "prompt", "category", "index", "seed", "guidance_weight", "path", "sha256", "seconds")


@pytest.fixture(scope="session")
def write_samples() -> Callable[[Path, Sequence[tuple[object, ...]]], None]:
    """Write rows, in the order of `SAMPLE_COLUMNS`, as the table of samples of a run folder."""
    import pandas as pd

    def write(folder: Path, rows: Sequence[tuple[object, ...]]) -> None:
        pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS)).to_parquet(folder / "samples.parquet", index=False)

    return write


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER_ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]

# Contrast of each piece of text with the nearest opaque background behind it, by WCAG's formula.
CONTRAST = """() => {
  const parse = (css) => (css.match(/[\\d.]+/g) || []).map(Number);
  const light = (c) => c.slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const c = parse(getComputedStyle(at).backgroundColor);
      if (c.length === 3 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  const poor = [];
  for (const node of document.querySelectorAll("body *:not(svg *):not(script):not(:disabled)")) {
    const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
    if (!own || !node.getClientRects().length) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(ground(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) poor.push(node.textContent.trim().slice(0, 40));
  }
  return poor;
}"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium of this machine; tests that need it are skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        pytest.skip(f"no Chromium found (looked for {', '.join(BROWSERS)})")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=BROWSER_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def poor_contrast() -> Callable[[Page], list[str]]:
    """Return the texts of a page that stand out too little from what is behind them (WCAG: below 4.5 to 1)."""

    def check(page: Page) -> list[str]:
        texts: list[str] = page.evaluate(CONTRAST)
        return texts

    return check


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file like the release file of the FID Inception network: names and shapes are its own, numbers are random."""
    import torch

    from imagen_bench.metrics.inception import InceptionWeights

    file = tmp_path_factory.mktemp("weights") / "random-inception.pth"
    network = InceptionWeights.__new__(InceptionWeights)
    torch.nn.Module.__init__(network)
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        network._build()
    torch.save({key: random_weight(key, t, generator) for key, t in network.state_dict().items()}, file)
    return file


def random_weight(key: str, like: Any, generator: Any) -> Any:
    """Numbers that keep activations of the network neither vanishing nor growing."""
    import torch

    if key.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    noise = torch.randn(like.shape, generator=generator)
    if key.endswith(("running_var", "bn.weight")):
        return 1 + 0.2 * noise.clamp(-2, 2)
    if like.ndim < 2:
        return 0.1 * noise
    return noise * (2 / like[0].numel()) ** 0.5

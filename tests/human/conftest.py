"""Small run folders on disk, written by the documented layout rather than by the package."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from imagen_bench.human.arms import Arm, ReferenceArm

PROMPTS = (
    ("zebra-01", "a red pear", "Kategorie Eins"),
    ("zebra-02", 'three "owls", <b>flying</b>', "Kategorie Eins"),
    ("zebra-03", "=SUM(A1:A9)", "Kategorie Eins"),
    ("yak-01", "a cat & a dog </script><script>alert(1)</script>", "Kategorie Zwei"),
    ("yak-02", "Schönhausen, ein Märchen", "Kategorie Zwei"),
)
MakeRun = Callable[..., Path]
WriteSamples = Callable[[Path, Sequence[tuple[object, ...]]], None]


def write_run(
    path: Path,
    write_samples: WriteSamples,
    *,
    weights: Sequence[float] = (3.625,),
    samples: int = 2,
    size: tuple[int, int] = (12, 12),
    tint: int = 0,
    prompts: Sequence[tuple[str, str, str]] = PROMPTS,
) -> Path:
    rows: list[tuple[object, ...]] = []
    for weight in weights:
        for number, (prompt_id, prompt, category) in enumerate(prompts):
            for index in range(samples):
                relative = f"images/w={weight:g}/0000/{prompt_id}_{index}.png"
                file = path / relative
                file.parent.mkdir(parents=True, exist_ok=True)
                picture = Image.new("RGB", size, (40 * number, 60 * index, tint))
                picture.putpixel((0, 0), (255, 255, 255))
                note = PngImagePlugin.PngInfo()
                note.add_text("parameters", f"SecretModel {prompt_id} w={weight}")
                picture.save(file, pnginfo=note)
                digest = hashlib.sha256(file.read_bytes()).hexdigest()
                seed = 7_000_000_019 + 1009 * number + index + tint
                rows.append((prompt_id, prompt, category, index, seed, weight, relative, digest, 0.5))
    write_samples(path, rows)
    run = {"schema": 1, "name": path.name, "config": {}, "prompts": {"id": "zoo", "digest": "ab12"}}
    (path / "run.json").write_text(json.dumps(run), encoding="utf-8")
    return path


@pytest.fixture
def make_run(tmp_path: Path, write_samples: WriteSamples) -> MakeRun:
    """Write a run folder below `tmp_path/secretmodels`; arguments as those of `write_run`."""

    def make(name: str, **options: object) -> Path:
        return write_run(tmp_path / "secretmodels" / name, write_samples, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def arms(make_run: MakeRun) -> tuple[Arm, Arm]:
    """Two arms with two samples a prompt."""
    one = make_run("alphamodel", tint=0)
    other = make_run("betamodel", tint=200)
    return Arm("alphamodel@3.625", one, 3.625), Arm("betamodel@3.625", other, 3.625)


@pytest.fixture(scope="session")
def shared_arms(tmp_path_factory: pytest.TempPathFactory, write_samples: WriteSamples) -> tuple[Arm, Arm]:
    """The same two arms, written once; for tests that change nothing."""
    folder = tmp_path_factory.mktemp("secretmodels")
    one, other = (
        write_run(folder / name, write_samples, tint=tint) for name, tint in (("alphamodel", 0), ("betamodel", 200))
    )
    return Arm("alphamodel@3.625", one, 3.625), Arm("betamodel@3.625", other, 3.625)


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> ReferenceArm:
    """A JPEG of another size for each prompt of `PROMPTS`, with telling metadata and a caption file."""
    folder = tmp_path_factory.mktemp("secretphotos")
    lines = ["file,caption"]
    for number, (prompt_id, prompt, _) in enumerate(PROMPTS):
        noise = Image.effect_noise((40 + number, 30), 60).convert("RGB")
        exif = Image.Exif()
        exif[0x010F] = f"SecretCamera {prompt_id}"
        noise.save(folder / f"secretphoto{number}.jpg", exif=exif, comment=b"SecretCamera")
        quoted = prompt.replace('"', '""')
        lines.append(f'secretphoto{number}.jpg,"{quoted}"')
    captions = folder / "captions.csv"
    captions.write_text("\n".join(lines), encoding="utf-8")
    return ReferenceArm(folder, captions, "photoset")

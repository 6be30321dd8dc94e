"""Every defect of an image set is found, by name, and a clean set has none."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imagen_bench.data.captions import load_captions
from imagen_bench.data.hygiene import HygieneReport, check_images
from imagen_bench.data.references import open_image_set
from imagen_bench.errors import InputError
from imagen_bench.images import read_image

COCO = Path(__file__).parents[3] / "shared" / "data" / "coco-mini" / "images"


def noise(seed: int, size: tuple[int, int] = (40, 48)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))


def png_of_16_bits(side: int = 40) -> bytes:
    """Colour of 16 bits a channel, which Pillow can read but not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = np.random.default_rng(0).integers(0, 256, (side, 1 + side * 6), dtype=np.uint8)
    rows[:, 0] = 0
    header = struct.pack(">IIBBBBB", side, side, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows.tobytes())) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def clean(folder: Path, count: int = 4) -> Path:
    folder.mkdir(parents=True)
    for number in range(count):
        noise(number).save(folder / f"{number}.png")
    return folder


def found(report: HygieneReport) -> dict[str, tuple[str, ...]]:
    return {finding.kind: finding.names for finding in report.findings}


def check(folder: Path) -> HygieneReport:
    return check_images(open_image_set(folder))


def test_a_clean_set_has_no_finding(tmp_path: Path) -> None:
    report = check(clean(tmp_path / "set"))
    assert (report.images, report.findings, report.lines()) == (4, (), [])
    report.refuse(strict=True)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    # Turned, it has the size of the others.
    return saved(noise(9, (48, 40)), "PNG", exif=exif)


def with_alpha(alpha: int) -> bytes:
    image = noise(9).convert("RGBA")
    image.putpixel((3, 3), (1, 2, 3, alpha))
    return saved(image, "PNG")


def animation() -> bytes:
    return saved(noise(9), "PNG", save_all=True, append_images=[noise(10)])


@pytest.mark.parametrize(
    ("name", "data", "kinds"),
    [
        ("x.png", b"", {"unreadable"}),
        ("x.png", b"GIF89a no picture", {"unreadable"}),
        ("x.png", b"<html>not found</html>", {"unreadable"}),
        ("x.png", saved(noise(9), "PNG")[:-800], {"truncated"}),
        ("x.png", saved(noise(9), "PNG")[:40], {"unreadable"}),
        ("x.png", saved(Image.new("1", (20_000, 8_000)), "PNG"), {"giant"}),
        ("x.png", png_of_16_bits(), {"sixteen-bit", "mixed-sizes"}),
        ("x.png", saved(Image.fromarray(np.arange(1920, dtype=np.uint16).reshape(48, 40)), "PNG"), {"sixteen-bit"}),
        ("x.png", saved(noise(9).quantize(8), "PNG"), {"palette"}),
        ("x.png", with_alpha(200), {"transparent"}),
        ("x.png", with_alpha(255), set()),
        ("x.png", turned(), {"rotated"}),
        ("x.png", animation(), {"animated"}),
        ("x.png", saved(noise(9, (31, 100)), "PNG"), {"tiny", "mixed-sizes"}),
        ("x.png", saved(Image.new("RGB", (40, 48), (7, 8, 9)), "PNG"), {"blank"}),
        ("x.png", saved(Image.new("L", (40, 48)), "PNG"), {"blank"}),
        ("x.png", saved(noise(0), "PNG", compress_level=0), {"duplicates"}),
        ("x.png", saved(noise(9, (48, 40)), "PNG"), {"mixed-sizes"}),
        ("x.jpg", saved(noise(9), "JPEG"), {"jpeg"}),
        ("x.png", saved(noise(9), "JPEG"), {"jpeg"}),
        ("x.jpg", saved(noise(9).convert("CMYK"), "JPEG"), {"jpeg", "cmyk"}),
        ("x.webp", saved(noise(9), "WEBP", lossless=True), set()),
    ],
)  # fmt: skip
def test_each_defect_is_found_by_name(tmp_path: Path, name: str, data: bytes, kinds: set[str]) -> None:
    folder = clean(tmp_path / "set")
    (folder / name).write_bytes(data)
    report = check(folder)
    assert set(found(report)) == kinds
    assert report.images == 5
    assert all(names[0].startswith(name) and len(names) == 1 for names in found(report).values())
    # What stops a score is what cannot be read, neither more nor less.
    stops = any(finding.severity == "error" for finding in report.findings)
    if stops:
        with pytest.raises(InputError):
            read_image(folder / name)
        with pytest.raises(InputError, match=name):
            report.refuse()
    else:
        read_image(folder / name)
        report.refuse()


def test_lines_name_five_files_and_the_number(tmp_path: Path) -> None:
    folder = clean(tmp_path / "set", 2)
    for number in range(7):
        Image.new("RGB", (40, 48), (number, 0, 0)).save(folder / f"blank{number}.png")
    noise(5).quantize(8).save(folder / "p.png")
    first, second = check(folder).lines()
    assert first.startswith(
        "warning: images of a single colour: 7 (blank0.png, blank1.png, blank2.png, blank3.png, blank4.png, ...); "
    )
    assert second.startswith("note: images with a palette: 1 (p.png); ")


def test_strict_refuses_warnings_and_not_notes(tmp_path: Path) -> None:
    folder = clean(tmp_path / "set")
    noise(5).quantize(8).save(folder / "p.png")
    check(folder).refuse(strict=True)
    Image.new("RGB", (40, 40)).save(folder / "b.png")
    report = check(folder)
    report.refuse()
    with pytest.raises(
        InputError, match=r"single colour: 1 \(b\.png\).*leave --strict out.*also found: mixed-sizes \(b\.png 40x40\)"
    ):
        report.refuse(strict=True)


def test_all_jpeg_is_a_note(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for number in range(2):
        noise(number).save(folder / f"{number}.jpg")
    (line,) = check(folder).lines()
    assert line.startswith("note: JPEG files: 2 (0.jpg, 1.jpg); ")


def test_copies_of_the_reference_are_found_by_file_and_by_pixels(tmp_path: Path) -> None:
    folder = clean(tmp_path / "set", 5)
    reference = tmp_path / "reference"
    (reference / "deep").mkdir(parents=True)
    (reference / "deep" / "same-file.png").write_bytes((folder / "1.png").read_bytes())
    noise(3).save(reference / "same-pixels.bmp")
    noise(4, (48, 40)).save(reference / "other-size.png")
    noise(100).save(reference / "foreign.png")
    opened = open_image_set(reference)
    report = check_images(open_image_set(folder), opened)
    assert found(report) == {"contamination": ("1.png = deep/same-file.png", "3.png = same-pixels.bmp")}
    assert "hashes" in opened.__dict__
    assert opened.digest == open_image_set(reference).digest


def test_captions_and_images_that_do_not_fit(tmp_path: Path) -> None:
    folder = clean(tmp_path / "set")
    (tmp_path / "c.csv").write_text("file,caption\n0.png,a\n1.png,b\n3.png,d\n9.png,e\n")
    report = check_images(open_image_set(folder), captions=load_captions(tmp_path / "c.csv"))
    assert found(report) == {"no-caption": ("2.png",), "no-image": ("9.png",)}
    (tmp_path / "c.txt").write_text("a\nb\nc\nd\ne\n")
    report = check_images(open_image_set(folder), captions=load_captions(tmp_path / "c.txt"))
    assert found(report) == {"no-image": ("line 5",)}
    (tmp_path / "d.txt").write_text("a\nb\nc\nd\n")
    assert check_images(open_image_set(folder), captions=load_captions(tmp_path / "d.txt")).findings == ()


def test_the_pass_gives_the_set_its_hashes_and_a_later_change_is_refused(tmp_path: Path) -> None:
    folder = clean(tmp_path / "set")
    images = open_image_set(folder)
    check_images(images)
    assert "hashes" in images.__dict__
    assert images.digest == open_image_set(folder).digest
    noise(77).save(folder / "2.png")
    with pytest.raises(InputError, match=r"2\.png' was changed while it was in use"):
        list(images.batches(2))


def test_parquet_is_looked_over_too(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"bytes": data, "path": f"{n}.png"} for n, data in enumerate([saved(noise(1), "PNG"), b"nothing"])]
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.table({"image": pa.array(rows, kind)}), tmp_path / "s.parquet")
    assert found(check(tmp_path / "s.parquet")) == {"unreadable": ("1.png",)}


def test_findings_as_json_hold_all_names(tmp_path: Path) -> None:
    folder = clean(tmp_path / "set", 1)
    for number in range(8):
        (folder / f"e{number}.png").write_bytes(b"")
    (entry,) = check(folder).to_json()
    assert entry["count"] == len(entry["names"]) == 8
    assert entry["kind"] == "unreadable"


@pytest.mark.skipif(not COCO.is_dir(), reason="needs the COCO pictures beside the checkout")
def test_real_photographs_have_mixed_sizes_and_are_jpeg() -> None:
    assert set(found(check(COCO))) == {"mixed-sizes", "jpeg"}

from __future__ import annotations

import json
from pathlib import Path

import pytest

from imagen_bench.data.captions import Caption, load_captions, match_captions
from imagen_bench.errors import InputError

COCO = Path(__file__).parents[3] / "shared" / "data" / "coco-mini"


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def coco(images: list[tuple[int, str]], notes: list[tuple[int, int, str]]) -> str:
    return json.dumps(
        {
            "images": [{"id": identity, "file_name": name, "width": 4} for identity, name in images],
            "annotations": [{"id": i, "image_id": image, "caption": text} for i, image, text in notes],
        }
    )


def test_csv_with_quotes_newlines_and_a_byte_order_mark(tmp_path: Path) -> None:
    file = write(tmp_path / "c.csv", '\ufefffile_name,text,category\na.png,"a, ""red""\nsquare",color\nb.png,a cat,\n')
    assert load_captions(file).rows == (
        Caption("a.png", 'a, "red"\nsquare', "color"),
        Caption("b.png", "a cat"),
    )


def test_jsonl_and_txt(tmp_path: Path) -> None:
    jsonl = write(
        tmp_path / "c.jsonl",
        '{"file": "a.png", "prompt": "eins\u2028zwei"}\n\n{"file": "b.png", "prompt": "b"}\n',
    )
    assert [row.text for row in load_captions(jsonl).rows] == ["eins\u2028zwei", "b"]
    captions = load_captions(write(tmp_path / "c.txt", "first\r\nsecond\r\n"))
    assert captions.rows == (Caption(None, "first"), Caption(None, "second"))
    assert [c[0].text for c in match_captions(["a.png", "b.png"], captions)] == ["first", "second"]


def test_coco_layout_may_cover_more_images_and_keeps_their_order(tmp_path: Path) -> None:
    text = coco([(1, "1.jpg"), (2, "2.jpg")], [(9, 1, "later"), (3, 1, "earlier"), (5, 2, "other")])
    captions = load_captions(write(tmp_path / "captions.json", text))
    assert captions.covers_more
    assert [c.text for c in match_captions(["1.png"], captions)[0]] == ["earlier", "later"]


@pytest.mark.skipif(not COCO.is_dir(), reason="needs the COCO pictures beside the checkout")
def test_real_coco_captions() -> None:
    names = sorted(path.name for path in (COCO / "images").iterdir())
    matched = match_captions(names, load_captions(COCO / "annotations" / "captions.json"))
    assert len(matched) == 40
    assert sum(map(len, matched)) == 200


@pytest.mark.parametrize(
    "files", [["x/1.png", "x/2.png"], ["1.png", "2.png"], ["1.jpg", "2.jpg"], [r"x\1.png", r"x\2.png"]]
)
def test_names_match_by_path_name_or_stem(tmp_path: Path, files: list[str]) -> None:
    rows = "".join(f"{file},{index}\n" for index, file in enumerate(files, 1))
    captions = load_captions(write(tmp_path / "c.csv", "file,caption\n" + rows))
    assert [c[0].text for c in match_captions(["x/1.png", "x/2.png"], captions)] == ["1", "2"]


def test_same_stems_are_not_mixed_up(tmp_path: Path) -> None:
    captions = load_captions(write(tmp_path / "c.csv", "file,caption\n1.jpg,one\n"))
    with pytest.raises(InputError, match=r"2 image\(s\) without a caption \(x/1.png, y/1.png\)"):
        match_captions(["x/1.png", "y/1.png"], captions)


def test_mismatch_names_offenders_both_ways(tmp_path: Path) -> None:
    rows = "".join(f"c{i}.png,text\n" for i in range(5))
    captions = load_captions(write(tmp_path / "c.csv", f"file,caption\nok.png,text\n{rows}"))
    with pytest.raises(InputError) as caught:
        match_captions(["i1.png", "ok.png"], captions)
    message = str(caught.value)
    assert "1 image(s) without a caption (i1.png)" in message
    assert "5 caption(s) without an image (c0.png, c1.png, c2.png, ...)" in message
    lines = load_captions(write(tmp_path / "c.txt", "one\ntwo\n"))
    with pytest.raises(InputError, match="2 lines for 3 images"):
        match_captions(["a", "b", "c"], lines)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.csv", "picture,caption\na.png,x\n", "line 2 .* has picture, caption; expected one of file"),
        ("c.csv", "file,words\na.png,x\n", "expected one of caption, prompt, text"),
        ("c.csv", "file,caption\na.png,red, blue\n", "more cells than the header"),
        ("c.csv", "file,caption\na.png\n", "line 2 .* empty or missing text"),
        ("c.csv", "file,caption\n", "holds no captions"),
        ("c.jsonl", '{"file": "a.png"', "line 1 .* is not JSON"),
        ("c.jsonl", "[1]\n", "line 1 .* is list"),
        ("c.jsonl", '{"file": "a.png", "caption": 4}\n', "line 1 .* empty or missing"),
        ("c.txt", "one\n\nthree\n", "line 2 .* empty or missing"),
        ("c.json", "{", "is not JSON"),
        ("c.json", "[]", "not in COCO's layout"),
        ("c.json", '{"images": []}', "not in COCO's layout"),
        ("c.json", coco([(1, "a.jpg")], [(1, 7, "x")]), "unknown images"),
        ("c.json", coco([(1, "a.jpg"), (2, "a.jpg")], [(1, 1, "x")]), "image files twice"),
        ("c.xlsx", "", "expected .csv .json .jsonl .txt"),
    ],
)
def test_broken_files(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_captions(write(tmp_path / name, text))


def test_missing_file_and_wrong_encoding(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read captions"):
        load_captions(tmp_path / "none.csv")
    (tmp_path / "c.txt").write_bytes("ä".encode("latin-1"))
    with pytest.raises(InputError, match="not UTF-8"):
        load_captions(tmp_path / "c.txt")

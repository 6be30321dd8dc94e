from __future__ import annotations

from click.testing import CliRunner

from imagen_bench.cli.main import main


def test_a_folder_without_an_emoji_set_is_refused_in_one_line(tmp_path):
    done = CliRunner().invoke(
        main, ["data", "emoji-reference", "--root", str(tmp_path / "none"), "--out", str(tmp_path / "r.parquet")]
    )
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert "imagen-bench data emoji" in done.stderr
    assert not (tmp_path / "r.parquet").exists()


def test_a_wrong_tarball_is_refused_before_anything_is_written(tmp_path):
    from imagen_bench.data.emoji_sources import NAMES

    (tmp_path / NAMES.tarball).write_bytes(b"not a tarball")
    done = CliRunner().invoke(main, ["data", "emoji", "--out", str(tmp_path / "out"), "--tarballs", str(tmp_path)])
    assert done.exit_code == 1
    assert "SHA-256" in done.stderr
    assert not (tmp_path / "out").exists()

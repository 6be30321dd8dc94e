"""`imagen-bench data coco`: checks a copy of COCO and remembers it."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click


@click.command("coco")
@click.option(
    "--root",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The copy: annotations/captions_val2014.json and val2014/.",
)
@click.option(
    "--reference",
    default="coco-val2014",
    show_default=True,
    help="What to check it for, such as coco-val2014-bicubic, coco-val2017, or coco-val2014-subset for a part.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also write the prompts (csv) and the reference's images (PNG) here, for other tools.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def coco(root: Path, reference: str, out: Path | None, as_json: bool) -> None:
    """Check a copy of COCO, remember it, and say which prompt and reference sets it gives.

    Numbers and digests are compared with what was published; every image is decoded; what is missing or broken
    is named. A whole copy is remembered: `coco-30k` and `coco-val2014` need no path any more.
    """
    from imagen_bench.bench.progress import progress_bar
    from imagen_bench.data.coco import register_root
    from imagen_bench.data.coco_check import check_coco, write_coco
    from imagen_bench.errors import InputError

    if not root.is_dir():
        raise InputError(f"no folder {str(root)!r}: expected a copy of COCO; docs/coco.md says how to get one")
    with ExitStack() as stack:
        bars: list[Any] = []

        def step(done: int, total: int) -> None:
            if not bars:
                bars.append(stack.enter_context(progress_bar("check", total=total)))
            bars[0].update(done)

        check = check_coco(root, reference, step)
    found = check.to_json()
    if not check.findings:
        if out is not None:
            with progress_bar("write", total=len(check.images)) as bar:
                found["written"] = [str(path) for path in write_coco(check, out, bar.update)]
        found["remembered_in"] = None if check.subset else str(register_root(root, check.split))
    click.echo(json.dumps(found, indent=2, ensure_ascii=False) if as_json else "\n".join(check.lines()))
    check.refuse()
    if not as_json:
        for path in found.get("written", []):
            click.echo(f"written    {path}")
        if found["remembered_in"]:
            click.echo(f"remembered in {found['remembered_in']}")

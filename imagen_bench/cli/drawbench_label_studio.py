"""`imagen-bench drawbench label-studio`: a study as a Label Studio project."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("label-studio")
@click.argument("study", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder to write the project into.")
@click.option(
    "--image-url",
    required=True,
    metavar="URL",
    help="Where STUDY/public is served to Label Studio.",
)
@click.option("--sheet", "sheets", multiple=True, metavar="ID", help="Only this sheet; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def command(study: Path, out: Path, image_url: str, sheets: tuple[str, ...], as_json: bool) -> None:
    """Write a Label Studio configuration and one file of tasks a sheet.

    URL is put before the pictures' names, as in https://images.example.org/study/public, or
    /data/local-files/?d=study/public for Label Studio's local storage. The tasks are as blind as the sheets.
    Bring the project's CSV or JSON export back with `drawbench import`.
    """
    from imagen_bench.human.label_studio import write_label_studio

    config, instructions, *tasks = write_label_studio(study, out, image_url, sheets)
    if as_json:
        record = {"config": str(config), "instructions": str(instructions), "tasks": [str(path) for path in tasks]}
        click.echo(json.dumps(record, indent=2))
        return
    click.echo(f"configuration: {config} (Settings, Labeling Interface, Code)")
    click.echo(f"instructions: {instructions} (Settings, Annotation)")
    click.echo(f"tasks, one file a sheet: {', '.join(str(path) for path in tasks)}")

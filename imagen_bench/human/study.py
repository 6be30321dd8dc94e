"""The study folder: `public/` goes to raters, `private/` holds what un-blinds their answers.

    private/study.json     configuration, secret, questions, sheets with their hashes and completion codes
    private/key.csv        which arm stands where in every item
    public/sheet_S01.csv   one file a sheet, for spreadsheet programs
    public/sheet_S01.html  the same as a page
    public/sheet_S01.zip   page, CSV, pictures and note of one sheet: what one rater is sent
    public/images/         pictures under blind names
    public/README.txt      note for raters

The private folder and its files are readable by their owner alone.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imagen_bench.bench.provenance import package_version
from imagen_bench.bench.same_run import config_differences
from imagen_bench.errors import RunFolderError
from imagen_bench.files import atomic_write_bytes, digest_json
from imagen_bench.human.blinding import SECRET_BYTES, new_secret

SCHEMA = 1
_OWNER_ONLY_FOLDER = 0o700
_OWNER_ONLY = 0o600
_SECRET = re.compile(rf"[0-9a-f]{{{2 * SECRET_BYTES}}}")


@dataclass(frozen=True)
class StudyFolder:
    """An open study folder and its private record (the content of `private/study.json`)."""

    path: Path
    record: dict[str, Any]

    @property
    def public(self) -> Path:
        """Folder of all that raters may see."""
        return self.path / "public"

    @property
    def private(self) -> Path:
        """Folder of the key and the secret."""
        return self.path / "private"

    @property
    def secret(self) -> bytes:
        """The secret from which names, sides and orders are drawn."""
        return bytes.fromhex(self.record["secret"])

    def write_private(self, name: str, data: bytes) -> None:
        """Write a file below `private/` that its owner alone can read."""
        self.private.mkdir(parents=True, exist_ok=True)
        self.private.chmod(_OWNER_ONLY_FOLDER)
        atomic_write_bytes(self.private / name, data)
        (self.private / name).chmod(_OWNER_ONLY)

    def write_record(self, **entries: Any) -> None:
        """Add entries to the private record and write it."""
        self.record.update(entries)
        self.write_private("study.json", (json.dumps(self.record, indent=2, ensure_ascii=False) + "\n").encode("utf-8"))


def open_study(path: Path) -> StudyFolder:
    """Open an exported study.

    Raises:
        RunFolderError: No readable `private/study.json`, or one of another schema.
    """
    file = path / "private" / "study.json"
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunFolderError(f"{path} holds no study: cannot read {file} ({error.strerror})") from error
    except ValueError as error:
        raise RunFolderError(f"{file} is not JSON ({error}); restore it, or export into a new folder") from error
    schema = record.get("schema") if isinstance(record, dict) else None
    if schema != SCHEMA:
        raise RunFolderError(f"{file} has schema {schema!r}, this version reads {SCHEMA}; use the version that made it")
    if not _SECRET.fullmatch(str(record.get("secret"))) or not isinstance(record.get("config"), dict):
        raise RunFolderError(f"{file} misses its secret or its config; restore it, or export into a new folder")
    return StudyFolder(path, record)


def create_or_continue(path: Path, config: dict[str, Any]) -> StudyFolder:
    """Start a study in `path` under a new secret, or continue the same study under its own.

    The record is written before anything is shown to raters, so an interrupted export goes on with the same
    names.

    Args:
        path: The study folder; made if missing.
        config: What makes the study what it is; JSON-able.

    Raises:
        RunFolderError: The folder holds a study with another configuration, or foreign files.
    """
    if (path / "private" / "study.json").exists():
        study = open_study(path)
        differences = config_differences(study.record["config"], json.loads(json.dumps(config)))
        if differences:
            raise RunFolderError(
                f"{path} holds another study: {'; '.join(differences)[:600]}; export into a new "
                "folder, since raters may have sheets of the one that is there"
            )
        return study
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunFolderError(f"{path} exists and holds no study; give a new or empty folder")
    record = {
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "tool": f"imagen-bench {package_version()}",
        "config": config,
        "config_digest": digest_json(config),
        "secret": new_secret().hex(),
    }
    study = StudyFolder(path, record)
    study.write_record()
    return study

"""One process at a time in a run folder: an advisory lock that ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from imagen_bench.errors import RunFolderError

LOCK_NAME = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder`'s lock; the folder is made if it is missing.

    The lock is the kernel's (flock) on the file `.lock`, which holds the process id for the message and stays
    behind.

    Raises:
        RunFolderError: Another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_NAME).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read(32).strip() or "unknown"
            raise RunFolderError(
                f"{folder} is in use by another imagen-bench (process {holder}); "
                "wait for it, stop it, or use another --out"
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield

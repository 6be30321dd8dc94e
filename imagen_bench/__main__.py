"""Entry of `python -m imagen_bench` (and so of `torchrun ... -m imagen_bench`)."""

from __future__ import annotations

from imagen_bench.cli.main import main

if __name__ == "__main__":
    main(prog_name="imagen-bench")

"""`sbanet-evaluate`: score a checkpoint on a split, by both protocols, and write the table of its answers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sbanet.config import clear_errors, split_literal
from sbanet.console import console
from sbanet.errors import ConfigError

_ABOUT = """Score a checkpoint: sbanet-evaluate ckpt=PATH [split=test] [data=...] [data.KEY=VALUE] [trainer.KEY=VALUE].
Without data=... the data is that of the checkpoint's own config. The table of answers goes into the checkpoint's
run folder, else into runs/evaluate/."""


@clear_errors()
def main(argv: Sequence[str] | None = None) -> None:
    """Score a checkpoint from the command line; `argv` is `sys.argv` unless given."""
    parser = argparse.ArgumentParser("sbanet-evaluate", description=_ABOUT)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    arguments = parser.parse_args(sys.argv[1:] if argv is None else argv).overrides
    literal, overrides = split_literal(arguments, ("ckpt", "split", "out"))
    if "ckpt" not in literal:
        raise ConfigError("ckpt is missing; say which checkpoint to score: sbanet-evaluate ckpt=<file>")

    from sbanet.evaluation import evaluate, score_table

    split = literal.get("split", "test")
    metrics = evaluate(literal["ckpt"], overrides, split=split, out=literal.get("out"))
    console().print(score_table(metrics, split))


if __name__ == "__main__":
    main()

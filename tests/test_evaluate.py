"""`sbanet-evaluate`: the run's own numbers again, controls beside them, and nothing of the model changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from sbanet.analysis.runs import Run
from sbanet.config import compose
from sbanet.errors import CheckpointError, ConfigError, DataError
from sbanet.evaluate import main
from sbanet.evaluation import evaluate, evaluation_config, output_folder, score_table
from sbanet.scores import score

from .killing import STARTED_BY_LIGHTNING
from .tiny_run import settings_as_they_were

COUNTS = ["sample_id", "network_I", "network_U", "native_I", "native_U"]


@pytest.fixture(autouse=True)
def process_settings():
    with settings_as_they_were():
        yield


@pytest.fixture(scope="module")
def run_copy(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run elsewhere, for tables to be added."""
    return Path(shutil.copytree(tiny_run, tmp_path_factory.mktemp("evaluated") / "tiny" / "default"))


@pytest.fixture(scope="module")
def best(run_copy: Path) -> Path:
    return run_copy / "checkpoints" / "best.ckpt"


def scores_of(run: Path) -> dict[str, float]:
    scores = json.loads((run / "run.json").read_text())["scores"]
    return {name: value for name, value in scores.items() if name.startswith("test")}


def table_of(folder: Path, name: str = "test") -> pd.DataFrame:
    return pd.read_parquet(folder / "predictions" / f"{name}.parquet")


def test_it_gives_the_runs_own_numbers(run_copy: Path, tiny_run: Path, best: Path) -> None:
    (run_copy / "predictions" / "test.parquet").unlink()
    assert evaluate(best) == scores_of(run_copy)
    pd.testing.assert_frame_equal(table_of(run_copy), table_of(tiny_run))


def test_the_table_gives_the_same_numbers_once_more(run_copy: Path, best: Path, tmp_path: Path) -> None:
    metrics = evaluate(best, split="val", out=tmp_path)
    table = table_of(tmp_path, "val")
    assert set(table["split"]) == {"val"}
    expected = score(table["native_I"], table["native_U"]).as_dict()
    assert {name: metrics[f"test_native/{name}"] for name in expected} == expected
    validated = Run(run_copy).facts["scores"]["best/val/mIoU"]
    assert metrics["test/mIoU"] == validated


@pytest.mark.parametrize(("sentence", "name"), [("other", "test_wrong_sentence"), ("none", "test_no_sentence")])
def test_a_control_has_a_table_of_its_own(run_copy: Path, best: Path, sentence: str, name: str) -> None:
    before = (run_copy / "predictions" / "test.parquet").read_bytes()
    evaluate(best, [f"data.sentence={sentence}"])
    assert (run_copy / "predictions" / "test.parquet").read_bytes() == before
    own, control = table_of(run_copy), Run(run_copy).predictions(name)
    own = own[own["sample_id"].isin(control["sample_id"])]
    assert list(own["target_rle"]) == list(control["target_rle"])
    assert list(own["expression"]) != list(control["expression"])
    if sentence == "none":
        assert set(control["expression"]) == {""}
        assert len(control) == len(own)


def test_workers_change_no_integer(best: Path, tmp_path: Path) -> None:
    for workers in (0, 2):
        evaluate(best, [f"data.num_workers={workers}"], out=tmp_path / str(workers))
    pd.testing.assert_frame_equal(table_of(tmp_path / "0"), table_of(tmp_path / "2"))


@pytest.mark.slow
def test_ranks_change_no_integer(best: Path, tmp_path: Path) -> None:
    """Three batches for two ranks, one of them short: none is padded, counted twice, or left out."""
    arguments = [f"ckpt={best}", "data.scenes.size=96", "data.eval_batch_size=6"]
    main([*arguments, f"out={tmp_path / 'one'}"])
    # another trainer may compute otherwise on a machine with bfloat16
    ranks = [
        "trainer=ddp",
        "trainer.precision=32-true",
        "trainer.float32_matmul_precision=highest",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "data.num_workers=1",
    ]
    environment = {name: value for name, value in os.environ.items() if name not in STARTED_BY_LIGHTNING}
    command = [sys.executable, "-m", "sbanet.evaluate", *arguments, *ranks, f"out={tmp_path / 'two'}"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    one, two = (table_of(tmp_path / name)[COUNTS] for name in ("one", "two"))
    assert len(one) == 16
    pd.testing.assert_frame_equal(one, two)


def test_the_batch_size_hardly_matters(best: Path, tmp_path: Path) -> None:
    metrics = [evaluate(best, [f"data.eval_batch_size={size}"], out=tmp_path / str(size)) for size in (3, 8)]
    assert abs(metrics[0]["test/mIoU"] - metrics[1]["test/mIoU"]) <= 1e-4
    assert metrics[0]["test/count"] == metrics[1]["test/count"] == 16


def test_both_protocols_where_they_differ(best: Path, tmp_path: Path) -> None:
    metrics = evaluate(best, ["data.scenes.size=96"], out=tmp_path)
    table = table_of(tmp_path)
    assert set(table["height"]) == {96}
    for protocol, stage in (("network", "test"), ("native", "test_native")):
        expected = score(table[f"{protocol}_I"], table[f"{protocol}_U"]).as_dict()
        assert {name: metrics[f"{stage}/{name}"] for name in expected} == expected
    assert (table["native_U"] > table["network_U"]).all()


def test_other_samples_do_not_replace_the_runs_table(
    run_copy: Path, best: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = (run_copy / "predictions" / "test.parquet").read_bytes()
    evaluate(best, ["data.scene_seed=5"])
    evaluate(best, ["trainer.limit_test_batches=1"])
    assert (run_copy / "predictions" / "test.parquet").read_bytes() == before
    assert table_of(tmp_path / "runs" / "evaluate" / "tiny-default-best-aeroscenes").shape[0] == 4


def test_only_the_split_is_drawn(best: Path, tmp_path: Path) -> None:
    evaluate(best, [f"data.cache={tmp_path / 'cache'}"], split="val", out=tmp_path)
    assert [path.name.rpartition("-")[0] for path in (tmp_path / "cache").glob("[!.]*")] == ["aeroscenes-val"]


def test_a_checkpoint_without_a_run_has_a_folder_of_its_own(best: Path, tmp_path: Path) -> None:
    assert output_folder(best, "aeroscenes", same=True) == best.parents[1].resolve()
    assert output_folder(best, "rrsisd", same=True) == Path("runs/evaluate/tiny-default-best-rrsisd")
    assert output_folder(tmp_path / "lavt.ckpt", "rrsisd", same=True) == Path("runs/evaluate/lavt-rrsisd")


def test_a_group_can_be_exchanged(best: Path) -> None:
    stored = torch.load(best, weights_only=True)["sbanet"]["config"]
    cfg = evaluation_config(stored, ["data.num_workers=1", "trainer=cpu", "data=aeroscenes"])
    assert cfg.data.image_size == 160
    assert cfg.data.num_workers == 1
    assert cfg.trainer.max_epochs == 4 != stored["trainer"]["max_epochs"]
    assert cfg.data.seed == 1
    assert cfg.data.cache == stored["paths"]["cache"]


def test_pixels_are_read_where_the_cache_is_on_another_machine(tmp_path: Path) -> None:
    stored: Any = OmegaConf.to_container(compose("train", ["data=rrsisd", f"paths.run={tmp_path}"]), resolve=True)
    for folder, kept in ((str(tmp_path), str(tmp_path)), ("/home/somebody/else", None), (None, None)):
        stored["data"]["cache"] = folder
        assert evaluation_config(stored, []).data.cache == kept


def test_the_cache_of_another_machine_is_replaced(best: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SBANET_CACHE", str(tmp_path))
    stored = torch.load(best, weights_only=True)["sbanet"]["config"]
    assert evaluation_config(stored, []).data.cache == stored["data"]["cache"]
    stored["data"]["cache"] = "/home/somebody/else"
    assert evaluation_config(stored, []).data.cache == str(tmp_path)
    assert evaluation_config(stored, ["paths.cache=elsewhere"]).data.cache == "elsewhere"


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("model.decoder.hidden=8", r"model.decoder.hidden=8: an evaluation changes only data and trainer"),
        ("model/backbone=swin_tiny", r"an evaluation changes only data and trainer; the model is the checkpoint's"),
        ("data/scenes=easy", r"an evaluation changes only data and trainer"),
        ("seed=3", r"an evaluation changes only data and trainer"),
        ("data.sentnce=other", r"there is no key 'data\.sentnce' in the checkpoint's config; did you mean 'sentence'"),
        ("data.zzz=1", r"there is no key 'data\.zzz' .*; known: augmentation, batch_size, cache, .*, sentence"),
        ("data.zzz.more=1", r"there is no key 'data\.zzz\.more'"),
        ("data.seed.more=1", r"there is no key 'data\.seed\.more'"),
        ("+data.more=1", r"there is no key 'data\.more'"),
        ("~data.cache", r"expected data\.cache=<one value>"),
        ("data.seed=1,2", r"expected data\.seed=<one value>"),
        ("data.image_size=large", r"data\.image_size: is 'large'"),
        ("data.sentence=any", r"data\.sentence.*own"),
    ],
)
def test_an_override_that_cannot_be_used_says_why(best: Path, override: str, expected: str) -> None:
    stored = torch.load(best, weights_only=True)["sbanet"]["config"]
    with pytest.raises(ConfigError, match=expected) as error:
        evaluation_config(stored, [override])
    assert "\n" not in str(error.value)


def test_an_unknown_split_lists_the_known(best: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"split='tset': AeroScenes has no such split; known: train, val, test"):
        evaluate(best, split="tset", out=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_checkpoint_lists_those_nearby(best: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no such file; there are .*best\.ckpt"):
        evaluate(best.with_name("beast.ckpt"))


def test_the_command_prints_a_row_a_protocol(best: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([f"ckpt={best}", "split=val", f"out={tmp_path}", "trainer.limit_test_batches=1"])
    said = capsys.readouterr().out
    assert [word for word in ("network", "native", "mIoU", "oIoU", "Pr@0.9", "val") if word not in said] == []
    assert "Tip:" not in said


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "ckpt is missing"),
        (["ckpt=none.ckpt"], "none.ckpt: no such file"),
        (["ckpt={best}", "data=rrsisdd"], "data=rrsisdd: there is no 'rrsisdd' in 'data'"),
        (["ckpt={best}", "data.sentnce=other"], "did you mean 'sentence'"),
        (["ckpt={best}", "split=tset", "out={out}"], "known: train, val, test"),
        (["ckpt={best}", "trainer.devices=99", "trainer=gpu"], "trainer: "),
    ],
)
def test_a_mistake_is_one_clear_line(
    arguments: list[str], expected: str, best: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        main([argument.format(best=best, out=tmp_path) for argument in arguments])
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert exit_.value.code == 2
    assert len(lines) == 1
    assert expected in lines[0]


def test_counts_are_shown_whole() -> None:
    metrics = {f"{stage}/{name}": 12.0 for stage in ("test", "test_native") for name in ("mIoU", "count", "loss")}
    columns = {str(column.header): list(column.cells) for column in score_table(metrics, "val").columns}
    assert columns == {"protocol": ["network", "native"], "mIoU": ["12.0000"] * 2, "count": ["12"] * 2}

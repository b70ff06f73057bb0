import pytest
from omegaconf import OmegaConf

from sbanet.config.rules import (
    batch_is_divisible,
    grid_is_that_of_the_images,
    profiled_steps_are_not_compiled,
    root_keys_are_known,
    validation_falls_between_steps,
)


def config(batch_size=32, **trainer):
    return OmegaConf.create({"data": {"batch_size": batch_size}, "trainer": trainer})


@pytest.mark.parametrize(
    ("batch_size", "trainer"),
    [
        (32, {"devices": 4, "num_nodes": 2, "accumulate_grad_batches": 4}),
        (3, {"devices": [0, 1, 2]}),
        (6, {"devices": "2"}),
        (7, {"devices": "auto", "accumulate_grad_batches": 2}),
        (7, {"devices": -1}),
        (7, {"devices": "${nowhere}"}),
        (7, {}),
    ],
)
def test_a_batch_that_can_be_dealt(batch_size, trainer):
    assert list(batch_is_divisible(config(batch_size, **trainer))) == []


@pytest.mark.parametrize(
    ("batch_size", "trainer", "parts"),
    [
        (30, {"devices": 4}, "4"),
        (32, {"devices": 2, "num_nodes": 3}, "6"),
        (32, {"devices": [0, 1, 2]}, "3"),
        (6, {"devices": "4"}, "4"),
        (4, {"devices": 1, "accumulate_grad_batches": 8}, "8"),
        (0, {"devices": 1}, "1"),
    ],
)
def test_a_batch_with_a_remainder(batch_size, trainer, parts):
    [problem] = batch_is_divisible(config(batch_size, **trainer))
    assert problem.key == "data.batch_size"
    assert f"is {batch_size}" in problem.text
    assert f"multiple of {parts} " in problem.text


def test_validation_waits_for_the_optimiser():
    assert not list(validation_falls_between_steps(config(val_check_interval=6, accumulate_grad_batches=3)))
    assert not list(validation_falls_between_steps(config(val_check_interval=0.5, accumulate_grad_batches=3)))
    assert not list(validation_falls_between_steps(config()))
    [problem] = validation_falls_between_steps(config(val_check_interval=5, accumulate_grad_batches=3))
    assert problem.key == "trainer.val_check_interval"


@pytest.mark.parametrize(("profile", "compiles", "found"), [(True, True, 1), (True, False, 0), (False, True, 0)])
def test_a_profile_is_of_steps_that_are_not_compiled(profile, compiles, found):
    problems = list(profiled_steps_are_not_compiled(OmegaConf.merge(config(compile=compiles), {"profile": profile})))
    assert [problem.key for problem in problems] == ["profile"] * found


def test_a_typo_at_the_root_is_found_and_an_own_key_is_not(tree):
    cfg = OmegaConf.create({"modle": {}, "data": {}, "my_own": 3, "experiment": "x"})
    [problem] = root_keys_are_known(cfg)
    assert problem.key == "modle"
    assert "'model'" in problem.text


def test_the_grid_is_that_of_the_images():
    def problems(grid, size):
        return list(
            grid_is_that_of_the_images(OmegaConf.create({"model": {"aggregator": grid}, "data": {"image_size": size}}))
        )

    assert problems({}, 480) == problems({"grid": [15, 15]}, 480) == problems({"grid": [5, 5]}, 160) == []
    [problem] = problems({"grid": [15, 15]}, 161)
    assert problem.key == "model.aggregator.grid"
    assert "set model.aggregator.grid=[6,6] and model.aggregator.layout=intended" in problem.text

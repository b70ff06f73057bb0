import pytest
from omegaconf import OmegaConf

from sbanet.config import Problem, check, compose, require_sound
from sbanet.config.rules import SUPPLIED
from sbanet.errors import ConfigError


def problems_of(*overrides):
    return {problem.key: problem.text for problem in check(compose("train", list(overrides)))}


def only(problems):
    assert len(problems) == 1, problems
    return next(iter(problems.items()))


def test_a_sound_config_has_no_problem(tree):
    assert problems_of() == {}
    assert problems_of("model/alignment=pwam", "experiment=small") == {}


@pytest.mark.parametrize(
    ("override", "key", "text"),
    [
        ("+model.alignment.numqueries=3", "model.alignment.numqueries", "did you mean 'num_queries'?"),
        ("+model.alignment.zzz=3", "model.alignment.zzz", "it takes channels, width, stage"),
        ("model.alignment.num_queries=abc", "model.alignment.num_queries", "is 'abc' (str), expected int"),
        ("model.alignment.num_queries=2.5", "model.alignment.num_queries", "is 2.5 (float), expected int"),
        (
            "model.alignment.num_queries=???",
            "model.alignment.num_queries",
            "give model.alignment.num_q",
        ),
        ("+model.alignment.width=8", "model.alignment.width", "supplied by the program"),
        ("loss.reduction=3", "loss.reduction", "is 3 (int), expected str"),
        ("loss._target_=torch.nn.BCELogitsLoss", "loss._target_", "'torch.nn.BCEWithLogitsLoss'"),
        ("seed=${data.sed}", "seed", "data.sed"),
        ("seed=x", "seed", "expected an integer"),
        ("+sed=3", "sed", "did you mean 'seed'?"),
    ],
)
def test_one_mistake_is_one_problem_at_its_key(tree, override, key, text):
    found_key, found_text = only(problems_of(override))
    assert found_key == key
    assert text in found_text


def test_a_required_argument_is_asked_for(tree, add_config):
    add_config("loss/huber.yaml", "_target_: torch.nn.Linear\nbias: false")
    assert problems_of("loss=huber") == {
        "loss.in_features": "torch.nn.Linear needs 'in_features': give loss.in_features=<value>",
        "loss.out_features": "torch.nn.Linear needs 'out_features': give loss.out_features=<value>",
    }
    assert problems_of("loss=huber", "+loss._partial_=true") == {}
    assert problems_of("loss=huber", "+loss._args_=[1,2]") == {}


def test_a_partial_node_must_take_what_the_program_supplies(tree, add_config):
    add_config("model/alignment/linear.yaml", "_target_: torch.nn.Identity.forward\n_partial_: true")
    assert "does not take channels, stage, width" in problems_of("model/alignment=linear")["model.alignment"]
    assert SUPPLIED["model.alignment"] == {"channels", "width", "stage"}


def test_a_partial_node_needs_what_the_program_does_not_supply(tree, add_config):
    gathering = "_target_: sbanet.models.alignment.bam.VisionToLanguage\n_partial_: true"
    add_config("model/alignment/half.yaml", gathering)
    problems = problems_of("model/alignment=half")
    assert "needs 'scale'" in problems["model.alignment.scale"]
    assert "model.alignment.width" not in problems


def test_a_node_that_others_refer_to_is_reported_once(tree):
    assert set(problems_of("loss.reduction=3", "+twin='${loss}'")) == {"loss.reduction"}


def test_all_mistakes_are_found_at_once(tree):
    problems = problems_of(
        "model.alignment.num_queries=abc",
        "+model.alignment.heads=4",
        "loss._target_=torch.nn.Nothing",
        "seed=???",
        "data.batch_size=30",
        "trainer.devices=4",
    )
    assert set(problems) == {
        "model.alignment.num_queries",
        "model.alignment.heads",
        "loss._target_",
        "seed",
        "data.batch_size",
    }


def test_nodes_are_found_in_lists_and_below_other_nodes(tree, add_config):
    nodes = "_target_: torch.nn.ModuleList\nmodules:\n  - {_target_: torch.nn.ReLU, inplce: true}"
    add_config("loss/listed.yaml", nodes)
    key, text = only(problems_of("loss=listed"))
    assert key == "loss.modules.0.inplce"
    assert "'inplace'" in text


def test_a_missing_value_is_reported_at_its_own_key_only(tree):
    assert set(problems_of("data.image_size=???", "+data.crop=${data.image_size}")) == {"data.image_size"}


def test_what_only_a_run_knows_is_no_problem(tree):
    assert problems_of("+loss.weight='${hydra:runtime.output_dir}'") == {}


def test_the_config_is_neither_built_nor_changed(tree):
    cfg = compose("train", ["+loss.weight='${data.image_size}'"])
    before = OmegaConf.to_yaml(cfg)
    check(cfg)
    assert OmegaConf.to_yaml(cfg) == before


def test_a_whole_node_replaced_by_a_word_is_explained(tree, add_config):
    segmenter = "_target_: sbanet.models.segmenter.ReferringSegmenter\n_partial_: true"
    add_config("loss/segmenter.yaml", segmenter)
    key, text = only(problems_of("loss=segmenter", "+loss.decoder=topdown"))
    assert key == "loss.decoder"
    assert "loss/decoder=topdown" in text


def test_problems_refuse_a_run(tree):
    require_sound(compose())
    with pytest.raises(ConfigError, match=r"^seed: is 'x'"):
        require_sound(compose("train", ["seed=x"]))
    with pytest.raises(ConfigError, match=r"2 problems(?s:.*)loss.reduction(?s:.*)seed"):
        require_sound(compose("train", ["seed=x", "loss.reduction=3"]))


def test_a_problem_reads_as_key_and_text():
    assert str(Problem("seed", "is 'x'")) == "seed: is 'x'"

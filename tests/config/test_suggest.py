from sbanet.config.suggest import close_matches, did_you_mean

KEYS = ["model.alignment.num_queries", "model.alignment.head_width", "model.alignment", "optim.lr", "seed"]


def test_a_typo_in_a_long_key_has_one_answer():
    assert close_matches("model.aligment.num_queries", KEYS) == ["model.alignment.num_queries"]
    assert close_matches("model.alignment.num_querys", KEYS) == ["model.alignment.num_queries"]


def test_a_key_without_its_path_is_found_by_its_end():
    assert close_matches("num_queries", KEYS)[0] == "model.alignment.num_queries"
    assert close_matches("num_querys", KEYS)[0] == "model.alignment.num_queries"


def test_nothing_is_suggested_for_what_resembles_nothing():
    assert close_matches("zzz", KEYS) == []
    assert did_you_mean("zzz", KEYS) == ""


def test_the_suggestion_is_a_question():
    assert did_you_mean("sed", KEYS) == "; did you mean 'seed'?"

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sbanet.config import literal_arguments, repeatable_arguments, split_literal
from sbanet.errors import ConfigError

KEYS = ("expression", "image", "ckpt", "out")


@pytest.mark.parametrize(
    "value",
    [
        "the man's car",
        "最小的船",
        "a=b=c",
        "photo(1).png",
        "epoch=3.ckpt",
        '"quoted"',
        "{a: [1",
        "line\nbreak",
        " ",
    ],
)
def test_free_text_arrives_as_it_was_typed(value):
    literal, rest = split_literal([f"expression={value}", "data=rrsisd"], KEYS)
    assert literal == {"expression": value}
    assert rest == ["data=rrsisd"]


@given(st.text(min_size=1))
def test_any_text_survives(value):
    assert split_literal([f"image={value}"], KEYS) == ({"image": value}, [])


def test_hydra_overrides_and_flags_are_left_alone():
    overrides = [
        "data=rrsisd",
        "+model.image=3",
        "model.out=x",
        "~callbacks",
        "--config-dir=conf",
        "-m",
        "image",
    ]
    assert split_literal(overrides, KEYS) == ({}, overrides)


@pytest.mark.parametrize("arguments", [["image=a.png", "image=b.png"], ["image="]])
def test_a_key_has_one_value(arguments):
    with pytest.raises(ConfigError, match="image"):
        split_literal(arguments, KEYS)


def test_a_path_with_an_equals_sign_is_positional():
    literal, positional = literal_arguments(["runs/lr=3e-5", "./a=b", "out=page.html", "runs/x"], ["out"])
    assert literal == {"out": "page.html"}
    assert positional == ["runs/lr=3e-5", "./a=b", "runs/x"]


def test_an_unknown_key_is_named_with_its_likeness():
    with pytest.raises(ConfigError, match=r"'ckpd'.*did you mean 'ckpt'"):
        literal_arguments(["ckpd=a.ckpt"], KEYS)


def test_some_keys_may_come_several_times():
    argv = ["image=a=1.png", "ckpt=best.ckpt", "image=the man's.png", "./x=y"]
    once, repeated, positional = repeatable_arguments(argv, ["ckpt", "out"], ["expression", "image"])
    assert once == {"ckpt": "best.ckpt"}
    assert repeated == {"image": ["a=1.png", "the man's.png"]}
    assert positional == ["./x=y"]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("ckpt=b", "ckpt came twice: 'a' and 'b'; give it once"),
        ("image=", "image= came without a value"),
        ("imgae=x", "unknown argument 'imgae' in 'imgae=x'; did you mean 'image'.*known: ckpt, image"),
    ],
)
def test_the_others_are_held_to_the_same_rules(argument: str, expected: str):
    with pytest.raises(ConfigError, match=expected):
        repeatable_arguments(["ckpt=a", argument], ["ckpt"], ["image"])

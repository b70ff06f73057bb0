import sys

import pytest

from sbanet.config.targets import locate_target
from sbanet.errors import ConfigError


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a sound module, one that imports what is not there, and one that fails."""
    monkeypatch.syspath_prepend(tmp_path)
    files = {
        "__init__": "",
        "sound": "class Thing:\n    @classmethod\n    def make(cls): ...\nNUMBER = 3\n",
        "incomplete": "import no_such_library\n",
        "faulty": "1 / 0\n",
    }
    (tmp_path / "some_package").mkdir()
    for name, text in files.items():
        (tmp_path / "some_package" / f"{name}.py").write_text(text)
    yield
    for name in [name for name in sys.modules if name.startswith("some_package")]:
        del sys.modules[name]


def test_classes_functions_and_methods_are_found(package):
    thing = locate_target("some_package.sound.Thing")
    assert thing.__name__ == "Thing"
    assert locate_target("some_package.sound.Thing.make") == thing.make
    assert locate_target("torch.nn.functional.relu").__name__ == "relu"


@pytest.mark.parametrize(
    ("name", "text"),
    {
        "some_package.sound.Thin": "did you mean 'some_package.sound.Thing'",
        "some_package.soud.Thing": "did you mean 'some_package.sound'",
        "some_package.sound.Thing.mak": "did you mean 'some_package.sound.Thing.make'",
        "no_such_package.X": "'no_such_package.X' does not exist",
        "some_package.incomplete.X": "no module 'no_such_library'",
        "some_package.faulty.X": "ZeroDivisionError",
        "some_package.sound.NUMBER": "is a int",
        "some_package.sound": "is a module",
    }.items(),
)
def test_what_cannot_be_had_is_told_apart(package, name, text):
    with pytest.raises(ConfigError, match=text):
        locate_target(name)

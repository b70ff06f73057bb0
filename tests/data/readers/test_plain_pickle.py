"""Pickles that hold anything but plain containers are refused, and nothing of them runs."""

from __future__ import annotations

import collections
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from sbanet.data.readers.plain_pickle import read_plain_pickle
from sbanet.errors import DataError


class Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_content_of_every_protocol(tmp_path, protocol):
    content = [{"a": (1, 2.5, None, True), "b": ["left", "é"], "c": {1: b"x" if protocol > 2 else "x"}}]
    (tmp_path / "x.p").write_bytes(pickle.dumps(content, protocol))
    assert read_plain_pickle(tmp_path / "x.p") == content


def test_nothing_is_executed(tmp_path):
    (tmp_path / "x.p").write_bytes(pickle.dumps([{"ref_id": 1}, Harmful(tmp_path / "done")]))
    with pytest.raises(DataError, match=r"x\.p: is refused \(it refers to (posix|nt)\.mkdir\); expected plain lists"):
        read_plain_pickle(tmp_path / "x.p")
    assert not (tmp_path / "done").exists()


@pytest.mark.parametrize("value", [np.float64(1), np.zeros(2), collections.OrderedDict(a=1), Path("x")])
def test_objects_are_refused(tmp_path, value):
    (tmp_path / "x.p").write_bytes(pickle.dumps([value]))
    with pytest.raises(DataError, match="is refused"):
        read_plain_pickle(tmp_path / "x.p")


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps([1, 2, 3])[:-3], b"\x80\x05\xff"])
def test_damaged_files(tmp_path, content):
    (tmp_path / "x.p").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.p: (cannot be read as a pickle|is refused)"):
        read_plain_pickle(tmp_path / "x.p")


def test_no_file(tmp_path):
    with pytest.raises(DataError, match=r"no such file; expected a pickle"):
        read_plain_pickle(tmp_path / "x.p")

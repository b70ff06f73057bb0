"""A file is whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sbanet.files import open_atomically, remove_unfinished, write_atomically


def test_content_arrives_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "a.txt"
    write_atomically(path, "é\r\n")
    assert path.read_bytes() == "é\r\n".encode()
    write_atomically(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    assert [file.name for file in path.parent.iterdir()] == ["a.txt"]


def test_the_old_content_stays_until_the_end_and_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def killed_half_way() -> None:
        with open_atomically(path) as file:
            file.write(b"half")
            file.flush()
            assert path.read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        killed_half_way()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", "")
    finally:
        os.umask(umask)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_what_a_killed_process_had_begun_is_removed(tmp_path: Path) -> None:
    others = [tmp_path / name for name in (".hidden.tmp", "a.txt.12345678.tmp", ".a.txt.lock")]
    for other in others:
        other.touch()
    begun = open_atomically(tmp_path / "a.txt")
    begun.__enter__()
    assert len(list(tmp_path.iterdir())) == 4
    remove_unfinished(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(others)

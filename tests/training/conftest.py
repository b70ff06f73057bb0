"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lightning.pytorch.utilities.rank_zero import rank_zero_only


@pytest.fixture
def second_rank() -> Iterator[None]:
    """The process believes that it is not the first of its job."""
    rank, rank_zero_only.rank = rank_zero_only.rank, 1
    yield
    rank_zero_only.rank = rank

"""Asking the hub: one line that says so, and none about attempts."""

import logging

import pytest

from sbanet.models.weights import asking_the_hub


def test_one_line_says_what_is_asked_for(caplog):
    attempts = logging.getLogger("huggingface_hub.utils._http")
    caplog.set_level(logging.INFO)
    with asking_the_hub("timm/resnet18"):
        attempts.warning("Retrying in 8s [Retry 4/5].")
    assert [record.getMessage() for record in caplog.records] == [
        "asking the Hugging Face hub for timm/resnet18; with HF_HUB_OFFLINE=1, its cache alone"
    ]


def test_the_hub_may_speak_again_afterwards(caplog):
    with pytest.raises(OSError, match="gone"), asking_the_hub("timm/resnet18"):
        raise OSError("gone")
    logging.getLogger("huggingface_hub.utils._http").warning("deprecated")
    assert "deprecated" in caplog.text

"""The words of the built-in language: what a word-level tokenizer must know."""

from __future__ import annotations

RRSISD_WORDS: tuple[str, ...] = (
    "a", "above", "airplane", "airport", "all", "anchored", "and", "area", "at", "baseball", "basketball",
    "below", "big", "bigger", "black", "blue", "bottom", "bridge", "brown", "car", "chimney", "cone", "court",
    "courts", "cyan", "dam", "dark", "driving", "expressway", "far", "field", "fields", "frustum", "going",
    "golf", "gray", "green", "ground", "harbor", "has", "huge", "in", "is", "it", "large", "left", "light",
    "little", "long", "longest", "lower", "lying", "middle", "much", "of", "on", "orange", "oval", "overpass",
    "parked", "purple", "rectangular", "red", "right", "rounded", "running", "service", "ship", "similar",
    "size", "slender", "small", "smaller", "stadium", "station", "storage", "tank", "tanks", "tennis", "than",
    "the", "through", "tiny", "to", "toll", "top", "track", "train", "upper", "vehicle", "vehicles", "white",
    "windmill", "with", "yellow",
)  # fmt: skip
"""The 95 different words of RRSIS-D's 17,402 sentences, lower case, in alphabetical order."""

GRAMMAR_WORDS: tuple[str, ...] = (
    "first", "from", "largest", "leftmost", "rightmost", "second", "smallest", "third",
)  # fmt: skip
"""What `sbanet.data.grammar` says beyond them: superlatives and ordinals, in alphabetical order."""


def words() -> list[str]:
    """All words that the built-in data can say: the vocabulary of a word-level tokenizer."""
    return [*RRSISD_WORDS, *GRAMMAR_WORDS]

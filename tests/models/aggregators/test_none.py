"""No aggregator."""

from sbanet.models.aggregators.none import NoAggregator
from tests.models.tiny import CHANNELS, WIDTH, noise, padded_words


def test_the_maps_are_handed_on():
    fused = [noise(1, count, 2, 2) for count in CHANNELS]
    aggregator = NoAggregator(channels=CHANNELS, width=WIDTH)
    assert aggregator(fused, padded_words(3)) is fused
    assert not aggregator.state_dict()
    assert not aggregator.reads_words

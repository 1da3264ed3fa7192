from nvlm.planning.disk import disk_of
from nvlm.planning.parameters import Count
from tests.modeling.batches import config
from tests.planning.test_workload import workload


def test_every_sample_once():
    found = disk_of(config("D"), workload(steps=5, batch=2, text=100, tiles=6), [Count(1000, 0), Count(500, 500)])
    assert found.shards == 10 * (200_000 + 100 * 4)
    assert found.features == 10 * 7 * 16 * 16 * 2  # views of 4 x 4 patches with 16 channels, two bytes each
    assert found.checkpoint == 500 * 12
    assert found.export == 1500 * 2


def test_text_alone_has_no_pictures():
    found = disk_of(config("D"), workload(steps=1, batch=1, text=100, tiles=0), [])
    assert (found.shards, found.features) == (400, 0)

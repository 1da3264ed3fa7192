"""What `prepare` wrote, read back by megatron-energon itself (extra `train`)."""

from pathlib import Path
from typing import Any

import pytest

from nvlm.data.energon import write_excluded, write_metadata
from nvlm.data.plan import make_plan
from nvlm.data.prepare import prepare
from nvlm.data.shards import to_sample
from tests.data.builders import ROWS, own_rows

energon = pytest.importorskip("megatron.energon")

pytestmark = [
    pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@energon.edataclass
class Read(energon.Sample):  # type: ignore[misc]
    sample: Any


@energon.stateless
def cook(raw: dict[str, Any]) -> Read:
    return Read(**energon.basic_sample_keys(raw), sample=to_sample(raw))


class Encoder(energon.DefaultTaskEncoder):  # type: ignore[misc]
    cookers = (energon.Cooker(cook),)

    def encode_sample(self, sample: Any) -> Any:
        return sample

    def batch(self, samples: Any) -> Any:
        return samples

    def encode_batch(self, batch: Any) -> Any:
        return batch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("energon")
    own_rows(base)
    plan = make_plan("mine", base / "rows.jsonl", base / "shards", format="jsonl", shard_bytes=10_000)
    assert len(prepare(plan).shards) > 1
    return plan.out


def read_once(folder: Path) -> list[Any]:
    workers = energon.WorkerConfig(rank=0, world_size=1, num_workers=0)
    dataset = energon.get_val_dataset(
        folder, split_part="train", batch_size=3, worker_config=workers, task_encoder=Encoder()
    )
    return [read for batch in energon.get_loader(dataset) for read in batch]


def test_every_sample_is_read_once(folder: Path) -> None:
    reads = read_once(folder)
    assert [read.__key__ for read in reads] == [f"{number:09d}" for number in range(ROWS)]
    assert [read.sample.id for read in reads] == [f"mine/{number}" for number in range(ROWS)]
    assert [read.sample.images[0].size for read in reads] == [(16 + number, 16) for number in range(ROWS)]
    assert reads[4].sample.messages[1]["content"] == "4"


def test_shuffled_training_goes_on_from_a_saved_state(folder: Path) -> None:
    def loader() -> Any:
        workers = energon.WorkerConfig(rank=0, world_size=1, num_workers=0)
        dataset = energon.get_train_dataset(
            folder,
            batch_size=1,
            worker_config=workers,
            task_encoder=Encoder(),
            shuffle_buffer_size=8,
            max_samples_per_sequence=5,
        )
        return energon.get_savable_loader(dataset)

    first = loader()
    batches = iter(first)
    before = [next(batches)[0].sample.id for _ in range(25)]
    state = first.save_state_rank()
    after = [next(batches)[0].sample.id for _ in range(25)]
    again = loader()
    again.restore_state_rank(state)
    batches = iter(again)
    assert [next(batches)[0].sample.id for _ in range(25)] == after
    assert len(set(before)) == 25


def test_excluded_samples_are_not_read(folder: Path) -> None:
    from nvlm.data.prepared import read_prepared

    prepared = read_prepared(folder)
    assert prepared is not None
    write_excluded(folder, ["shard-000000.tar/000000003"])
    write_metadata(folder, prepared.shards)
    keys = {read.__key__ for read in read_once(folder)}
    assert keys == {f"{number:09d}" for number in range(ROWS) if number != 3}

"""Samples of a blend as one lane draws them, as bytes: megatron-energon shards, shuffles, blends and reads.

A lane takes the place of a rank in energon: of every folder it has a part of its own, which it goes through again and
again, each time in another order. What energon must know to go on is kept as plain values.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from importlib import import_module
from types import ModuleType
from typing import Any

from nvlm.data.blend import Share

SEQUENCE = 100
"""So many samples are read from a shard one after another, at most; sixteen such stretches take turns."""

_TURN = threading.Lock()  # energon knows one active worker in a process


@dataclass(frozen=True)
class Raw:
    """A sample as it is stored.

    Attributes:
        address: of its folder.
        shard, key: where it is there.
        parts: part name → bytes, as `nvlm.data.shards` writes them.
        ticket: for `RawStream.again`; plain values.
    """

    address: str
    shard: str
    key: str
    parts: Mapping[str, bytes]
    ticket: Any

    @property
    def source(self) -> str:
        """The folder's name, which is the dataset's."""
        return self.address.rstrip("/").rpartition("/")[2]


def energon() -> ModuleType:
    """The library.

    Raises:
        ValueError: it is not installed.
    """
    try:
        return import_module("megatron.energon")
    except ImportError as error:
        raise ValueError("training from shards takes megatron-energon: pip install 'nvlm[train]'") from error


class RawStream:
    """An endless stream of the samples of one lane.

    Args:
        shares: of the folders, as `nvlm.data.blend.shares` gives them.
        lane, lanes: which of how many.
        seed: of order and blending.
        shuffle: samples that wait to be drawn at random.

    Raises:
        ValueError: energon is not installed, or a folder has fewer samples than there are lanes.
    """

    def __init__(
        self, shares: Sequence[Share], lane: int = 0, lanes: int = 1, *, seed: int = 0, shuffle: int = 1000
    ) -> None:
        library = energon()
        self._addresses = [share.address for share in shares]
        self._config = library.WorkerConfig(rank=lane, world_size=lanes, num_workers=0, seed_offset=seed)
        factories = [self._open(number, address) for number, address in enumerate(self._addresses)]
        _check_sizes({address: len(made) for address, made in zip(self._addresses, factories, strict=True)}, lanes)
        self._settings = {"lane": lane, "lanes": lanes, "seed": seed, "shuffle": shuffle}
        self._folders = {
            address: {"shards": _digest(made), "share": share}
            for (address, share), made in zip(shares, factories, strict=True)
        }
        self._dataset = self._build([share.share for share in shares], factories, shuffle)

    def __iter__(self) -> Iterator[Raw]:
        return self

    def __next__(self) -> Raw:
        with _TURN:
            self._config.worker_activate(0)
            try:
                return self._raw(next(self._samples))
            finally:
                self._config.worker_deactivate()

    def again(self, ticket: Any) -> Raw:
        """A sample that was drawn before."""
        with _TURN:
            self._config.worker_activate(0)
            try:
                return self._raw(self._dataset.restore_sample(_energons(ticket)))
            finally:
                self._config.worker_deactivate()

    def state_dict(self) -> dict[str, Any]:
        """Where the stream stands, in dicts, lists, numbers, texts and bytes."""
        with _TURN:
            return {**self._identity(), "energon": _plain(self._dataset.save_state())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state.

        Raises:
            ValueError: it is of another stream: other folders, shares, lanes or settings.
        """
        for group, mine in self._identity().items():
            if odd := [name for name in mine.keys() | state[group].keys() if mine.get(name) != state[group].get(name)]:
                name = min(odd)
                raise ValueError(
                    f"the saved state of the data is of another blend or setting: {name} was "
                    f"{state[group].get(name, 'not there')} and is {mine.get(name, 'not there')} now; "
                    "go on with the same data, or begin the stage anew"
                )
        with _TURN:
            self._dataset.reset_state_deep()  # its buffer must be empty
            self._dataset.restore_state(_energons(state["energon"]))
        self.__dict__.pop("_samples", None)

    @cached_property
    def _samples(self) -> Iterator[Any]:
        return iter(self._dataset)

    def _identity(self) -> dict[str, dict[str, Any]]:
        names = {address: Raw(address, "", "", {}, None).source for address in self._folders}
        return {"settings": self._settings, "folders": {names[key]: value for key, value in self._folders.items()}}

    def _open(self, number: int, address: str) -> Any:
        """Energon's view of a folder."""
        loader = import_module("megatron.energon.metadataset").load_dataset(address)
        found = loader.get_datasets(
            training=True,
            split_part="train",
            worker_config=self._config,
            subflavors={"folder": number},
            max_samples_per_sequence=SEQUENCE,
            decoder=None,
        )
        return found.datasets[0].dataset

    def _build(self, weights: Sequence[float], factories: Sequence[Any], shuffle: int) -> Any:
        library, interface = energon(), import_module("megatron.energon.metadataset.loader_interface")
        encoder = library.DefaultTaskEncoder()
        encoder.cookers = (library.Cooker(library.stateless(_as_it_is)),)
        encoder.decoder = None
        return encoder.build_train_datasets(
            datasets=[
                interface.LoadedDataset(dataset=made, weight=weight)
                for made, weight in zip(factories, weights, strict=True)
            ],
            worker_config=self._config,
            batch_size=None,
            shuffle_buffer_size=shuffle,
            blend_mode=interface.DatasetBlendMode.DATASET_WEIGHT,
        )

    def _raw(self, sample: Mapping[str, Any]) -> Raw:
        return Raw(
            self._addresses[sample["__subflavors__"]["folder"]],
            sample["__sources__"][0].shard_name,
            sample["__key__"],
            {name: data for name, data in sample.items() if not name.startswith("__")},
            _plain(sample["__restore_key__"]),
        )


def _as_it_is(sample: Any) -> Any:
    return sample


def _check_sizes(samples: Mapping[str, int], lanes: int) -> None:
    """In energon a lane without samples of a folder would do without it, and the folder's share would be wrong."""
    if small := [f"{address} ({count})" for address, count in samples.items() if count < lanes]:
        raise ValueError(
            f"there are {lanes} lanes, and each needs samples of its own, but fewer are in {', '.join(small)}; "
            "use fewer lanes, or put small sets into one folder"
        )


def _digest(factory: Any) -> str:
    """A short hash of what a folder holds: its shards, and what is left out of them."""
    found = [[(shard.name, shard.count) for shard in factory.shards], sorted(factory.sample_excludes)]
    return blake2b(repr(found).encode(), digest_size=8).hexdigest()


def _plain(value: Any) -> Any:
    """Energon's state in dicts, lists, numbers, texts and bytes; tuples and places in a slice are dicts of one key."""
    match value:
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case tuple():
            return {"tuple": [_plain(inner) for inner in value]}
        case None | bool() | int() | float() | str() | bytes():
            return value
        case _ if type(value).__name__ == "SliceState":
            return {"slice": [value.index, value.current]}
        case _:
            raise TypeError(f"energon's state holds a {type(value).__name__}, which this version cannot save")


def _energons(value: Any) -> Any:
    """The inverse of `_plain`."""
    match value:
        case {"tuple": list(inner), **others} if not others:
            return tuple(map(_energons, inner))
        case {"slice": [index, current], **others} if not others:
            loader = import_module("megatron.energon.flavors.webdataset.sample_loader")
            return loader.SliceState(index=index, current=current)
        case dict():
            state = import_module("megatron.energon.state").FlexState
            return state({name: _energons(inner) for name, inner in value.items()})
        case list():
            return [_energons(inner) for inner in value]
        case _:
            return value

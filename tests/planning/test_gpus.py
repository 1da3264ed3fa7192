import pytest

from nvlm.planning.gpus import GPUS, find_gpu


def test_names_state_the_memory():
    for name, gpu in GPUS.items():
        stated = int(name.rpartition("-")[2].removesuffix("g"))
        assert stated in (round(gpu.memory / 2**30), round(gpu.memory / 1e9)), name


def test_an_unknown_kind_is_told_with_the_nearest():
    assert find_gpu("h100-80g").peak == 989e12
    with pytest.raises(ValueError, match="unknown GPU 'H100-80GB': did you mean h100-80g"):
        find_gpu("H100-80GB")
    with pytest.raises(ValueError, match="there are a100-40g, "):
        find_gpu("abacus")

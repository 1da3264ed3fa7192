"""Blends: shares of nested weights, what is said about folders that are missing, and blends as YAML."""

from pathlib import Path

import pytest

from nvlm.data.blend import Blend, Folder, check_folders, listed, shares
from nvlm.data.blend_file import read_blend
from nvlm.data.prepared import Prepared, write_prepared

TOKENS = {"long": 400.0, "short": 100.0, "tiny": 50.0}


def shares_of(blend: Blend) -> dict[str, float]:
    return {address: round(share, 6) for address, share in shares(blend, TOKENS.__getitem__)}


def test_weights_of_samples_are_shares_and_nobody_counts_tokens():
    blend = Blend((Folder("a", 3), Folder("b")))
    assert dict(shares(blend, pytest.fail)) == {"a": 0.75, "b": 0.25}


def test_weights_of_tokens_are_divided_by_the_mean_tokens_of_a_sample():
    """As many tokens of both: four short samples for a long one."""
    blend = Blend((Folder("long"), Folder("short")), weights="tokens")
    assert shares_of(blend) == {"long": 0.2, "short": 0.8}


def test_a_nested_blend_counts_as_its_mixture():
    """Half of the samples are tiny, half short: 75 tokens on average. As many tokens of these as of the long ones."""
    inner = Blend((Folder("tiny"), Folder("short")))
    found = shares_of(Blend((inner, Folder("long")), weights="tokens"))
    assert found == {"tiny": pytest.approx(200 / 475, abs=1e-6), "short": found["tiny"], "long": found["long"]}
    tokens = {address: share * TOKENS[address] for address, share in found.items()}
    assert tokens["tiny"] + tokens["short"] == pytest.approx(tokens["long"], rel=1e-4)


def test_tokens_inside_samples_outside():
    inner = Blend((Folder("long"), Folder("short")), weight=1, weights="tokens")
    assert shares_of(Blend((inner, Folder("tiny", 3)))) == {"long": 0.05, "short": 0.2, "tiny": 0.75}


def test_a_folder_named_twice_gets_both_shares():
    assert shares_of(Blend((Folder("a"), Blend((Folder("a"), Folder("b")))))) == {"a": 0.75, "b": 0.25}


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Blend(()), "no parts"),
        (lambda: Folder("a", 0), "the weight of a is 0; it must be above 0"),
        (lambda: Folder("a", float("nan")), "above 0"),
        (lambda: Folder("s3://bucket/set"), "s3://bucket/set is no address .* object stores are msc://PROFILE/"),
        (lambda: Blend((Folder("a"),), weight=-1), "above 0"),
        (lambda: Blend((Folder("a"),), weights="rows"), "count samples or tokens, not 'rows'"),
        (lambda: listed("chartqua", "sft"), "did you mean chartqa"),
        (lambda: listed("chartqa", "pretrain"), "uses chartqa for sft, not for pretrain"),
    ],
)
def test_what_makes_no_sense_is_refused(make, said):
    with pytest.raises(ValueError, match=said):
        make()


def test_all_missing_folders_are_named_with_what_makes_them(tmp_path: Path):
    root = tmp_path / "shards"
    for name, complete in {"docvqa": True, "coco": False}.items():
        (root / "sft" / name).mkdir(parents=True)
        write_prepared(root / "sft" / name, Prepared({}, rows=1200, complete=complete))
    parts = [listed(name, "sft", str(root)) for name in ("docvqa", "coco", "chartqa", "chartqa")]
    with pytest.raises(ValueError, match="4 folders of the blend") as error:
        check_folders(Blend((*parts, Folder(f"{root}/sft/mine"), Folder("elsewhere"), Folder("msc://bucket/set"))))
    assert str(error.value) == (
        f"4 folders of the blend cannot be read: "
        f"{root}/sft/coco is prepared to row 1,200 only "
        f"(`nvlm data prepare coco --from PATH --stage sft --out {root}`); "
        f"{root}/sft/chartqa is missing (`nvlm data prepare chartqa --from PATH --stage sft --out {root}`); "
        f"{root}/sft/mine is missing "
        f"(`nvlm data prepare mine --format FORMAT --from PATH --stage sft --out {root}`); "
        "elsewhere is missing (`nvlm data prepare elsewhere --format FORMAT --from PATH`)"
    )


# YAML ---------------------------------------------------------------------------------------------


def write(folder: Path, text: str, name: str = "blend.yaml") -> Path:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_yaml_is_read_with_all_it_may_say(tmp_path: Path):
    write(tmp_path, "parts:\n- {dataset: coco, weight: 2}\n- path: msc://bucket/set\n- path: here\n", "in/text.yaml")
    path = write(
        tmp_path,
        """
        weights: tokens
        stage: pretrain
        parts:
        - {dataset: docmatix, weight: 2}
        - path: own/receipts
        - {path: in/text.yaml, weight: 0.5}
        - stage: sft
          root: ../other
          parts:
          - dataset: chartqa
        """,
    )
    inner = (Folder(f"{tmp_path}/shards/pretrain/coco", 2), Folder("msc://bucket/set"), Folder(f"{tmp_path}/in/here"))
    assert read_blend(path) == Blend(
        (
            Folder(f"{tmp_path}/shards/pretrain/docmatix", 2),
            Folder(f"{tmp_path}/own/receipts"),
            Blend(inner, 0.5),
            Blend((Folder(f"{tmp_path}/../other/sft/chartqa"),)),
        ),
        weights="tokens",
    )
    assert read_blend(path, root="/data").parts[0] == Folder("/data/pretrain/docmatix", 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("part:\n- path: a", "is no blend: it has no `parts`"),
        ("a: [", "is not YAML"),
        ("parts: []", "parts is not a list of folders and blends"),
        ("parts:\n- path: a\n  wieght: 2", r"parts\[0\].wieght is not known: did you mean weight\?"),
        ("weight: 2\nparts:\n- path: a", "weight is not known: did you mean weights"),
        ("parts:\n- pth: a", r"parts\[0\] is one of `path: …`, `dataset: …`, `parts: …`"),
        ("parts:\n- {path: a, dataset: coco}", r"parts\[0\] is one of"),
        ("parts:\n- path: a\n- {path: b, weight: -1}", r"parts\[1\].weight is -1, not a number above 0"),
        ("weights: rows\nparts:\n- path: a", "weights is 'rows'; it must be samples or tokens"),
        ("parts:\n- {dataset: coco, stage: finetune}", r"parts\[0\].stage is 'finetune'; it must be pretrain or sft"),
        ("parts:\n- dataset: cocoa", "did you mean coco"),
        ("parts:\n- path: x/../blend.yaml", "contains itself"),
    ],
)
def test_mistakes_in_yaml_say_where_they_are(tmp_path: Path, text: str, said: str):
    (tmp_path / "x").mkdir()
    with pytest.raises(ValueError, match=said) as error:
        read_blend(write(tmp_path, text))
    assert str(error.value).startswith(f"{tmp_path}/")

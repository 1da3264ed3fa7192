from dataclasses import replace

import pytest

from nvlm.evaluation.benchmark import MissingData
from nvlm.evaluation.nano_suite import NANO
from nvlm.evaluation.sandbox.run import SandboxError
from nvlm.evaluation.suites import BENCHMARKS, SUITES, TEXT, VISION, choose, jobs
from tests.evaluation.sets import ai2d, chartqa, coco_plain, docvqa
from tests.evaluation.text_sets import gsm8k, gsm8k_prefixed, humaneval, math, math_lines, mmlu


def names(suite: str) -> tuple[list[str], list[str]]:
    return tuple([each.name for each in group] for group in choose(suite))


def test_names_and_suites_may_be_mixed():
    assert names("chartqa") == (["chartqa"], [])
    assert names(" DocVQA, chartqa,docvqa ") == (["docvqa", "chartqa"], [])
    assert names("small,nlvr") == (["nlvr"], ["tabmwp", "sroie"])
    assert names("nano") == ([], list(NANO))
    assert set(names("all")[1]) == set(BENCHMARKS)


def test_the_paper_s_nine_are_in_the_vision_suite():
    nine = {"mmmu", "mathvista", "ocrbench", "ai2d", "chartqa", "docvqa", "textvqa", "realworldqa", "vqav2"}
    assert nine | {"ai2d_no_mask", "coco"} == {each.name for each in VISION}


def test_its_four_text_only_ones_are_in_the_text_suite():
    assert SUITES["text"] == ("mmlu", "gsm8k", "math", "humaneval")
    assert all(each.text_only for each in TEXT)


@pytest.mark.parametrize(("word", "near"), [("chartq", "chartqa"), ("vison", "vision"), ("doc_vqa", "docvqa")])
def test_a_misspelt_name_is_told_with_the_nearest(word, near):
    with pytest.raises(ValueError, match=f"{word}'; did you mean {near}\\?"):
        choose(f"nano,{word}")


def test_an_empty_suite_is_told():
    with pytest.raises(ValueError, match="names nothing"):
        choose(" , ")


def test_data_are_found_by_the_set_s_name_or_as_the_folder_itself(tmp_path):
    chartqa(tmp_path / "ChartQA Dataset")
    docvqa(tmp_path / "DocVQA" / "spdocvqa")
    coco_plain(tmp_path / "coco_mini")
    planned, missing = jobs("chartqa,docvqa,coco", data=tmp_path)
    assert missing == {}
    assert [job.found[1][0].parent.name for job in planned] == ["test", "spdocvqa", "coco_mini"]
    (alone,), _ = jobs("chartqa", data=tmp_path / "ChartQA Dataset")
    assert alone.count() == 2


def test_a_folder_belongs_to_the_longest_name(tmp_path):
    ai2d(tmp_path / "ai2d-no-mask")
    assert jobs("ai2d_no_mask", data=tmp_path)[0]
    with pytest.raises(MissingData):
        jobs("ai2d", data=tmp_path)


def test_text_only_sets_may_lie_together(tmp_path):
    mmlu(tmp_path / "text" / "mmlu")
    for write in (gsm8k_prefixed, math_lines, humaneval):
        write(tmp_path / "text")
    planned, missing = jobs("text", data=tmp_path, unsandboxed=True)
    assert ([job.benchmark.name for job in planned], missing) == (["mmlu", "gsm8k", "math", "humaneval"], {})
    gsm8k(tmp_path / "gsm8k")  # a folder of its own comes first
    (job,) = jobs("gsm8k", data=tmp_path)[0]
    assert job.found[1][0].parent.name == "gsm8k"


def test_math_is_not_found_where_mathvista_lies(tmp_path):
    math(tmp_path / "mathvista")
    with pytest.raises(MissingData):
        jobs("math", data=tmp_path)


def test_where_programs_cannot_be_confined_humaneval_takes_consent(tmp_path, monkeypatch):
    def refuse():
        raise SandboxError("no Landlock here")

    math(tmp_path / "math")
    humaneval(tmp_path / "humaneval")
    monkeypatch.setitem(BENCHMARKS, "humaneval", replace(BENCHMARKS["humaneval"], check=refuse))
    planned, left_out = jobs("text", data=tmp_path)
    assert [job.benchmark.name for job in planned] == ["math"]
    assert str(left_out["humaneval"]) == "no Landlock here"
    with pytest.raises(SandboxError, match="no Landlock here"):
        jobs("humaneval", data=tmp_path)
    (job,), _ = jobs("humaneval", data=tmp_path, unsandboxed=True)
    assert job.benchmark.grade is BENCHMARKS["humaneval"].unsandboxed


def test_what_a_suite_brings_is_optional(tmp_path):
    math(tmp_path / "math")
    chartqa(tmp_path / "chartqa")
    planned, _ = jobs("chartqa,text", data=tmp_path)
    assert [(job.benchmark.name, job.optional) for job in planned] == [("chartqa", False), ("math", True)]


def test_missing_data_say_what_to_get_from_where(tmp_path):
    with pytest.raises(MissingData) as named:
        jobs("chartqa", data=tmp_path)
    for part in ("test split of chartqa", str(tmp_path), "github.com/vis-nlp/ChartQA", "test/test_*.json"):
        assert part in str(named.value)
    with pytest.raises(MissingData, match="no folder was given with --data"):
        jobs("docvqa")


def test_a_suite_goes_on_without_the_sets_that_are_missing(tmp_path):
    chartqa(tmp_path / "chartqa")
    planned, missing = jobs("vision", data=tmp_path)
    assert [job.benchmark.name for job in planned] == ["chartqa"]
    assert list(missing) == [each.name for each in VISION if each.name != "chartqa"]
    with pytest.raises(MissingData, match=r"val split of mmmu.*; nor are mathvista, .*, coco: nvlm eval --list says"):
        jobs("vision", data=tmp_path / "chartqa" / "test")
    assert len(jobs("nano")[0]) == len(SUITES["nano"])


def test_wrong_splits_and_folders_are_told(tmp_path):
    with pytest.raises(ValueError, match="chartqa has no split 'dev'; there is test, val"):
        jobs("chartqa", split="dev", data=tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        jobs("chartqa", data=tmp_path / "nothing")

"""The tasks of the nano suite, pooled as the paper's findings need them."""

from collections.abc import Mapping

from nvlm.evaluation.nano_suite import GROUPS, NANO

TEXT_RICH = tuple(task for task in NANO if task.startswith(("table/", "chart/", "receipt/", "read/")))
"""What can only be answered by reading: here stands what ChartQA, DocVQA, TextVQA and OCRBench measure."""

TEXT_ONLY = tuple(task for task in NANO if NANO[task].text_only)
PICTURES = tuple(task for task in NANO if task not in TEXT_ONLY)

ROWS: Mapping[str, tuple[str, ...]] = {
    "all picture tasks": PICTURES,
    "all text-rich picture tasks": TEXT_RICH,
    **GROUPS,
}
"""The rows of the table of quality: two pools, then the suite's own groups; the text-only tasks are one of them."""

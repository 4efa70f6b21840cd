"""The generated parts of the documents are what ``make docs`` would write."""

from pathlib import Path

import pytest

from tests.architecture.generated import FILES, PARTS, documents, names_in, renew
from tests.architecture.sources import ROOT


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_is_up_to_date(document: Path) -> None:
    text = document.read_text(encoding="utf-8")

    assert text == renew(text), "run make docs"


@pytest.mark.parametrize("name", FILES)
def test_a_generated_file_is_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name](), "run make docs"


def test_every_part_is_in_one_document() -> None:
    assert sorted(name for document in documents() for name in names_in(document.read_text("utf-8"))) == sorted(PARTS)

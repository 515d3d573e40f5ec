# SPDX-License-Identifier: Apache-2.0
"""What README and guides show is what the programs do."""
import difflib
import re

import pytest

from tests.support import documents
from tests.support.programs import TOP

DOCUMENTS = ["README.md", "docs/migration.md"]


@pytest.fixture
def folder(tmp):
    yield tmp
    documents.end(tmp)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_session_in_a_document_prints_what_stands_there(name, programs, folder):
    work = folder / "work"
    work.mkdir()
    documents.stage(work)
    text = (TOP / name).read_text()
    now = documents.run(programs, work, text)
    difference = list(difflib.unified_diff(documents.normal(text).splitlines(), documents.normal(now).splitlines(),
                                           name, "what the commands print", lineterm="", n=2))
    assert not difference, ("\n".join(difference) +
                            f"\nIf the program is right: python3 -m tests.support.documents {name}")


def test_links_between_documents_lead_somewhere():
    files = [file for file in TOP.rglob("*.md") if not file.relative_to(TOP).parts[0].startswith(("build", "."))]
    broken = []
    for file in files:
        for link in re.findall(r"\]\(([^)#\s]+)", file.read_text()):
            if "://" not in link and not (file.parent / link).exists():
                broken.append(f"{file.relative_to(TOP)}: {link}")
    assert not broken

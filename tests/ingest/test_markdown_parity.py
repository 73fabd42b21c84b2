"""Our heading scanner against markdown-it (CommonMark)."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from ingest.parse.markdown import _FRONT_MATTER, find_headings


def reference(text: str) -> list[tuple[int, int]]:
    """(level, offset) of top-level headings with a title, by markdown-it."""
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    tokens = MarkdownIt("commonmark").disable(["inline"]).parse(text)
    return [
        (int(t.tag[1:]), starts[t.map[0]])
        for i, t in enumerate(tokens)
        if t.type == "heading_open" and t.level == 0 and tokens[i + 1].content.strip()
    ]


def ours(text: str) -> list[tuple[int, int]]:
    return [(h.level, h.start) for h in find_headings(text)]


blocks = st.sampled_from(
    ["# One", "## Two ##", "###### Six", "####### seven", "#nospace", "Title\n=====", "Sub\n---", "text\nmore text", "- item", "1. item",
     "> # quoted", "```\n# code\n```", "~~~py\n# code\n~~~", "````\n```\n# code\n````", "    # indented", "---", "***", "| a | b |\n|---|---|",
     "<!-- # c\n# d -->", "<div>\n# in html\n</div>", "text\n# directly after", "plain"]
)  # fmt: skip


@given(st.lists(blocks, max_size=12))
@settings(max_examples=300, deadline=None)
def test_the_scanner_agrees_with_markdown_it_on_blocks_apart(parts):
    text = "\n\n".join(parts) + "\n"
    assert ours(text) == reference(text)


@pytest.mark.slow
@pytest.mark.data
def test_the_scanner_agrees_with_markdown_it_on_real_files(shared_data):
    import tarfile

    archive = shared_data / "text-collection.tar.xz"
    if not archive.exists():
        pytest.skip("the text collection is not there")
    same = files = 0
    with tarfile.open(archive) as tar:
        for member in tar:
            if not member.isfile() or not member.name.endswith(".md"):
                continue
            text = (tar.extractfile(member) or tar).read().decode("utf-8", "replace").replace("\r\n", "\n")
            text = text.removeprefix("\ufeff")
            front = _FRONT_MATTER.match(text)
            text = text[front.end() :] if front else text  # to CommonMark it is a heading
            files += 1
            same += ours(text) == reference(text)
            if files == 1500:
                break
    assert same / files > 0.99, f"{same} of {files}"

"""Markdown tables that are cut into parts of passage size, each with the header."""

from __future__ import annotations

from ingest.parse.tables import markdown_table, tokens


def test_empty_rows_and_columns_are_dropped_and_bars_are_escaped():
    rows = [["a", "", "b|c"], ["", "", ""], ["1", "", "2"]]
    assert markdown_table(rows) == "| a | b\\|c |\n|-|-|\n| 1 | 2 |"
    assert markdown_table(rows, header=False) == "| a | b\\|c |\n| 1 | 2 |"
    assert markdown_table([["", ""], [""]]) == ""


def test_a_long_table_comes_in_parts_that_each_have_the_header():
    rows = [["name", "sum"], *([f"row {n}", f"{n},000"] for n in range(100))]
    parts = markdown_table(rows, segment_tokens=60).split("\n\n")
    assert all(part.startswith("| name | sum |\n|-|-|\n") for part in parts)
    assert all(sum(map(tokens, part.split("\n"))) <= 60 for part in parts)
    assert [line for part in parts for line in part.split("\n")[2:]] == [f"| row {n} | {n},000 |" for n in range(100)]


def test_a_group_is_repeated_until_its_total_and_its_label_never_stands_alone():
    rows = [
        ["", "2022"],
        ["Assets:", ""],
        *([f"item {n}", "1,234"] for n in range(9)),
        ["Total assets", "9"],
        ["Cash", "7"],
    ]
    parts = [part.split("\n")[2:] for part in markdown_table(rows, segment_tokens=45).split("\n\n")]
    assert len(parts) > 2
    assert all(part[0] == "| Assets: |  |" and len(part) > 1 for part in parts[:-1])
    assert parts[-1][-1] == "| Cash | 7 |"
    assert all(
        part[0] != "| Assets: |  |" for part in parts if "| Cash | 7 |" in part and "| Total assets | 9 |" not in part
    )


def test_a_header_longer_than_a_part_cannot_blow_the_text_up():
    header = ["word " * 120, "x"]
    rows = [header, *([str(n), "1"] for n in range(3000))]
    assert len(markdown_table(rows)) < 10 * len(markdown_table(rows, header=False))


def test_a_header_of_prose_is_not_repeated():
    rows = [["word " * 400, "x"], *([str(n), "1"] for n in range(300))]
    assert markdown_table(rows).count("word") == 400

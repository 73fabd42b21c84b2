"""The names under which ``openbook ingest`` sends files: today's where they are unique, and never one for two files."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from app.cli.ingest import named_files


@pytest.fixture
def years(tmp_path: Path) -> Path:
    for year in ("2023", "2024"):
        (tmp_path / year / "deep").mkdir(parents=True)
        (tmp_path / year / "report.txt").write_text(f"The report of {year}")
        (tmp_path / year / "deep" / f"{year}.txt").write_text(f"More of {year}")
    return tmp_path


def names(*paths: Path) -> dict[str, str]:
    return {name: path.read_text() for name, path in named_files(paths)}


def test_a_name_that_two_folders_share_has_the_folder_before_it(years: Path) -> None:
    assert names(years / "2023", years / "2024") == {
        "2023/report.txt": "The report of 2023",
        "2024/report.txt": "The report of 2024",
        "deep/2023.txt": "More of 2023",
        "deep/2024.txt": "More of 2024",
    }


def test_two_files_of_one_name_have_the_folders_that_they_lie_in(years: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(names(years / "2023" / "report.txt", years / "2024" / "report.txt")) == [
        "2023/report.txt",
        "2024/report.txt",
    ]
    monkeypatch.chdir(years / "2023")
    assert list(names(Path("report.txt"), Path("../2024"))) == ["2023/report.txt", "deep/2024.txt", "2024/report.txt"]


def test_one_source_alone_keeps_its_names_and_a_file_that_is_given_twice_is_one(years: Path) -> None:
    alone = ["deep/2023.txt", "report.txt"]
    assert list(names(years / "2023")) == alone
    assert list(names(years / "2023", years / "2023" / "report.txt", years / "2023")) == alone


def test_what_folders_do_not_tell_apart_is_refused_before_anything_is_sent(
    years: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = years / "other" / "2023"
    other.mkdir(parents=True)
    (other / "report.txt").write_text("Another report of 2023")
    with pytest.raises(typer.Exit):
        named_files([years / "2023", other])
    assert "would both be named 2023/report.txt" in " ".join(capsys.readouterr().err.split())

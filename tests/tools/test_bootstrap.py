"""`make up` makes the environment anew where it does not run, and knows one that was made by half for what it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import bootstrap


class Machine:
    """A checkout of its own. A ``python`` in its .venv that notes what pip is asked to install, and fails where it is told to."""

    def __init__(self, root: Path) -> None:
        self.root, self.venv = root, root / ".venv"
        (root / "requirements").mkdir()
        (root / "pyproject.toml").touch()
        self.lock("old")
        self.python = root / "python"
        self.python.write_text(
            "#!/bin/sh\n"
            f'case "$*" in\n  "-m venv"*) rm -rf {self.venv}; mkdir -p {self.venv}/bin; cp "$0" {self.venv}/bin/python;;\n'
            f'  "-m pip install"*) echo "$*" >> {root}/asked; touch {self.venv}/bin/openbook\n'
            f'    if [ -e {root}/broken ] && echo "$*" | grep -q editable; then echo ERROR: no line >&2; exit 1; fi;;\n'
            "esac\n"
        )
        self.python.chmod(0o755)

    def lock(self, text: str) -> None:
        for name in ("lock.txt", "dev.txt", "torch.txt"):
            (self.root / "requirements" / name).write_text(text)

    def up(self) -> tuple[int, int]:
        """The exit code, and how many sets of packages were asked for."""
        (self.root / "asked").write_text("")
        code = bootstrap.main([])
        return code, len((self.root / "asked").read_text().splitlines())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine(tmp_path)
    monkeypatch.setattr(bootstrap, "ROOT", found.root)
    monkeypatch.setattr(bootstrap, "VENV", found.venv)
    monkeypatch.setattr(bootstrap, "NEEDED_GIB", 0)
    monkeypatch.setenv("PYTHON", str(found.python))
    return found


def test_what_is_installed_is_not_installed_again_until_the_lock_is_another(machine: Machine) -> None:
    assert machine.up() == (0, 3)
    assert machine.up() == (0, 0)
    machine.lock("new")
    assert machine.up() == (0, 3)


@pytest.mark.parametrize("left", ["dangling", "too old"])
def test_an_environment_whose_python_is_gone_or_no_longer_fits_is_made_anew(machine: Machine, left: str) -> None:
    machine.up()
    python = machine.venv / "bin" / "python"
    python.unlink()
    if left == "dangling":
        python.symlink_to(machine.root / "python3.99")
    else:
        python.write_text("#!/bin/sh\nexit 1\n")
        python.chmod(0o755)
    assert machine.up() == (0, 3)
    assert machine.up() == (0, 0)


def test_after_an_update_that_broke_off_the_version_before_is_installed_again(machine: Machine) -> None:
    assert machine.up() == (0, 3)
    machine.lock("new")
    (machine.root / "broken").touch()
    assert machine.up() == (1, 3)
    (machine.root / "broken").unlink()
    machine.lock("old")
    assert machine.up() == (0, 3), "its torch and its packages are those of the new version by now"

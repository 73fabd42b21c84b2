"""Makes .venv as the lock says: torch first and by itself, then everything else with --no-deps, then Openbook.

Runs on the standard library of any Python 3, so that a wrong Python gets one clear line. Nothing is done where
the stamp in .venv says that this lock is already installed, and its Python still runs.

    python3 tools/bootstrap.py [--dev]
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_GIB = 4  # the CPU build with everything; a CUDA build needs about twice that


def main(argv: list[str]) -> int:
    dev = "--dev" in argv
    lock = ROOT / "requirements" / ("dev.txt" if dev else "lock.txt")
    torch = ROOT / "requirements" / "torch.txt"
    # The runtime set is a subset of the dev set, so a dev environment serves both.
    stamps = [_stamp("dev.txt")] if dev else [_stamp("dev.txt"), _stamp("lock.txt")]
    runs = _in_range(
        str(VENV / "bin" / "python")
    )  # a newer system may have taken away the Python that it was made with
    if runs and (VENV / "bin" / "openbook").exists() and any((VENV / s).exists() for s in stamps):
        return 0
    python = _find_python()
    if python is None:
        have = ".".join(map(str, sys.version_info[:3]))
        return _fail(
            f"Openbook needs Python 3.11, 3.12 or 3.13; `python3` here is {have}: install one of them "
            "(on Debian: apt install python3.11 python3.11-venv), or name it: make PYTHON=/path/to/python3.12"
        )
    free = shutil.disk_usage(ROOT).free / 2**30
    if free < NEEDED_GIB:
        return _fail(f"{ROOT} has {free:.1f} GiB free and the environment needs {NEEDED_GIB}: free some space")
    begun = time.monotonic()
    if not runs:
        _say(f"making .venv with {python}")
        if subprocess.call([python, "-m", "venv", "--clear", str(VENV)]) != 0:
            return _fail(f"{python} could not make .venv (on Debian: apt install python3-venv)")
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    steps = [
        ("torch (the largest part: minutes on a slow line)", ["-r", str(torch)]),
        ("the locked dependencies", ["--no-deps", "--require-hashes", "-r", str(lock)]),
        ("openbook", ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]),
    ]
    # Before the first of them: what is installed by half is installed as no lock says.
    for old in VENV.glob(".installed-*"):
        old.unlink()
    for number, (name, arguments) in enumerate(steps, 1):
        _say(f"[{number}/{len(steps)}] installing {name}")
        done = subprocess.run(pip + arguments, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if "ERROR" in line or "Errno" in line]
            return _fail(f"installing {name} failed: {' '.join(lines[-2:]) or done.stderr.strip()[-300:]}")
    (VENV / _stamp(lock.name)).touch()
    _say(f"environment ready in {time.monotonic() - begun:.0f} s")
    return 0


def _stamp(lock_name: str) -> str:
    h = hashlib.sha256()
    for name in (f"requirements/{lock_name}", "requirements/torch.txt", "pyproject.toml"):
        h.update((ROOT / name).read_bytes())
    return f".installed-{lock_name.removesuffix('.txt')}-{h.hexdigest()[:16]}"


def _find_python() -> str | None:
    named = os.environ.get("PYTHON")
    candidates = [named] if named else [sys.executable, "python3", "python3.11", "python3.12", "python3.13"]
    return next((c for c in candidates if c and _in_range(c)), None)


def _in_range(python: str) -> bool:
    code = f"import sys; sys.exit(not ({OLDEST} <= sys.version_info[:2] <= {NEWEST}))"
    try:
        return subprocess.call([python, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0
    except OSError:
        return False


def _say(line: str) -> None:
    print(f"openbook: {line}", flush=True)


def _fail(line: str) -> int:
    print(f"openbook: {line}", file=sys.stderr, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Lets a process, and those that it starts, import only what one of requirements/*.txt would install: as in a container image.

Python runs this at its start where the folder is on PYTHONPATH. TEST_ONLY_REQUIREMENTS names the file.
"""

import importlib.abc
import importlib.metadata
import os
import re
import sys
from pathlib import Path


class _Absent(importlib.abc.MetaPathFinder):
    def __init__(self, names):
        self._names = names

    def find_spec(self, fullname, path=None, target=None):
        if path is None and fullname in self._names:
            raise ModuleNotFoundError(f"No module named {fullname!r} (it is not in this image)", name=fullname)


def _absent(requirements):
    """Top-level modules that only packages beside these bring along."""
    text = Path(requirements).read_text()
    installed = {_canonical(name) for name in re.findall(r"^[A-Za-z0-9][A-Za-z0-9_.-]*", text, re.MULTILINE)}
    installed.add("openbook")
    found = importlib.metadata.packages_distributions()
    return {module for module, names in found.items() if not installed & set(map(_canonical, names))}


def _canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


if "TEST_ONLY_REQUIREMENTS" in os.environ:
    sys.meta_path.insert(0, _Absent(_absent(os.environ["TEST_ONLY_REQUIREMENTS"])))

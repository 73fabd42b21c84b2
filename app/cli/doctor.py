"""``openbook doctor``."""

from __future__ import annotations

import dataclasses

import typer

from app.cli.common import AsJson, DataDir, print_json, settings_of

MARKS = {"ok": "ok", "note": "--", "missing": "!!"}


def doctor(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Say what this machine has, what each profile needs, and what is missing.

    Example: openbook doctor
    """
    from app.doctor import examine

    findings = examine(settings_of(data_dir))
    missing = [f for f in findings if f.state == "missing"]
    if as_json:
        print_json({"ok": not missing, "findings": [dataclasses.asdict(f) for f in findings]})
    else:
        for finding in findings:
            print(f"{MARKS[finding.state]}  {finding.topic:<8} {finding.text}")
        print()
        print("embedded  encoder, verifier and a 135M language model on the CPU, from packages; nothing is downloaded")
        print("gpu       any sentence-transformers encoder and any open model behind vLLM (OPENBOOK_LM_BASE_URL)")
    if missing:
        raise typer.Exit(1)

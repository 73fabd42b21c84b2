"""``openbook prompts``: what the language model is told, and whether a person's own files can stand in for it."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.common import AsJson, DataDir, print_json, settings_of

app = typer.Typer(name="prompts", help="Shows and checks what the language model is told.", no_args_is_help=True)

OfCollection = Annotated[
    str | None, typer.Option("--collection", "-c", help="As they are where this collection alone is asked.")
]


@app.command("list")
def list_(collection: OfCollection = None, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Every prompt, what it is given, and whether it is your own. Fails if one of your own cannot be used.

    Example: openbook prompts list --collection filings
    """
    from agents.prompts import prompt_names
    from app.prompt_files import prompts_of

    prompts = prompts_of(settings_of(data_dir).data_dir, [collection] if collection else [])
    found = [(n, n in prompts.overrides, prompts.hash(n), sorted(prompts.variables(n))) for n in prompt_names()]
    if as_json:
        print_json({"prompts": [dict(zip(("name", "own", "hash", "variables"), row, strict=True)) for row in found]})
        return
    for name, own, digest, variables in found:
        print(f"{digest}  {'own' if own else '   '}  {name:<24} {', '.join(variables)}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The prompt's file name.")],
    collection: OfCollection = None,
    data_dir: DataDir = None,
) -> None:
    """Prints a prompt as it is used now: where to begin with your own.

    Example: openbook prompts show rag_user.j2 > data/prompts/rag_user.j2
    """
    from app.prompt_files import prompts_of

    print(prompts_of(settings_of(data_dir).data_dir, [collection] if collection else []).source(name), end="")

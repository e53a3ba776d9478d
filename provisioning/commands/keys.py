"""`lamppost keys`: make the keys that open footage."""

import typer

app = typer.Typer(no_args_is_help=True)


@app.command()
def generate() -> None:
    """Make an identity file and print its recipient."""

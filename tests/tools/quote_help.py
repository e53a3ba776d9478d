"""Write the programs' help into the README: `python -m tests.tools.quote_help`."""

import re
import subprocess
import sys
from pathlib import Path

from provisioning.__main__ import COMMANDS, summary_of

README = Path(__file__).resolve().parents[2] / "README.md"


def main() -> None:
    """Replace both quotations."""
    agent = subprocess.run([sys.executable, "-m", "agent", "--help"], check=True, capture_output=True, text=True).stdout
    commands = re.findall(r"^    (\w+) {2,}(.*(?:\n {14}\S.*)*)", agent, re.MULTILINE)
    quotes = {
        "lamppost-agent": [(name, " ".join(words.split())) for name, words in commands],
        "lamppost": [(name, summary_of(name)) for name in COMMANDS],
    }
    text = README.read_text(encoding="utf-8")
    for program, rows in quotes.items():
        width = max(len(name) for name, _ in rows)
        lines = "".join(f"{name:{width}}  {words}\n" for name, words in rows)
        text = re.sub(
            rf"(<!-- help: {program} -->\n```\n).*?(```\n<!-- /help -->)",
            lambda match, lines=lines: match[1] + lines + match[2],
            text,
            flags=re.DOTALL,
        )
    README.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

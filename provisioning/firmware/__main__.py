"""Check what the boards boot with: every key known, every line with its reason, every promise of the table kept.

python -m provisioning.firmware firmware-config           as `make check` runs it: findings, or nothing
python -m provisioning.firmware firmware-config --write   renew the table of boards in its README.md
"""

import sys
from pathlib import Path

from provisioning.firmware.check import check
from provisioning.firmware.tables import read_boards, with_table


def main() -> None:
    """Say what is wrong in the folder given, and exit with 1 if anything is."""
    folder = Path(sys.argv[1])
    if "--write" in sys.argv[2:]:
        readme = folder / "README.md"
        readme.write_text(with_table(readme.read_text(encoding="utf-8"), read_boards(folder)), encoding="utf-8")
    findings = check(folder)
    for finding in findings:
        sys.stderr.write(f"{finding}\n")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()

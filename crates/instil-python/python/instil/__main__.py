"""The program: ``python -m instil`` and the console script ``instil``."""

import sys

from instil._instil import main as _main


def main() -> int:
    """Runs the program with the arguments of this process, and gives its exit code."""
    return _main(["instil", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())

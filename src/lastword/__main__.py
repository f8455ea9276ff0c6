"""Make ``python -m lastword`` run the command ``lastword``."""

import sys

from lastword.cli import main

if __name__ == "__main__":
    sys.exit(main())

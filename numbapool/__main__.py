"""``python -m numbapool``, also installed as ``numbapool``."""

import sys

from numbapool.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m tl_core`: the engine without the browser."""

import sys

from tl_core.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

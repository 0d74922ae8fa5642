"""`python -m tl_core`: the engine without the browser."""

import os
import sys

from tl_core.cli import main

if __name__ == "__main__":
    # Read when torch is loaded: threads that spin while they wait cost up to seven times the speed on busy cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(main(sys.argv[1:]))

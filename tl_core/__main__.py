"""`python -m tl_core`: the engine without the browser."""

import os
import sys

from tl_core.cli import main
from tl_core.threads import CALM

if __name__ == "__main__":
    os.environ.update(CALM | dict(os.environ))
    sys.exit(main(sys.argv[1:]))

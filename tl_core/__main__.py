"""`python -m tl_core`: the engine without the browser."""

import os
import sys

from tl_core.threads import THREAD_SETTINGS

if __name__ == "__main__":
    os.environ.update(THREAD_SETTINGS | dict(os.environ))
    from tl_core.cli import main  # after the environment, which numpy reads when it is loaded

    sys.exit(main(sys.argv[1:]))

"""bench-sweep: as bench-presets, for other values of single keys of the default edit."""

import sys

from presets import main

if __name__ == "__main__":
    sys.exit(main("sweep", __doc__))

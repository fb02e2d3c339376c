"""Entry point of `python -m config.embedded exec -- COMMAND...` (config.embedded.stack)."""

import sys

from config.embedded.stack import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

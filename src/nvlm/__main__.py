"""The command line as `python -m nvlm`, which is what torchrun starts."""

import sys

from nvlm.cli.main import main

if __name__ == "__main__":
    sys.exit(main())

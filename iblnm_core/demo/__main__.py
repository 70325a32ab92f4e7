"""Write `docs/truth.md`: `python -m iblnm_core.demo docs/truth.md`."""

import os
import sys
from pathlib import Path

from iblnm_core.demo.recovery import write_page

if __name__ == "__main__":
    write_page(Path(sys.argv[1]), workers=os.cpu_count() or 1)

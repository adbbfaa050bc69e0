"""`python -m tierline`: the same as the command `tierline`."""

from tierline.cli import main

raise SystemExit(main())

"""`python -m netglot` is the command `netglot`."""

from netglot.cli import main

main()

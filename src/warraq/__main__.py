"""`python -m warraq` is the `warraq` command."""

from warraq.cli import main

main()

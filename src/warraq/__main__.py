"""`python -m warraq` is the `warraq` command."""

from warraq.cli.main import main

main()

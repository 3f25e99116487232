"""Documents -> answers of a finished model, page by page: what `warraq read` and `warraq serve` have in common."""

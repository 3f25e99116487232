"""Data sets of others as pages and labels."""

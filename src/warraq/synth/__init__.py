"""Synthetic documents with their true answers, and pages with planted errors."""

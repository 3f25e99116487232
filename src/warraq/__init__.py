"""warraq turns a folder of PDFs into a small vision-language model that its owner runs alone."""

__version__ = "0.1.0"

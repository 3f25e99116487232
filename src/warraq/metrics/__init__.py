"""Pure scores: values in, numbers out, no files."""

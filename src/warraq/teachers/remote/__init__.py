"""A teacher that is a model behind HTTP: how it is asked, paced, paid, remembered and read."""

"""What a dataset is made of: samples from labels, and documents split into train, validation and test."""

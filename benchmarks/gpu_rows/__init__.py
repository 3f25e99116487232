"""What `train_gpu.py` runs, a row at a time."""

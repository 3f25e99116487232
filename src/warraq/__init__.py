"""warraq turns a folder of PDFs into a small vision-language model that its owner runs alone."""

import os

__version__ = "0.1.0"

# onnxruntime reports to its maker unless told not to before it is loaded; every way to it leads through this package.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

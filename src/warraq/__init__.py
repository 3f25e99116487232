"""warraq turns a folder of PDFs into a small vision-language model that its owner runs alone."""

import os

from warraq.environment import TELEMETRY_OFF

__version__ = "0.1.0"

os.environ.update(TELEMETRY_OFF)

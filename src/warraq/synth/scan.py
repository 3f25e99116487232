"""A clean grey page -> the page as a worn scanner gives it: askew, pale, blurred, noisy."""

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Scan:
    """One pass through the scanner. Each kind of damage is either clear to see, and in `notes`, or next to nothing."""

    dpi: int
    skew_deg: float
    noise: float  # standard deviation, grey levels
    contrast: float  # of ink against paper, share of the original
    paper: int  # grey level of the paper
    blur_px: float
    quality: int  # of the JPEG
    seed: int  # of the noise

    @property
    def notes(self) -> tuple[str, ...]:
        """The kinds of damage that are clear to see."""
        damage = {"noise": self.noise >= 10, "skew": abs(self.skew_deg) >= 0.8, "faded": self.contrast <= 0.6}
        return tuple(note for note, clear in damage.items() if clear)


def choose_scan(rng: Random) -> Scan:
    """Draw one pass through the scanner; every kind of damage is on some scans and not on others."""
    skew = rng.choice((-1, 1)) * (rng.uniform(0.8, 1.5) if rng.random() < 0.5 else rng.uniform(0, 0.2))
    return Scan(
        dpi=rng.randint(110, 150),
        skew_deg=skew,
        noise=rng.uniform(10, 16) if rng.random() < 0.4 else rng.uniform(2, 4),
        contrast=rng.uniform(0.45, 0.6) if rng.random() < 0.3 else rng.uniform(0.9, 1),
        paper=rng.randint(228, 248),
        blur_px=rng.uniform(0.3, 0.7),
        quality=rng.randint(60, 80),
        seed=rng.getrandbits(32),
    )


def degrade(grey: "np.ndarray", scan: Scan) -> "np.ndarray":
    """What the scanner makes of a page: (height, width) uint8 -> the same shape and type."""
    import numpy as np
    from PIL import Image, ImageFilter

    ink = (255 - grey.astype(np.float32)) * (scan.contrast * scan.paper / 255)
    pale = Image.fromarray((scan.paper - ink).astype(np.uint8))
    turned = pale.rotate(scan.skew_deg, Image.Resampling.BICUBIC, fillcolor=scan.paper)
    soft = np.asarray(turned.filter(ImageFilter.GaussianBlur(scan.blur_px)), np.float32)
    noise = np.random.default_rng(scan.seed).standard_normal(grey.shape, np.float32) * np.float32(scan.noise)
    return np.clip(soft + noise, 0, 255).astype(np.uint8)

"""Write scikit-learn's handwritten digits into `data/` as two NumPy files.

They are committed, so the example needs this script (and scikit-learn) only to show where they come from:

    python examples/digits/make_data.py

The digits are the test part of "Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak
(UCI Machine Learning Repository, 1998, CC BY 4.0), as scikit-learn ships them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

HERE = Path(__file__).resolve().parent


def main() -> None:
    digits = load_digits()
    target = HERE / "data"
    target.mkdir(exist_ok=True)
    np.save(target / "images.npy", digits.images.astype(np.uint8))  # 1797 of 8 x 8, ink from 0 to 16
    np.save(target / "labels.npy", digits.target.astype(np.uint8))  # the digit each shows
    for path in sorted(target.glob("*.npy")):
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()

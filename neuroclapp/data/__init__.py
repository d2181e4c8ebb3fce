"""Data sets, one file each."""

SETS = {"digits": "1797 handwritten digits of 8x8 pixels, 10 classes; comes with scikit-learn"}

"""Data sets, one file each."""

SETS = {
    "digits": "1797 handwritten digits of 8x8 pixels, 10 classes; comes with scikit-learn",
    "stl10": "113 000 photographs of 96x96 pixels, 100 000 of them unlabelled, 10 classes; from Stanford",
    "cifar10": "60 000 photographs of 32x32 pixels, 10 classes; the binary version, from Toronto",
    "imagenette96": "13 394 photographs of 96x96 pixels, 10 classes; one .npz made of fastai's Imagenette2",
    "folder": "your own images of one size, in train/CLASS, test/CLASS and perhaps unlabelled",
    "npz": "your own images as arrays in one .npz file; the keys stand in neuroclapp/data/npz.py",
}

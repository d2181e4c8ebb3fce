"""Data sets, one file each."""

SETS = {
    "digits": "1797 handwritten digits of 8x8 pixels, 10 classes; comes with scikit-learn",
    "stl10": "113 000 photographs of 96x96 pixels, 100 000 of them unlabelled, 10 classes; from Stanford",
    "cifar10": "60 000 photographs of 32x32 pixels, 10 classes; the binary version, from Toronto",
    "imagenette96": "13 394 photographs of 96x96 pixels, 10 classes; one .npz made of fastai's Imagenette2",
    "folder": "your own images of one size, in train/CLASS, test/CLASS and perhaps unlabelled",
    "librispeech": "100 hours of read English, 41 phones; from openslr.org, alignment and lists from CPC",
    "speechocean762": "782 utterances of English as a second language, 53 min, 40 phones aligned by machine",
    "textgrids": "your own speech in train/SPEAKER and test/SPEAKER, a TextGrid with phones beside each file",
    "npz": "your own images as arrays in one .npz file; the keys stand in neuroclapp/data/npz.py",
}

#: Sets whose files are the user's own, and may change: where in their folder these lie.
OWN = {
    "folder": ("train", "test", "unlabelled"),
    "npz": ("images.npz",),
    "textgrids": ("train", "test"),
}

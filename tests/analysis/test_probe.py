"""The linear probe: accuracy in percent of what is known to be separable, or known not to be."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from neuroclapp.analysis.probe import probe
from neuroclapp.systems import Probe

LOGISTIC, ADAM = Probe("logistic"), Probe("adam", epochs=40, learning_rate=1e-2)
PROBES = [pytest.param(LOGISTIC, id="logistic"), pytest.param(ADAM, id="adam")]
SIZES = {"training": 150, "validation": 60, "test": 90}


def made(distance, seed=0):
    """Three classes as normal clouds of width 1 whose centres lie ``distance`` from the origin."""
    draw = np.random.default_rng(seed)
    labels = {part: np.arange(size) % 3 for part, size in SIZES.items()}
    features = {
        part: (distance * np.eye(5)[known] + draw.standard_normal((len(known), 5))).astype(np.float32)
        for part, known in labels.items()
    }
    return features, labels


@pytest.mark.parametrize("how", PROBES)
def test_what_is_separable_is_found(how):
    assert probe(*made(12), how, 0) == {"validation": 100.0, "test": 100.0}


@pytest.mark.parametrize("how", PROBES)
def test_noise_is_at_chance(how):
    """Of 90 test images a third is right by chance, give or take 5 images (standard deviation)."""
    found = probe(*made(0), how, 0)
    assert abs(found["test"] - 100 / 3) < 4 * 5 / 90 * 100


@pytest.mark.parametrize("how", PROBES)
def test_accuracy_is_in_percent(how):
    """Of separable images whose labels are turned in 9 of 90, nine tenths are right."""
    features, labels = made(12)
    wrong = labels["test"].copy()
    wrong[:9] = (wrong[:9] + 1) % 3
    assert probe(features, {**labels, "test": wrong}, how, 0)["test"] == 90.0


@pytest.mark.parametrize("how", PROBES)
def test_test_images_train_and_choose_nothing(how):
    features, labels = made(1)
    other = {**features, "test": -features["test"]}
    found, again = probe(features, labels, how, 0), probe(other, labels, how, 0)
    assert found["validation"] == again["validation"]
    assert found["test"] != again["test"]


def test_validation_images_do_not_train_the_paper_s_probe():
    features, labels = made(1)
    other = {**features, "validation": 100 * features["validation"][::-1]}
    assert probe(other, labels, ADAM, 0)["test"] == probe(features, labels, ADAM, 0)["test"]


def test_validation_images_only_choose_the_logistic_probe_s_penalty():
    """Whatever validation says, test accuracy is that of one of the penalties' fits on training images."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    features, labels = made(1)
    fits = {}
    for strength in (0.003, 0.03, 0.3):
        fit = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=100))
        fit.fit(features["training"].astype(float), labels["training"])
        fits[strength] = [100 * fit.score(features[part], labels[part]) for part in ("validation", "test")]
    found = probe(features, labels, LOGISTIC, 0)
    best = max(score[0] for score in fits.values())
    assert found["validation"] == pytest.approx(best)
    assert any(
        [found["validation"], found["test"]] == pytest.approx(score)
        for score in fits.values()
        if score[0] == best
    )
    shuffled = {**labels, "validation": np.random.default_rng(1).permutation(labels["validation"])}
    again = probe(features, shuffled, LOGISTIC, 0)["test"]
    assert any(again == pytest.approx(score[1]) for score in fits.values())


def test_features_of_any_size_give_the_same_logistic_probe():
    features, labels = made(1)
    scale = np.array([1e3, 1e-3, 1, 50, 0.1], dtype=np.float32)
    larger = {part: array * scale + 7 for part, array in features.items()}
    assert probe(larger, labels, LOGISTIC, 0) == pytest.approx(probe(features, labels, LOGISTIC, 0), abs=3)


def test_the_paper_s_probe_depends_on_its_seed_alone():
    features, labels = made(0.7)
    short = replace(ADAM, epochs=2, learning_rate=1e-3)
    found = [probe(features, labels, short, seed) for seed in (0, 1, 2, 3)]
    torch.manual_seed(5)  # the global state must not matter
    assert [probe(features, labels, short, seed) for seed in (0, 1, 2, 3)] == found
    assert len({tuple(each.values()) for each in found}) > 1


def test_more_epochs_and_a_larger_rate_fit_better():
    features, labels = made(2)
    same = dict.fromkeys(features, features["training"]), dict.fromkeys(labels, labels["training"])
    short = probe(*same, Probe("adam", epochs=1, batch=150, learning_rate=1e-4), 0)["test"]
    long = probe(*same, Probe("adam", epochs=60, batch=30, learning_rate=1e-2), 0)["test"]
    assert long > max(short, 90)

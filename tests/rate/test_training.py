"""Training of image systems: the same bits for the same seed, whatever stops it, and whole checkpoints."""

import multiprocessing
import os
import signal
from dataclasses import replace
from math import cos, pi

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from neuroclapp.data.patches import Batch
from neuroclapp.errors import RunError
from neuroclapp.network import Layer, Network, Prediction
from neuroclapp.objective import Contrast, System
from neuroclapp.rate import stack, training
from neuroclapp.rate.modular import Randomness, initial
from neuroclapp.rate.patchnet import PatchNetwork
from neuroclapp.rate.training import Learner, features, train
from neuroclapp.recipe import Recipe

NETWORK = Network("two", (1, 6, 6), (Layer("a", 4, "conv"), Layer("b", 6, "conv", pool=2)))
WIDE = replace(NETWORK, width=4)
HINGE = Contrast(steps=2, skip=0)
CLAPP = System("CLAPP", contrast=HINGE)
SPLIT = System("split", contrast=replace(HINGE, prediction=Prediction("split", "separate")))
CPC = System("CPC", modules=(2,), contrast=replace(HINGE, loss="info_nce", negatives=4))
SUPERVISED = System("supervised", "labels", (2,))
SYSTEMS = [CLAPP, SPLIT, CPC, SUPERVISED, System("CLAPP++", contrast=replace(HINGE, context="both"))]
#: Checkpoints after 21, 42 and 63 updates, and at the end; losses are noted after 50 updates, and at the end.
RECIPE = Recipe(updates=77, checkpoint=21, learning_rate=1e-2, prediction_rate=3, decay="cosine", warmup=5)
SEED = 7


class Textures:
    """Batches by number: each image is one class's stripes in noise, so that its patches are alike."""

    per_epoch = 10

    def __getitem__(self, step):
        draw = np.random.default_rng([SEED, step])
        labels = draw.integers(3, size=4)
        wave = np.sin(np.arange(6) * (labels[:, None] + 1))
        patches = wave[:, None, None, None, None] + 0.3 * draw.standard_normal((4, 4, 2, 1, 6, 6))
        columns = np.tile(np.arange(2), (4, 1))
        return Batch(patches.astype(np.float32), labels, np.arange(4), columns)


def learner(system=CLAPP, recipe=RECIPE, dtype=torch.float32, activity=None, network=NETWORK):
    arrays = initial(network, system, 3, SEED, gain=2**0.5)
    return Learner(PatchNetwork(network, system, arrays, 3, dtype, activity), recipe)


def weights(one):
    return {name: array.detach().clone() for name, array in one.network.named_arrays()}


def bits(path):
    """Weights, moments and history of a checkpoint, but for what it cost."""
    return {name: array for name, array in load_file(path).items() if name != "history/cost"}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, array in expected.items():
        assert found[name].dtype == array.dtype, name
        assert torch.equal(found[name], array), name


class Stop(Exception):
    pass


def stop_at(update):
    def report(done):
        if done == update:
            raise Stop

    return report


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.title)
def test_same_seed_gives_the_same_bits(system):
    first, second = learner(system), learner(system)
    histories = [train(each, Textures(), SEED) for each in (first, second)]
    assert_same(weights(second), weights(first))
    assert histories[0].loss == histories[1].loss
    assert histories[0].share == histories[1].share


def test_another_seed_gives_other_negatives():
    first, second = learner(), learner()
    train(first, Textures(), SEED)
    train(second, Textures(), SEED + 1)
    assert not torch.equal(weights(first)["b.w_pred"], weights(second)["b.w_pred"])


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.title)
def test_a_stopped_training_goes_on_to_the_same_bits(system, tmp_path):
    """It is stopped before the first checkpoint, at one, just after one, and wherever chance says."""
    whole, broken = tmp_path / "whole.safetensors", tmp_path / "broken.safetensors"
    train(learner(system), Textures(), SEED, whole)
    for update in (3, 21, 22, *np.sort(np.random.default_rng().integers(23, 77, 3)), 77):
        with pytest.raises(Stop):
            train(learner(system), Textures(), SEED, broken, stop_at(update))
    resumed = learner(system)
    train(resumed, Textures(), SEED, broken)
    assert resumed.done == 77
    assert_same(bits(broken), bits(whole))
    assert_same(weights(resumed), {name: bits(whole)[name] for name in weights(resumed)})


def test_what_is_noted_does_not_depend_on_where_training_was_killed_or_kept(tmp_path):
    """Killed after 60 updates it goes on from 42, 48 or the start, with what was pending there."""
    whole = train(learner(SPLIT), Textures(), SEED)
    for checkpoint in (21, 16, 1000):
        path, recipe = tmp_path / f"{checkpoint}.safetensors", replace(RECIPE, checkpoint=checkpoint)
        with pytest.raises(Stop):
            train(learner(SPLIT, recipe), Textures(), SEED, path, stop_at(60))
        resumed = train(learner(SPLIT, recipe), Textures(), SEED, path)
        assert resumed.loss == whole.loss
        assert resumed.share == whole.share


def test_a_checkpoint_without_pending_losses_is_read_as_having_none(tmp_path):
    path = tmp_path / "old.safetensors"
    first = train(learner(recipe=replace(RECIPE, updates=50)), Textures(), SEED, path)
    kept = {name: array for name, array in load_file(path).items() if "pending" not in name}
    save_file(kept, path, metadata={"updates": "50"})
    found = train(learner(recipe=replace(RECIPE, updates=100)), Textures(), SEED, path)
    assert found.loss[0] == first.loss[0]
    assert len(found.loss) == 2


def test_a_checkpoint_holds_moments_of_every_array(tmp_path):
    path = tmp_path / "kept.safetensors"
    train(learner(SPLIT), Textures(), SEED, path)
    found = bits(path)
    for name, array in learner(SPLIT).network.named_arrays():
        assert found[f"{name}/step"] == 77
        for moment in ("exp_avg", "exp_avg_sq"):
            assert found[f"{name}/{moment}"].shape == array.shape
            assert found[f"{name}/{moment}"].any()


@pytest.mark.parametrize("updates", [77, 100])
@pytest.mark.parametrize("checkpoint", [1, 21, 50, 1000])
def test_history_holds_mean_losses_of_every_fifty_updates_and_of_the_rest(checkpoint, updates, monkeypatch):
    ends = [50, updates]
    one = learner(SUPERVISED, replace(RECIPE, checkpoint=checkpoint, updates=updates))
    losses, shares, update = [], [], one.update

    def spy(*arguments):
        learned = update(*arguments)
        losses.append(float(learned[0].loss))
        shares.append(float(learned[0].share))
        return learned

    monkeypatch.setattr(one, "update", spy)
    history = train(one, Textures(), SEED)
    assert len(history.loss) == len(history.share) == len(ends)
    parts = [slice(first, last) for first, last in zip([0, *ends[:-1]], ends, strict=True)]
    assert np.allclose(history.loss, [[np.mean(losses[part])] for part in parts], rtol=1e-5)
    assert np.allclose(history.share, [[np.mean(shares[part])] for part in parts], rtol=1e-5)
    assert history.cpu > 0
    assert history.wall >= history.waited >= 0


def test_a_process_killed_while_it_writes_leaves_the_last_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "kept.safetensors"
    with pytest.raises(Stop):
        train(learner(), Textures(), SEED, path, stop_at(30))
    before = path.read_bytes()

    def be_killed(tensors, aside, metadata):
        aside.write_bytes(before[: len(before) // 2])
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(training, "save_file", be_killed)
    process = multiprocessing.get_context("fork").Process(
        target=train, args=(learner(), Textures(), SEED, path)
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert path.read_bytes() == before


def test_an_error_while_writing_leaves_the_last_checkpoint_alone(tmp_path, monkeypatch):
    path = tmp_path / "kept.safetensors"
    one = learner()
    one.save(path)
    before = path.read_bytes()

    def fail(tensors, aside, metadata):
        aside.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(training, "save_file", fail)
    with pytest.raises(OSError, match="no space"):
        one.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def _without(ending):
    def change(path):
        kept = {name: array for name, array in load_file(path).items() if not name.endswith(ending)}
        save_file(kept, path, metadata={"updates": "3"})

    return change


def _of_another_network(path):
    learner(network=WIDE).save(path)


BROKEN = {
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:-10]),
    "empty": lambda path: path.write_bytes(b""),
    "a text": lambda path: path.write_text("years of work " * 50),
    "of another origin": lambda path: save_file({"x": torch.zeros(3)}, path),
    "no number of updates": lambda path: save_file(load_file(path), path),
    "no whole number of updates": lambda path: save_file(load_file(path), path, metadata={"updates": "x"}),
    "of another network": _of_another_network,
    "of another system": lambda path: learner(SUPERVISED).save(path),
    "no moment": _without("b.w_ff/exp_avg_sq"),
    "no step": _without("a.bias/step"),
    "no cost": _without("history/cost"),
    "no loss": _without("history/loss"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_checkpoint_is_named_and_changes_nothing(name, tmp_path):
    path = tmp_path / "kept.safetensors"
    train(learner(recipe=replace(RECIPE, updates=3)), Textures(), SEED, path)
    BROKEN[name](path)
    one = learner()
    before = weights(one)
    with pytest.raises(RunError) as error:
        train(one, Textures(), SEED, path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert_same(weights(one), before)
    assert one.done == 0


def test_going_back_to_the_start_forgets_moments(tmp_path):
    path = tmp_path / "start.safetensors"
    one, fresh = learner(), learner()
    one.save(path)
    for each in (one, fresh):
        each.update(Textures()[0], SEED, 77)
    one.load(path)
    one.update(Textures()[0], SEED, 77)
    assert_same(weights(one), weights(fresh))


def test_losses_that_are_not_finite_end_training(tmp_path):
    path = tmp_path / "kept.safetensors"
    one = learner(recipe=replace(RECIPE, learning_rate=1e30))
    with pytest.raises(RunError, match=r"kept.safetensors: .* not finite; learning_rate = 1e\+30"):
        train(one, Textures(), SEED, path)
    assert not path.exists()


def test_rate_rises_and_falls_as_calculated_by_hand():
    constant = Recipe(learning_rate=0.4)
    assert [constant.rate(update, 10) for update in (0, 5, 9)] == [0.4, 0.4, 0.4]
    warm = replace(constant, warmup=4)
    assert np.allclose([warm.rate(update, 10) for update in range(6)], [0.1, 0.2, 0.3, 0.4, 0.4, 0.4])
    falling = replace(constant, decay="cosine")
    assert np.allclose([falling.rate(update, 12) for update in (0, 4, 6, 8)], [0.4, 0.3, 0.2, 0.1])
    assert np.isclose(falling.rate(11, 12), 0.2 * (1 - cos(pi / 12)))
    assert np.isclose(replace(falling, warmup=10).rate(4, 12), 0.5 * 0.3)


def test_length_is_that_of_epochs_or_of_updates():
    assert Recipe(epochs=3).length(7) == 21
    assert Recipe(epochs=0.5).length(9) == 4
    assert Recipe(epochs=0.01).length(7) == 1
    assert Recipe(epochs=3, updates=5).length(7) == 5


@pytest.mark.parametrize("system", [SPLIT, SUPERVISED], ids=lambda system: system.title)
def test_prediction_rate_multiplies_the_steps_of_predictions_and_heads(system):
    """Adam's first step is ``rate * g / (|g| + 1e-8)``: its moments hold nothing else yet."""
    recipe = Recipe(updates=10, learning_rate=1e-3, prediction_rate=30, warmup=4)
    one, twin = learner(system, recipe, dtype=torch.float64), learner(system, recipe, dtype=torch.float64)
    before, batch = weights(one), Textures()[0]
    one.update(batch, SEED, 10)
    labels = torch.from_numpy(batch.labels)
    twin.network.learn(torch.from_numpy(batch.patches).double(), Randomness(SEED, 0), labels)
    rate = 1e-3 / 4
    for name, array in twin.network.named_arrays():
        predicts = name.split(".")[1] in ("w_pred", "w_retro", "w_head", "b_head")
        step = rate * (30 if predicts else 1) * array.grad / (array.grad.abs() + 1e-8)
        assert array.grad.any(), name
        assert torch.allclose(weights(one)[name], before[name] - step, rtol=0, atol=1e-12), name


def test_negatives_are_those_of_the_update_and_not_of_how_training_came_there(monkeypatch):
    one, asked = learner(), []
    learn = one.network.learn

    def spy(places, randomness, *others):
        asked.append(randomness)
        return learn(places, randomness, *others)

    monkeypatch.setattr(one.network, "learn", spy)
    for step in range(3):
        one.update(Textures()[step], SEED, 77)
    assert asked == [Randomness(SEED, step) for step in range(3)]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.title)
def test_gradients_of_one_module_at_a_time_are_held(system, monkeypatch):
    one, held = learner(system), []
    for index, optimiser in enumerate(one.optimisers):

        def step(index=index, step=optimiser.step):
            graded = {name for name, array in one.network.named_arrays() if array.grad is not None}
            held.append(graded == set(one.network.of(index)))
            return step()

        monkeypatch.setattr(optimiser, "step", step)
    one.update(Textures()[0], SEED, 77)
    assert held == [True] * len(one.optimisers)
    assert [name for name, array in one.network.named_arrays() if array.grad is not None] == []


def test_adam_is_torchs_on_arrays_in_the_order_of_their_memory(tmp_path, monkeypatch):
    """Weights and moments are those of torch's plain Adam; what its fused one is given needs no copy."""
    one, plain, orders = learner(), learner(), []
    adams = [torch.optim.Adam(group, foreach=False) for group in map(_groups, plain.optimisers)]
    for index, optimiser in enumerate(one.optimisers):

        def step(index=index, step=optimiser.step):
            arrays = one.network.of(index).values()
            orders.extend(each.is_contiguous() and each.grad.is_contiguous() for each in arrays)
            return step()

        monkeypatch.setattr(optimiser, "step", step)

    def apply(learned):
        adams[learned.module].step()
        adams[learned.module].zero_grad()

    for done in range(3):
        one.update(Textures()[done], SEED, 77)
        places, labels = plain.tensors(Textures()[done])
        plain.pace(77)
        for adam, paced in zip(adams, plain.optimisers, strict=True):
            for group, like in zip(adam.param_groups, paced.param_groups, strict=True):
                group["lr"] = like["lr"]
        plain.network.learn(places, Randomness(SEED, done), labels, apply)
        plain.done += 1
    assert orders == [True] * 3 * len(weights(one))
    assert not all(array.is_contiguous() for array in weights(one).values())
    one.save(tmp_path / "one.safetensors")
    kept = load_file(tmp_path / "one.safetensors")
    moments = {id(array): state for adam in adams for array, state in adam.state.items()}
    for name, array in plain.network.named_arrays():
        assert weights(one)[name].stride() == array.stride()
        torch.testing.assert_close(weights(one)[name], array.detach())
        for key in ("exp_avg", "exp_avg_sq"):
            torch.testing.assert_close(kept[f"{name}/{key}"], moments[id(array)][key].contiguous())


def _groups(optimiser):
    return [{"params": group["params"]} for group in optimiser.param_groups]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.title)
def test_training_lowers_the_loss_of_every_module(system):
    recipe = replace(RECIPE, updates=150, checkpoint=150)
    loss = np.array(train(learner(system, recipe), Textures(), SEED).loss)
    assert loss.shape[0] == 3
    assert (loss[-1] < 0.9 * loss[0]).all()


def direct(arrays, patches):
    """Mean features by torch's own functions, patch after patch."""
    found = []
    for image in patches.reshape(len(patches), -1, 1, 6, 6):
        a = torch.conv2d(image, arrays["a.w_ff"], arrays["a.bias"], padding=1).relu()
        b = torch.max_pool2d(torch.conv2d(a, arrays["b.w_ff"], arrays["b.bias"], padding=1).relu(), 2)
        found.append([layer.mean((0, 2, 3)) for layer in (a, b)])
    return [torch.stack(each).numpy() for each in zip(*found, strict=True)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_features_equal_direct_evaluation(dtype):
    one, done = learner(dtype=dtype), []
    batches = [Textures()[0], Textures()[1]]
    batches[1] = replace(batches[1], patches=batches[1].patches[:1])
    found = features(one.network, batches, done.append)
    every = torch.from_numpy(np.concatenate([batch.patches for batch in batches])).to(dtype)
    for ours, theirs in zip(found, direct(weights(one), every), strict=True):
        assert ours.dtype == np.float32
        assert ours.shape == theirs.shape
        assert np.allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert done == [4, 5]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.title)
def test_double_precision_is_kept_from_the_batch_to_the_weights(system):
    """Batches are float32; a double network's losses agree with a single one's to single precision."""
    single, double = learner(system), learner(system, dtype=torch.float64)
    losses = []
    for one in (single, double):
        learned = one.update(Textures()[0], SEED, 77)
        losses.append([float(each.loss) for each in learned])
    assert {array.dtype for array in weights(double).values()} == {torch.float64}
    assert all(each.loss.dtype == torch.float64 for each in learned if system.learns == "contrast")
    assert np.allclose(*losses, rtol=1e-5)


def changes(system, activity):
    one, draw = learner(system, activity=activity, network=WIDE), np.random.default_rng(SEED)
    places = torch.from_numpy(draw.standard_normal((32, 4, 2, 1, 6, 6), dtype=np.float32))
    one.network.learn(places, Randomness(SEED, 0), torch.from_numpy(draw.integers(3, size=32)))
    return {name: array.grad for name, array in one.network.named_arrays()}


@pytest.mark.parametrize(
    ("system", "tolerance"),
    # Two layers in a module round twice; InfoNCE takes differences of features that are nearly alike.
    [(CLAPP, 2e-2), (SPLIT, 2e-2), (SUPERVISED, 4e-2), (CPC, 0.1)],
    ids=lambda value: getattr(value, "title", ""),
)
def test_changes_in_bfloat16_agree_with_float32(system, tolerance):
    """bfloat16 rounds by at most 2**-9, 0.2 %, at each of about five operations in a row."""
    exact, found = changes(system, None), changes(system, torch.bfloat16)
    for name, change in exact.items():
        assert found[name].dtype == torch.float32
        assert found[name].stride() == change.stride()
        assert 0 < (found[name] - change).norm() <= tolerance * change.norm(), name


def test_in_bfloat16_maps_are_halved_and_weights_are_not(tmp_path, monkeypatch):
    seen, convolve = set(), stack.convolve

    def spy(layer, x, w, bias):
        seen.update((x.dtype, w.dtype, bias.dtype))
        return convolve(layer, x, w, bias)

    monkeypatch.setattr(stack, "convolve", spy)
    one, path = learner(activity=torch.bfloat16), tmp_path / "kept.safetensors"
    history = train(one, Textures(), SEED, path)
    assert seen == {torch.bfloat16}
    assert {array.dtype for name, array in bits(path).items() if "history" not in name} == {torch.float32}
    assert history.loss[-1] < history.loss[0]
    assert features(one.network, [Textures()[0]])[0].dtype == np.float32

"""The rate-level description."""

import pytest

from neuroclapp.network import Layer, Network, load_network


def test_vgg6_has_the_shapes_of_table_2():
    network = load_network("vgg6")
    channels = [1, 128, 256, 256, 512, 1024, 1024]
    sides = [16, 16, 8, 8, 4, 2, 1]
    assert network.shapes == tuple((c, s, s) for c, s in zip(channels, sides, strict=True))


def test_vgg6_has_the_parameters_counted_by_hand():
    pairs = [(1, 128), (128, 256), (256, 256), (256, 512), (512, 1024), (1024, 1024)]
    assert load_network("vgg6").parameters == sum(9 * a * b + b for a, b in pairs)  # 16.2 M


@pytest.mark.parametrize("counts", [(6,), (3, 3), (2, 2, 2), (3, 1, 1, 1), (1, 1, 1, 3), (1,) * 6])
def test_modules_split_as_in_table_3(counts):
    network = load_network("vgg6")
    changed = Network(network.title, network.input, network.layers, counts)
    assert tuple(len(module.layers) for module in changed.split()) == counts
    assert [layer.name for module in changed.split() for layer in module.layers] == [
        layer.name for layer in network.layers
    ]


def test_width_scales_every_layer():
    network = load_network("vgg6")
    narrow = Network(network.title, network.input, network.layers, width=0.125)
    assert [layer.units for layer in narrow.scaled_layers] == [16, 32, 32, 64, 128, 128]


def test_layer_names_must_differ():
    with pytest.raises(ValueError, match="layer names must differ"):
        Network("x", (3,), (Layer("a", 2), Layer("a", 2)))


def test_resnet50_has_the_shapes_of_greedy_infomax():
    network = load_network("resnet50")
    sizes = [(1, 16), (64, 16), *[(256, 16)] * 3, *[(512, 8)] * 4, *[(1024, 4)] * 6]
    assert network.shapes == tuple((channels, side, side) for channels, side in sizes)
    assert [module.layers[-1].name for module in network.split()] == ["stage1_3", "stage2_4", "stage3_6"]


def test_resnet50_has_the_parameters_counted_by_hand():
    first = 5 * 5 * 64 + 64
    total = first
    below = 64
    for blocks, planes in ((3, 64), (4, 128), (6, 256)):
        for block in range(blocks):
            total += (below + 1) * planes + (9 * planes + 1) * planes + (planes + 1) * 4 * planes
            total += (below + 1) * 4 * planes if block == 0 else 0
            below = 4 * planes
    assert load_network("resnet50").parameters == total == 8_520_192


def test_a_residual_block_is_projected_where_shapes_change():
    kernels = {"w1": (4, 16, 1, 1), "w2": (4, 4, 3, 3), "w3": (16, 4, 1, 1)}
    biases = {"b1": (4,), "b2": (4,), "b3": (16,)}
    assert Layer("a", 16, "residual").arrays((16, 8, 8)) == {**kernels, **biases}
    assert Layer("a", 16, "residual", bias=False).arrays((16, 8, 8)) == kernels
    projected = {**kernels, **biases, "w_skip": (16, 16, 1, 1), "b_skip": (16,)}
    assert Layer("a", 16, "residual", stride=2).arrays((16, 7, 7)) == projected
    assert Layer("a", 16, "residual", stride=2).output((16, 7, 7)) == (16, 4, 4)
    assert Layer("a", 16, "residual").arrays((4, 8, 8))["w_skip"] == (16, 4, 1, 1)
    assert Layer("a", 1, "residual").arrays((4, 8, 8))["w1"] == (1, 4, 1, 1)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Layer("a", 16, "residual", pool=2), r"layer 'a': a residual layer cannot be pooled \(pool = 2\)"),
        (Layer("a", 16, "residual", kernel=5), r"layer 'a': padding = 1 with kernel = 5 does not keep"),
        (
            Layer("a", 16, "residual", rectified=False),
            r"layer 'a': only a conv layer may be left unrectified",
        ),
        (Layer("a", 16, "dense", rectified=False), r"only a conv layer may be left unrectified, not a dense"),
    ],
)
def test_a_layer_that_cannot_be_says_why(layer, message):
    with pytest.raises(ValueError, match=message):
        Network("x", (4, 8, 8), (layer,))


def test_a_residual_block_needs_a_map_and_has_no_w_ff():
    with pytest.raises(ValueError, match=r"layer 'a'.*needs \(channels, height, width\), got \(4,\)"):
        Network("x", (4,), (Layer("a", 16, "residual"),))
    with pytest.raises(ValueError, match="layer 'a': a residual layer has several kernels and no w_ff"):
        Layer("a", 16, "residual").weight_shape((4, 8, 8))


def test_the_encoder_of_speech_steps_by_ten_milliseconds():
    """Steps by hand: (20480 + 4 - 10) // 5 + 1 = 4095, (4095 + 4 - 8) // 4 + 1 = 1023, 512, 257, 128."""
    network = load_network("audio")
    assert [shape[1] for shape in network.shapes] == [20480, 4095, 1023, 512, 257, 128, 128]
    convolutions = 512 * 10 + 512 + 512 * 512 * (8 + 4 + 4 + 4) + 4 * 512
    assert network.parameters == convolutions + 3 * 256 * (512 + 256 + 2)


@pytest.mark.parametrize(
    ("layer", "shape", "said"),
    [
        (Layer("a", 4, "conv1d"), (1, 8, 8), "needs .channels, steps."),
        (Layer("a", 4, "gru", bias=False), (1, 8), "has biases"),
        (Layer("a", 4, "conv1d", kernel=12), (1, 8), "leaves an output of -1 steps"),
    ],
)
def test_layers_in_time_say_what_does_not_fit(layer, shape, said):
    with pytest.raises(ValueError, match=said):
        layer.output(shape)

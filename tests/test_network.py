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

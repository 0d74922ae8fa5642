"""The list of every network of timm and torchvision that has weights."""

from tl_core.backbones import name_list


def test_every_network_with_weights_is_listed_once(tmp_path):
    assert name_list.read_names(tmp_path) == ()
    name_list.write_names(tmp_path)
    listed = name_list.read_names(tmp_path)
    networks = {network.name: network for network in listed}
    assert len(networks) == len(listed) > 1500
    assert networks["timm:resnet50.a1_in1k"].side == 224
    assert 100_000_000 < networks["torchvision:resnet50"].bytes < 105_000_000  # 97.8 MiB, as torchvision states
    assert {name.partition(":")[0] for name in networks} == {"timm", "torchvision"}

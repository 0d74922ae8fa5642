"""The classifier that the packaged EfficientNets were trained with sits on our pooled features as on timm's own."""

import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from tl_core.backbones.packages import package_file
from tl_core.backbones.preprocess import preprocessor
from tl_core.backbones.spec import BACKBONES
from tl_core.backbones.timm_nets import classifier


@pytest.mark.parametrize("number", [0, 1, 2])
def test_features_and_original_head_are_the_whole_network(number):
    spec = BACKBONES[f"efficientnet_lite{number}"]
    prepare, network, head = preprocessor(spec), spec.load(True).eval(), spec.original_head()
    whole = classifier(f"tf_efficientnet_lite{number}", package_file(spec.weights.name, "models/*.pth")).eval()
    pictures = [prepare.crop(Image.fromarray(load_sample_image(name))) for name in ("china.jpg", "flower.jpg")]
    state = prepare.collate(pictures, torch.device("cpu"))
    with torch.inference_mode():
        ours, theirs = head(network.pool(network.run(state))[0]), whole(*state)
    assert ours.shape == (2, 1000)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert torch.equal(ours.argmax(dim=1), theirs.argmax(dim=1))
    assert not torch.equal(ours.argmax(dim=1)[0], ours.argmax(dim=1)[1])

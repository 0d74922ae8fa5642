#!/usr/bin/env bash
# peft 0.21.2: a LoRA adapter of a convolutional network, saved and loaded again, is not the model that was trained.
#
# A good guess: with LoRA the base is frozen, so base + saved adapter is the trained model. What happens: freezing stops
# gradients only. In training mode the batch normalisation layers of the frozen base go on updating their running
# statistics, and save_pretrained writes the adapter's matrices alone. Whoever loads the adapter onto the pretrained
# base gets other logits, with no warning. `modules_to_save=[...]` with the normalisation layers, or keeping these
# layers in evaluation mode while the adapter learns, gives the trained model back.
#
# Output seen:
#   running means moved by at most 6.211; keys saved: lora_A, lora_B
#   reloaded against trained, largest difference of the outputs: 2.1 (of outputs up to 0.4)
#   with modules_to_save: 0.0
#   with normalisation in evaluation mode: 0.0
set -euo pipefail
place=$(mktemp -d); trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install -q torch==2.13.0 numpy==2.4.0 peft==0.21.2 transformers==5.23.0 2> /dev/null
HF_HUB_OFFLINE=1 PLACE="$place" "$place/venv/bin/python" - 2> /dev/null <<'PY'
import copy
import os
import pathlib

import peft
import torch
from safetensors import safe_open
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 2)

    def forward(self, images_BCHW):
        return self.head(torch.relu(self.norm(self.conv(images_BCHW))).mean(dim=(2, 3)))


def trained_against_reloaded(name, modules_to_save=None, norm_in_evaluation=False):
    torch.manual_seed(0)
    base = Net()
    config = peft.LoraConfig(r=2, target_modules=["conv"], modules_to_save=modules_to_save)
    model = peft.get_peft_model(copy.deepcopy(base), config)
    before = model.base_model.model.norm.state_dict()["running_mean" if modules_to_save is None else
                                                       "modules_to_save.default.running_mean"].clone()
    images_BCHW, labels_B = torch.randn(64, 3, 8, 8) + 3, torch.arange(64) % 2
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    model.train()
    if norm_in_evaluation:
        model.base_model.model.norm.eval()
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images_BCHW), labels_B).backward()
        optimizer.step()
    folder = pathlib.Path(os.environ["PLACE"], name)
    model.eval().save_pretrained(folder)
    keys = sorted(safe_open(folder / "adapter_model.safetensors", "pt").keys())
    again = peft.PeftModel.from_pretrained(copy.deepcopy(base), folder).eval()
    with torch.no_grad():
        trained, reloaded = model(images_BCHW), again(images_BCHW)
    state = model.base_model.model.norm.state_dict()
    moved = (state.get("running_mean", state.get("modules_to_save.default.running_mean")) - before).abs().max()
    return keys, moved.item(), (trained - reloaded).abs().max().item(), trained.abs().max().item()


print("peft", peft.__version__)
keys, moved, apart, largest = trained_against_reloaded("plain")
print(f"running means moved by at most {moved:.3f}; keys saved: {', '.join(key.split('.')[-2] for key in keys)}")
print(f"reloaded against trained, largest difference of the outputs: {apart:.1f} (of outputs up to {largest:.1f})")
assert len(keys) == 2 and moved > 0.1 and apart > 0.1
*_, apart, _ = trained_against_reloaded("saved", modules_to_save=["norm"])
print(f"with modules_to_save: {apart:.1f}")
assert apart == 0
*_, apart, _ = trained_against_reloaded("still", norm_in_evaluation=True)
print(f"with normalisation in evaluation mode: {apart:.1f}")
assert apart == 0
PY

"""Filling in what is masked: a backbone learns from items without their labels (domain-adaptive pretraining)."""

import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from tl_core.backbones.preprocess import TextPreprocessor, preprocessor
from tl_core.errors import BackboneError
from tl_core.runs.events import Noted, RunEvent
from tl_core.training.inputs import Inputs
from tl_core.training.objectives import Objective, StepOutput
from tl_core.types import Finding

if TYPE_CHECKING:
    from tl_core.training.run import Run

TOKENS = 0.15
"""Share of a text's tokens to fill in; of those, KEPT stay as they are and WRONG become any other token, the rest
become the mask token: Devlin et al. 2019, arXiv:1810.04805, section 3.1."""
KEPT, WRONG = 0.1, 0.1
PATCHES = 0.6
"""Share of a picture's patches to fill in: Xie et al. 2022 (SimMIM), arXiv:2111.09886."""
MASKS = ("[MASK]", "<mask>")
"""What tokenizers call the mask token."""
GRID = 7
"""Most patches along a side: 32 pixels of 224, as there."""


class Masked(Objective):
    """The training items and those of the unlabelled target, each with a part hidden that is to be filled in.

    A target item that is also a validation or test item of the run is left out. The layers that fill in are new,
    and are dropped afterwards: the backbones here come without those of their own pretraining.
    """

    raw = True
    judged = False

    def __init__(self, run: "Run", index: int) -> None:
        super().__init__(run, index)
        self._prepare = preprocessor(run.job.spec)
        self._unlabelled = _unlabelled(run)
        self._net: TextFiller | PictureFiller | None = None

    def rows(self) -> np.ndarray:
        """Return the training items and the target's."""
        return np.concatenate([self.run.rows(self.phase), self._unlabelled])

    def prepare(self) -> Generator[RunEvent, None, None]:
        """Build the layers that fill in. Raises BackboneError where the tokenizer knows no mask."""
        yield from super().prepare()
        run = self.run
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.job.seed)
            if isinstance(self._prepare, TextPreprocessor):
                net: TextFiller | PictureFiller = TextFiller(run.model.backbone, self._prepare, self._output())
            else:
                net = PictureFiller(self._output(), run.space[0].shape[-1])
        self._net = net.to(run.device)
        yield Noted(self._told())

    def learn(self, inputs: Inputs, rows: np.ndarray) -> StepOutput:
        """Hide parts of the items by torch's random numbers, and return the loss of filling them in."""
        model, net = self.run.model, self._net
        assert net is not None
        state = self._prepare.collate([self.run.space[int(row)] for row in rows], self.run.device)
        for module in model.backbone.modules():  # half-hidden pictures are nothing to take statistics from
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        hidden, truth, where = net.hide(state[0])
        out = model.states((hidden, *state[1:]))[0]
        return StepOutput(net(out, truth, where))

    def modules(self) -> Sequence[nn.Module]:
        """Return the layers that fill in."""
        return () if self._net is None else (self._net,)

    @torch.no_grad()
    def _output(self) -> torch.Size:
        """Return the shape of what the last stage makes of the first item, the batch left out."""
        model = self.run.model
        self.run.freezer.training_mode(())
        state = self._prepare.collate([self.run.space[int(self.rows()[0])]], self.run.device)
        return model.backbone.run(state, 0, model.stages)[0].shape[1:]

    def _told(self) -> Finding:
        count = len(self._unlabelled)
        message = (
            f"Filling in learns from {len(self.rows())} items, {count} of them without a label. The layers that fill "
            "in are new and begin at random."
        )
        hint = (
            "" if count else "With the labelled items alone little is to be gained; add a second, unlabelled data set."
        )
        return Finding("info", "masked-items", message, hint)


def _unlabelled(run: "Run") -> np.ndarray:
    """Return the target's rows, none where there is no target."""
    return np.zeros(0, dtype=np.int64) if run.space.target is None else run.space.target.rows


class TextFiller(nn.Module):
    """Names the hidden tokens: a layer, GELU and normalisation as in BERT, then the word embeddings and a bias.

    The embeddings are the backbone's own (tied), so they learn where their group does.
    """

    _words: torch.Tensor

    def __init__(self, backbone: nn.Module, prepare: TextPreprocessor, output: torch.Size) -> None:
        super().__init__()
        tables = [module for module in backbone.modules() if isinstance(module, nn.Embedding)]
        table = max(tables, key=lambda one: one.num_embeddings)
        self._tied = [table]  # in a list, so that it is not one of this network's own parameters
        self.transform = nn.Sequential(
            nn.Linear(output[-1], table.embedding_dim), nn.GELU(), nn.LayerNorm(table.embedding_dim)
        )
        self.bias = nn.Parameter(torch.zeros(table.num_embeddings))
        tokenizer = prepare.tokenizer
        masks = [number for name in MASKS if (number := tokenizer.token_to_id(name)) is not None]
        if not masks:
            raise BackboneError(
                "This backbone's tokenizer has no mask token, so nothing can be hidden from it.",
                "Choose another text backbone, or a plan without filling in.",
            )
        self._mask = masks[0]
        words = torch.ones(tokenizer.get_vocab_size(), dtype=torch.bool)
        words[[number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special]] = False
        words[[*masks, *tokenizer.encode("").ids]] = False
        self.register_buffer("_words", words, persistent=False)
        self._ids = words.nonzero()[:, 0]

    def hide(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return ids `[B, T]` with some replaced, the ids as they were, and where to look, bool `[B, T]`.

        Marks and padding are never hidden; at least one token of a batch is, where there is any.
        """
        device = ids.device
        draw = torch.rand(ids.shape).to(device).masked_fill(~self._words[ids], 2.0)
        where = (draw < TOKENS) | ((draw == draw.min()) & (draw < 1))
        kind = torch.rand(ids.shape).to(device)
        other = self._ids[torch.randint(len(self._ids), ids.shape)].to(device)
        masked = where & (kind >= KEPT + WRONG)
        hidden = ids.masked_fill(masked, self._mask)
        return torch.where(where & (kind < WRONG), other, hidden), ids, where

    def forward(self, out: torch.Tensor, truth: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy of the hidden tokens, from hidden states `[B, T, D]`."""
        scores = nn.functional.linear(self.transform(out[where]), self._tied[0].weight, self.bias)
        return nn.functional.cross_entropy(scores, truth[where], reduction="sum") / max(1, len(scores))


class PictureFiller(nn.Module):
    """Paints the hidden patches: a 1x1 convolution on the last maps, then pixel shuffle, as in SimMIM."""

    def __init__(self, output: torch.Size, side: int) -> None:
        """Take the shape of the last maps `[C, h, h]` and the side of the pictures."""
        super().__init__()
        self._patch = math.ceil(side / min(GRID, int(output[1])))
        stride = math.ceil(side / int(output[1]))
        self.token = nn.Parameter(torch.zeros(3))  # 0 is the mean colour of scaled pictures
        self.paint = nn.Sequential(nn.Conv2d(int(output[0]), 3 * stride**2, 1), nn.PixelShuffle(stride))

    def hide(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return pictures `[B, 3, H, H]` with PATCHES of their patches in one colour, as they were, and where."""
        side = pictures.shape[-1]
        grid = math.ceil(side / self._patch)
        draw = torch.rand(len(pictures), grid**2)
        hidden = draw.argsort(dim=1).argsort(dim=1) < round(PATCHES * grid**2)
        cells = hidden.view(-1, 1, grid, grid).to(pictures.device)
        where = cells.repeat_interleave(self._patch, 2).repeat_interleave(self._patch, 3)[..., :side, :side]
        return torch.where(where, self.token[:, None, None], pictures), pictures, where

    def forward(self, out: torch.Tensor, truth: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        """Return the mean absolute error (L1) over the hidden pixels and their colours, from maps `[B, C, h, h]`."""
        painted = self.paint(out)[..., : truth.shape[2], : truth.shape[3]]
        return ((painted - truth).abs() * where).sum() / (3 * where.sum())

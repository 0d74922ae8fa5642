"""Masked pretraining: the backbone learns from items without their labels (domain-adaptive pretraining).

A part of each item is hidden, and the backbone learns to fill it in. B items, T tokens, D hidden units.
"""

import math
from collections.abc import Generator, Sequence

import numpy as np
import torch
from torch import nn

from tl_core.backbones.preprocess import TextPreprocessor
from tl_core.backbones.staged import BatchNorm
from tl_core.errors import BackboneError
from tl_core.plan import Phase, TransferPlan
from tl_core.runs.events import Noted, RunEvent
from tl_core.training.inputs import Inputs
from tl_core.training.item_index import RunRows
from tl_core.training.model import TransferModel
from tl_core.training.objectives import OBJECTIVES, Objective, ObjectiveKind, StepOutput
from tl_core.training.run_state import RandomState
from tl_core.types import Finding

TOKENS = 0.15
"""Share of a text's tokens to fill in. Of those, the share UNCHANGED stays as it is, the share RANDOM becomes any other
token, and the rest becomes the mask token: Devlin et al. 2019, arXiv:1810.04805, section 3.1."""
UNCHANGED, RANDOM = 0.1, 0.1
PATCHES = 0.6
"""Share of a picture's patches to fill in: Xie et al. 2022 (SimMIM), arXiv:2111.09886."""
MASKS = ("[MASK]", "<mask>")
"""What tokenizers call the mask token."""
GRID = 7
"""Most patches along a side: 32 pixels of 224, as in SimMIM."""


class MaskedObjective(Objective):
    """The training items and those of the unlabelled target, each with a part hidden that is to be filled in.

    Target items that are also validation or test items of the run are left out. The layers that fill in are new and
    are dropped afterwards, because the backbones here come without those of their own pretraining.
    """

    raw = True
    judged = False

    def __init__(
        self, phase: Phase, plan: TransferPlan, rows: RunRows, model: TransferModel, random: RandomState
    ) -> None:
        super().__init__(phase, plan, rows, model, random)
        self._items = rows.items
        target = rows.items.target
        self._unlabelled = np.zeros(0, dtype=np.int64) if target is None else target.rows
        self._filler: TextFiller | PictureFiller | None = None

    def rows(self) -> np.ndarray:
        """Return the rows of the training items and of the target."""
        return np.concatenate([super().rows(), self._unlabelled])

    def prepare(self) -> Generator[RunEvent, None, None]:
        """Build the layers that fill in. Raises BackboneError where the tokenizer has no mask token."""
        yield from super().prepare()
        prepare = self._items.preprocessor
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._random.seed)
            if isinstance(prepare, TextPreprocessor):
                filler: TextFiller | PictureFiller = TextFiller(self._model.backbone, prepare, self._output())
            else:
                filler = PictureFiller(self._output(), self._items[0].shape[-1])
        self._filler = filler.to(self._model.device)
        yield Noted(self._finding())

    def forward(self, inputs: Inputs, rows_B: np.ndarray) -> StepOutput:
        """Hide parts of the items by torch's random numbers, and return the loss of filling them in."""
        assert self._filler is not None
        for module in self._model.backbone.modules():  # half-hidden pictures must not shape the running statistics
            if isinstance(module, BatchNorm):
                module.eval()
        items, *rest = self._items.preprocessor.collate([self._items[int(row)] for row in rows_B], self._model.device)
        masked, original, where = self._filler.hide(items)
        output = self._model.states((masked, *rest))[0]
        return StepOutput(self._filler(output, original, where))

    def modules(self) -> Sequence[nn.Module]:
        """Return the layers that fill in."""
        return () if self._filler is None else (self._filler,)

    @torch.no_grad()
    def _output(self) -> torch.Size:
        """Return the shape of the last stage's output for the first item, without the batch dimension."""
        self._model.eval()
        state = self._items.preprocessor.collate([self._items[int(self.rows()[0])]], self._model.device)
        return self._model.backbone.run(state, 0, self._model.stages)[0].shape[1:]

    def _finding(self) -> Finding:
        count = len(self._unlabelled)
        message = (
            f"Masked pretraining learns from {len(self.rows())} items, {count} of them without a label. The layers "
            "that fill in what is hidden are new and start from random weights."
        )
        hint = "" if count else "With labelled items alone the gain is small; add a second, unlabelled data set."
        return Finding("info", "masked-items", message, hint)


class TextFiller(nn.Module):
    """Names the hidden tokens: a layer, GELU and normalisation as in BERT, then the word embeddings and a bias.

    The embeddings are the backbone's own (tied weights), so they learn if their group does.
    """

    _words: torch.Tensor

    def __init__(self, backbone: nn.Module, prepare: TextPreprocessor, output: torch.Size) -> None:
        super().__init__()
        tables = [module for module in backbone.modules() if isinstance(module, nn.Embedding)]
        table = max(tables, key=lambda embedding: embedding.num_embeddings)
        self._tied = [table]  # in a list, so that torch does not count it among this network's own parameters
        self.transform = nn.Sequential(
            nn.Linear(output[-1], table.embedding_dim), nn.GELU(), nn.LayerNorm(table.embedding_dim)
        )
        self.bias = nn.Parameter(torch.zeros(table.num_embeddings))
        tokenizer = prepare.tokenizer
        masks = [token for name in MASKS if (token := tokenizer.token_to_id(name)) is not None]
        if not masks:
            raise BackboneError(
                "This backbone's tokenizer has no mask token, so no part of a text can be hidden from it.",
                "Choose another text backbone, or a plan without masked pretraining.",
            )
        self._mask = masks[0]
        words = torch.ones(tokenizer.get_vocab_size(), dtype=torch.bool)
        words[[added for added, token in tokenizer.get_added_tokens_decoder().items() if token.special]] = False
        words[[*masks, *tokenizer.encode("").ids]] = False
        self.register_buffer("_words", words, persistent=False)
        self._ids = words.nonzero()[:, 0]

    def hide(self, ids_BT: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return ids `[B, T]` with some replaced, the original ids, and which are to be named, bool `[B, T]`.

        Special tokens and padding are never hidden. At least one token of a batch is, if it has any other.
        """
        device = ids_BT.device
        draw_BT = torch.rand(ids_BT.shape).to(device).masked_fill(~self._words[ids_BT], 2.0)
        where_BT = (draw_BT < TOKENS) | ((draw_BT == draw_BT.min()) & (draw_BT < 1))
        kind_BT = torch.rand(ids_BT.shape).to(device)
        random_BT = self._ids[torch.randint(len(self._ids), ids_BT.shape)].to(device)
        masked_BT = ids_BT.masked_fill(where_BT & (kind_BT >= UNCHANGED + RANDOM), self._mask)
        return torch.where(where_BT & (kind_BT < RANDOM), random_BT, masked_BT), ids_BT, where_BT

    def forward(self, output_BTD: torch.Tensor, ids_BT: torch.Tensor, where_BT: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy of the hidden tokens, from hidden states `[B, T, D]`."""
        scores = nn.functional.linear(self.transform(output_BTD[where_BT]), self._tied[0].weight, self.bias)
        return nn.functional.cross_entropy(scores, ids_BT[where_BT], reduction="sum") / max(1, len(scores))


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
        """Return pictures `[B, 3, H, H]` with the share PATCHES hidden, the original ones, and where they differ."""
        side = pictures.shape[-1]
        grid = math.ceil(side / self._patch)
        draw = torch.rand(len(pictures), grid**2)
        hidden = draw.argsort(dim=1).argsort(dim=1) < round(PATCHES * grid**2)
        cells = hidden.view(-1, 1, grid, grid).to(pictures.device)
        where = cells.repeat_interleave(self._patch, 2).repeat_interleave(self._patch, 3)[..., :side, :side]
        return torch.where(where, self.token[:, None, None], pictures), pictures, where

    def forward(self, output: torch.Tensor, pictures: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        """Return the mean absolute error (L1) over the hidden pixels and their colours, from maps `[B, C, h, h]`."""
        painted = self.paint(output)[..., : pictures.shape[2], : pictures.shape[3]]
        return ((painted - pictures).abs() * where).sum() / (3 * where.sum())


OBJECTIVES.add(ObjectiveKind("masked", MaskedObjective))

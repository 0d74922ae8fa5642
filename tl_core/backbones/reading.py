"""The profile of a data set, with lengths and words in the tokens of a backbone."""

from tl_core.backbones.packages import tokenizer_file
from tl_core.backbones.spec import BACKBONES, BackboneSpec
from tl_core.data.dataset import Dataset
from tl_core.data.options import OnProgress, no_progress
from tl_core.data.profile import Profile, profile
from tl_core.errors import BackboneError


def profile_for(dataset: Dataset, spec: BackboneSpec | None = None, progress: OnProgress = no_progress) -> Profile:
    """Return the profile; for texts with the tokens of `spec`, or of the first text backbone that is ready.

    Without a tokenizer on this machine it is the profile without tokens.
    """
    ready = (candidate for candidate in BACKBONES.values() if candidate.ready and candidate.modality == "text")
    if spec is None or spec.text_input is None:
        spec = next(ready, None)
    if "text" in dataset.parts and spec and spec.text_input:
        try:
            return profile(dataset, tokenizer_file(spec), spec.text_input.max_tokens, progress)
        except BackboneError:
            pass
    return profile(dataset, progress=progress)

"""Everything that a plan depends on: data, backbone, probe, speed, advice."""

from dataclasses import dataclass, field, replace

import streamlit as st

from tl_core.advice.advice import Advice
from tl_core.advice.probe_report import ProbeReport, read_probe
from tl_core.advice.rules import advise, task_info_for
from tl_core.backbones.spec import BackboneSpec
from tl_core.backbones.speed import Speed, read_speed
from tl_core.data.dataset import Dataset
from tl_core.data.profile import Profile
from tl_core.errors import PlanError
from tl_core.strategies import TaskInfo
from tl_core.types import Estimate
from tl_core.zero_shot.measured import zero_shot_accuracy
from ui import extra_data, profiles, session


@dataclass(frozen=True)
class PlanContext:
    """Everything that the advice and the plan depend on."""

    dataset: Dataset
    spec: BackboneSpec
    profile: Profile
    probe: ProbeReport | None
    speed: Speed | None
    advice: Advice
    task_info: TaskInfo
    extra: extra_data.ExtraData = field(default_factory=extra_data.ExtraData)

    @property
    def groups(self) -> tuple[str, ...]:
        """The backbone's layer groups, input side first."""
        return tuple(group.name for group in self.spec.groups)


def plan_context() -> PlanContext:
    """Return what is known now; the probe and the speed test add to it. Raises PlanError without data and backbone."""
    dataset, spec = session.dataset(), session.backbone()
    if dataset is None or spec is None:
        raise PlanError("A plan needs data and a backbone.", "Choose them on the earlier pages.")
    profile = profiles.profile_of(dataset)
    probe = read_probe(session.workspace(), dataset, spec.name)
    speed = read_speed(session.workspace(), spec.name)
    domain = session.current().domain or None
    advice = advise(profile, spec, probe, speed, domain)
    advice = replace(advice, zero_shot=_zero_shot(dataset, spec, dataset.version, spec.name) if probe else None)
    extra = extra_data.chosen(dataset)
    task_info = task_info_for(profile, spec, probe, speed, domain)
    task_info = replace(task_info, has_source=bool(extra.source), has_target=bool(extra.target))
    return PlanContext(dataset, spec, profile, probe, speed, advice, task_info, extra)


@st.cache_data(show_spinner=False, max_entries=16)
def _zero_shot(_dataset: Dataset, _spec: BackboneSpec, version: str, backbone: str) -> Estimate | None:
    """Return what zero-shot reaches; it was sorted before the probe's report was written."""
    return zero_shot_accuracy(_dataset, _spec, session.workspace())

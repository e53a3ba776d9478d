"""Which detector a decision gets, and in which thread it looks."""

from collections.abc import Callable
from pathlib import Path

from agent.core.policy.decision import ApprovedModel
from agent.ports import Clock, Detector

# The adapter is imported where it is needed: OpenCV and LiteRT cost 100 MB that a camera without a net keeps.


def detector_factory(
    models: Path, clock: Clock, *, threads: int, in_step: bool
) -> Callable[[tuple[ApprovedModel, ...]], Detector]:
    """Return what starts the detector of a decision's list, or raises ModelRefusedError.

    Args:
        models: Folder of model files; which of them may run is the decision's business.
        clock: Tells when a net hangs.
        threads: Of one net.
        in_step: Whether the source does not run in real time, so that frames wait for looks.
    """

    def start(approved: tuple[ApprovedModel, ...]) -> Detector:
        from agent.adapters.detector import (  # noqa: PLC0415 - see the top
            InStepDetector,
            ThreadedDetector,
            approved_model,
            load_net,
        )

        content = approved_model(models, approved)
        if in_step:
            return InStepDetector(load_net(content, threads=threads))
        return ThreadedDetector(lambda: load_net(content, threads=threads), clock)

    return start

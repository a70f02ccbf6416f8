"""Moving feedback from where it is to another store: other stores, and what older services left."""

from feedback_store.migrate.applying import apply
from feedback_store.migrate.copying import CopyResult, copy
from feedback_store.migrate.planning import Plan, Progress, Rules, Step, Tell, plan
from feedback_store.migrate.report import Conflict, FileReport, Move, Problem, Report
from feedback_store.migrate.rows import Row
from feedback_store.migrate.sources import Kind, PassedOver, Source

__all__ = [
    "Conflict",
    "CopyResult",
    "FileReport",
    "Kind",
    "Move",
    "PassedOver",
    "Plan",
    "Problem",
    "Progress",
    "Report",
    "Row",
    "Rules",
    "Source",
    "Step",
    "Tell",
    "apply",
    "copy",
    "plan",
]

"""A simulated disk, and an explorer that cuts its power everywhere."""

from feedback_store.testing.simulation.campaign import (
    explore,
    explore_faults,
    explore_stops,
    fault_kinds,
    shrink,
)
from feedback_store.testing.simulation.disk import SimulatedDisk
from feedback_store.testing.simulation.examination import Examination
from feedback_store.testing.simulation.explorer import Explorer
from feedback_store.testing.simulation.faults import Fault, ProcessStopped
from feedback_store.testing.simulation.image import Image, Node
from feedback_store.testing.simulation.ledger import Ledger, Operation, unpack
from feedback_store.testing.simulation.machine import Call
from feedback_store.testing.simulation.scheduling import Schedule, schedules
from feedback_store.testing.simulation.steps import (
    Actor,
    Add,
    Compact,
    Erase,
    Put,
    Reopen,
    Step,
    Update,
    Workload,
)
from feedback_store.testing.simulation.subject import Effort, Judge, Subject
from feedback_store.testing.simulation.tally import Tally, Violation
from feedback_store.testing.simulation.workloads import PAIRS, SMALL, an_entry, long_workload

__all__ = [
    "PAIRS",
    "SMALL",
    "Actor",
    "Add",
    "Call",
    "Compact",
    "Effort",
    "Erase",
    "Examination",
    "Explorer",
    "Fault",
    "Image",
    "Judge",
    "Ledger",
    "Node",
    "Operation",
    "ProcessStopped",
    "Put",
    "Reopen",
    "Schedule",
    "SimulatedDisk",
    "Step",
    "Subject",
    "Tally",
    "Update",
    "Violation",
    "Workload",
    "an_entry",
    "explore",
    "explore_faults",
    "explore_stops",
    "fault_kinds",
    "long_workload",
    "schedules",
    "shrink",
    "unpack",
]

"""Schedules by hand: a model opened in Python, changed step by step, its figures seen without compiling."""

from lowtide.schedule.network import ScheduledLayer
from lowtide.schedule.schedule import Schedule, Step, open_schedule

__all__ = ["Schedule", "ScheduledLayer", "Step", "open_schedule"]

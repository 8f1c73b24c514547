"""Dashboards of a run: what they are shown, and what is held back. Importing this registers every tracker."""

from launch.tracking import local, weights_and_biases  # noqa: F401  (each registers itself)
from launch.tracking.tracker import TRACKERS
from launch.tracking.tracking import Tracking

__all__ = ["TRACKERS", "Tracking"]

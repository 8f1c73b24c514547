"""Dashboards of a run: what is shown where, and what is kept from them. Importing this registers every tracker."""

from launch.tracking import files, weights_and_biases  # noqa: F401  (each registers itself)
from launch.tracking.tracker import TRACKERS
from launch.tracking.tracking import Tracking

__all__ = ["TRACKERS", "Tracking"]

"""The names and keys of every component, without what they are made of: importing this imports no implementation."""

from configs.components import apis, generators, networks, samplers, scorers, sources, trackers  # noqa: F401

"""The version of lastword, the one source for the build, records on disk and ``lastword --version``."""

__version__ = "0.1.0"

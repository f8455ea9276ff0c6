"""The version of lastword, in one place: read by the build, by records on disk and by ``lastword --version``."""

__version__ = "0.1.0"

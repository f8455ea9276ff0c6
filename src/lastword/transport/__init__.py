"""Transport: HTTP requests on their way to a tracker, each in bounded time."""

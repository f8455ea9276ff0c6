"""Transport: send HTTP requests to a tracker, each in bounded time."""

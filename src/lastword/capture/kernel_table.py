"""Tables of numbers that the kernel shows under /proc."""

from __future__ import annotations

from lastword.interruption import failures


def read_table(path: str, *, counts: frozenset[bytes] = frozenset()) -> dict[str, int]:
    """The sizes of ``path`` by the kernel's names, in bytes, and the lines named in ``counts`` as they stand.

    {} where there is no such file. A size is a line that ends in ``kB``; of the rest, some only look like numbers.
    """
    try:
        # In one read: each one is a picture of its own moment.
        with open(path, "rb", buffering=0) as file:
            content = file.read(65536) or b""
    except failures(OSError):
        return {}
    table: dict[str, int] = {}
    for line in content.splitlines():
        name, _, rest = line.partition(b":")
        words = rest.split()
        if len(words) == 2 and words[1] == b"kB" and words[0].isdigit():
            table[name.decode("ascii", "replace")] = int(words[0]) * 1024
        elif len(words) == 1 and name in counts and words[0].isdigit():
            table[name.decode("ascii", "replace")] = int(words[0])
    return table

"""Queues a task for each event on standard input, one a line."""

import sys

from tasks import flip

for line in sys.stdin:
    flip.apply_async([line])

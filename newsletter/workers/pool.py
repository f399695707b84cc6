"""The worker pool: the number and kind of workers that the configuration asks for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from newsletter.support.collector import rare_collections
from newsletter.workers.base import DaskAddress, PoolSpec, Worker
from newsletter.workers.local import InlineWorker, process_workers


@contextmanager
def worker_pool(
    spec: PoolSpec, number: int, cluster: DaskAddress | None = None
) -> Iterator[Sequence[Worker[Any, Any]]]:
    """Provide workers: one in this process, several each in its own process, or up to that number of workers of a Dask
    cluster.

    Raises:
        NewsletterError: the cluster is unavailable.
    """
    if number == 1:
        inline = InlineWorker(spec.create_state(spec.shared, 0, 1, spec.should_stop))
        with rare_collections():
            yield [inline]
    elif cluster is not None:
        from newsletter.workers.dask import dask_workers  # Dask is an extra, and slow to import.

        with dask_workers(spec, number, cluster) as workers:
            yield workers
    else:
        with process_workers(spec, number) as workers:
            yield workers

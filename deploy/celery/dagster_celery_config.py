"""The settings of Celery workers that execute Dagster runs; `dagster_celery.app` imports a module of this name.

The workers' own form of configuration, `dagster-celery worker start --config-yaml`, writes the broker's URL with its
password into a file below $DAGSTER_HOME; here it stays in the environment.
"""

import os

broker_url = os.environ["DAGSTER_CELERY_BROKER"]
result_backend = os.environ["DAGSTER_CELERY_BACKEND"]
broker_connection_retry_on_startup = True

# Each run is a process of its own: when it ends, nothing of it stays, neither memory nor locks.
worker_max_tasks_per_child = 1

# A worker takes a run when it is free to execute it, and none in advance, so that no run waits behind another while a
# worker elsewhere is idle. A run that a broker hands out twice is executed once: Dagster ignores the second start.
worker_prefetch_multiplier = 1
task_acks_late = True

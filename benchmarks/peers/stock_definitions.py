"""The stock way to run six steps on Celery from a Redis list: Dagster and dagster-celery as documented.

Six ops that do nothing in a chain, dagster-celery's `celery_executor`, and a sensor that requests a run for each
message; the last op pushes the result. To the stock side's advantage, the sensor blocks on Redis inside its tick.
Loaded by the processes that `stock_dagster` starts; the address of Redis is in PEER_REDIS.
"""

import json
import os

import dagster as dg
import redis
from dagster_celery import celery_executor

STEPS = ("selection", "transform", "embedding", "split", "train", "evaluate")
WAIT_S = 10


def client() -> redis.Redis:
    return redis.Redis.from_url(os.environ["PEER_REDIS"], socket_timeout=60)


def empty_op(name: str) -> dg.OpDefinition:
    @dg.op(name=name, ins={"before": dg.In(dg.Nothing)}, out=dg.Out(dg.Nothing))
    def step() -> None:
        pass

    return step


@dg.op(ins={"before": dg.In(dg.Nothing)}, config_schema={"experiment_id": str})
def answer(context: dg.OpExecutionContext) -> None:
    client().lpush("results", json.dumps({"experiment_id": context.op_config["experiment_id"]}))


OPS = [empty_op(name) for name in STEPS[:-1]]


@dg.job(executor_def=celery_executor)
def experiment() -> None:
    done = OPS[0]()
    for op in OPS[1:]:
        done = op(done)
    answer(done)


@dg.sensor(job=experiment, minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def queue(_context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    found = client().brpop(["experiments"], timeout=WAIT_S)
    if found is None:
        return dg.SkipReason("nothing came")
    message = json.loads(found[1])
    address = os.environ["PEER_REDIS"]
    return dg.SensorResult([
        dg.RunRequest(
            run_key=message["experiment_id"],
            run_config={
                "execution": {"config": {"broker": address, "backend": address}},
                "ops": {"answer": {"config": {"experiment_id": message["experiment_id"]}}},
            },
        )
    ])  # fmt: skip


defs = dg.Definitions(jobs=[experiment], sensors=[queue])

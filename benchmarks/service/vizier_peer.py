"""Vizier's service under random search on a SQLite file, several clients: prints ask + tell a second.

    python3 -m venv vizier
    vizier/bin/pip install google-vizier jax==0.4.34 flax==0.10.4 optax==0.2.5 chex==0.1.90 equinox==0.11.7 numpy==2.1.3
    python benchmarks/service/ask_tell.py --vizier vizier/bin/python

Runs in an environment of its own, because Vizier needs the old libraries that are pinned above; `ask_tell.py` starts it.
"""  # noqa: E501 - a command line

from __future__ import annotations

import subprocess
import sys
import threading
import time


def serve(database: str) -> None:
    """Serve until standard input ends; the address is the first line of output."""
    from vizier.service import servers

    server = servers.DefaultVizierServer(database_url=f"sqlite:///{database}")
    print(server.endpoint, flush=True)
    sys.stdin.read()


def rate(endpoint: str, clients: int, seconds: float) -> float:
    """Cycles a second of threads that each ask for a suggestion and complete it."""
    from vizier.service import clients as vizier
    from vizier.service import pyvizier

    vizier.environment_variables.server_endpoint = endpoint
    problem = pyvizier.ProblemStatement()
    root = problem.search_space.root
    root.add_float_param("p", 1, 100, scale_type=pyvizier.ScaleType.LOG)
    root.add_float_param("t", 10, 3600, scale_type=pyvizier.ScaleType.LOG)
    root.add_float_param("c", 25, 90)
    problem.metric_information.append(pyvizier.MetricInformation("r", goal=pyvizier.ObjectiveMetricGoal.MINIMIZE))
    config = pyvizier.StudyConfig.from_problem(problem)
    config.algorithm = "RANDOM_SEARCH"
    counts = [0] * clients
    study = vizier.Study.from_study_config(config, owner="bench", study_id="s")
    study.suggest(count=1, client_id="first")
    end = time.monotonic() + seconds

    def one(place: int) -> None:
        mine = vizier.Study.from_resource_name(study.resource_name)
        while time.monotonic() < end:
            for trial in mine.suggest(count=1, client_id=str(place)):
                trial.complete(pyvizier.Measurement({"r": 10 + 100 / trial.parameters["p"]}))
                counts[place] += 1

    threads = [threading.Thread(target=one, args=(place,)) for place in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / seconds


def main() -> None:
    """Start the server in a process of its own and measure."""
    database, clients, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    command = [sys.executable, __file__, "serve", database]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        endpoint = server.stdout.readline().strip()
        print(rate(endpoint, clients, seconds))
        server.stdin.close()


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1] == "serve" else main()

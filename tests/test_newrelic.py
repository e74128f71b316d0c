"""Records of New Relic's agent, in its developer mode: without network.

It runs in a separate process, because the agent patches imported modules.
"""

import json
import subprocess
import sys
from pathlib import Path

import newrelic.agent
import webtest
from newrelic.core.agent import agent_instance
from pyramid.security import NO_PERMISSION_REQUIRED

import cliquet
from tests import testapp

ROOT = Path(__file__).parent.parent

CONFIGURATION = """
[newrelic]
app_name = in development
developer_mode = true
log_file = stderr
log_level = error

[newrelic:production]
app_name = in production
"""


def tell_transaction(config):
    def view(request):
        return {"recorded": newrelic.agent.current_transaction() is not None}

    service = cliquet.Service(name="transaction", path="/transaction")
    service.add_view("GET", view, permission=NO_PERMISSION_REQUIRED)
    config.add_cornice_service(service)


def serve(settings):
    """Run in the process: print the state seen by a request, and the counts of the agent."""
    app = testapp.main(json.loads(settings), None, tell_transaction)
    client = webtest.TestApp(cliquet.install_middlewares(app))
    application = newrelic.agent.register_application(timeout=30)
    names = client.get("/v0/transaction").json
    # The data that the agent would send with the next harvest.
    stats = agent_instance().application(application.name)._stats_engine.stats_table
    count = stats["WebTransaction/Function/transaction.GET", ""].call_count
    print(json.dumps({"name": application.name, "count": count, **names}))


def test_a_request_is_one_transaction_of_the_environment_of_the_settings(tmp_path):
    path = tmp_path / "newrelic.ini"
    path.write_text(CONFIGURATION)
    settings = {"newrelic_config": str(path), "newrelic_env": "production"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.test_newrelic", json.dumps(settings)],
        cwd=ROOT,
        timeout=60,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"name": "in production", "count": 1, "recorded": True}


if __name__ == "__main__":
    serve(sys.argv[1])

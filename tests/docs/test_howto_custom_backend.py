"""The cache of the guide fulfils the contract of the caches."""

import os
import re
import subprocess
import sys

from tests.docs.pages import DOCS, block


def test_cache_of_the_guide_passes_the_contract(examples, tmp_path):
    tests = tmp_path / "test_cachetools_cache.py"
    tests.write_text(block("howto/custom-backend", "python"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(DOCS.parent), str(examples)])}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 20


def test_settings_choose_the_cache_and_its_size(serve, settings_of):
    client = serve(settings=settings_of("custom-backend.ini"))
    assert client.get("/__heartbeat__").json["cache"] is True
    cache = client.registry.cache
    assert type(cache).__module__ == "cachetools_cache"
    for number in range(150):
        cache.set(f"key{number}", number)
    assert [cache.get(f"key{number}") for number in (0, 49, 50, 149)] == [None, None, 50, 149]

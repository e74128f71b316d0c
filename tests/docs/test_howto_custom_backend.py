"""The backends of the guide fulfill the contracts."""

import os
import re
import subprocess
import sys

from tests.docs.pages import DOCS, blocks


def test_backends_of_the_guide_pass_their_contracts(examples, tmp_path):
    for language, caption, text in blocks("howto/custom-backend"):
        if language == "python" and caption.startswith("test_"):
            tmp_path.joinpath(caption).write_text(text)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(DOCS.parent), str(examples)])}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 120
    assert "skipped" not in done.stdout


def test_settings_choose_the_cache_and_its_size(serve, settings_of):
    client = serve(settings=settings_of("custom-backend.ini"))
    assert client.get("/__heartbeat__").json["cache"] is True
    cache = client.registry.cache
    assert type(cache).__module__ == "cachetools_cache"
    for number in range(150):
        cache.set(f"key{number}", number)
    assert [cache.get(f"key{number}") for number in (0, 49, 50, 149)] == [None, None, 50, 149]


def test_settings_choose_the_storage_and_its_file(serve, settings_of, tmp_path):
    settings = settings_of("custom-storage.ini")
    settings["shelve.path"] %= {"here": tmp_path}
    client = serve(settings=settings)
    client.registry.storage.initialize_schema()
    assert client.get("/__heartbeat__").json["storage"] is True
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("records")]

# The example application, examples/bookmarks, with the configuration config/postgresql.ini.
#
#     docker build -t cliquet .
#     docker run --rm -e CLIQUET_STORAGE_URL=… cliquet cliquet migrate
#     docker run -p 8888:8888 -e CLIQUET_STORAGE_URL=… cliquet
#
# or, with a database and a cache, docker-compose.yml. Environment variables override the
# configuration: CLIQUET_STORAGE_URL overrides cliquet.storage_url.

FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app

COPY setup.py pyproject.toml MANIFEST.in README.rst LICENSE ./
COPY cliquet cliquet
# Setuptools 80.9 and later warn at each import of pkg_resources, which Pyramid and Cornice need.
RUN pip install ".[monitoring,postgresql,redis,serve]" "setuptools>=78.1.1,<80.9"

COPY config config
COPY examples examples
# The demo page, at /demo/.
COPY clients/javascript/cliquet.js clients/javascript/indexeddb.js clients/javascript/live.js clients/javascript/query.js clients/javascript/
COPY clients/javascript/demo clients/javascript/demo

ENV PYTHONPATH=/app/examples \
    CLIQUET_INI=/app/config/postgresql.ini

# The server writes no files.
USER nobody

EXPOSE 8888

HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8888/v1/__lbheartbeat__', timeout=3)"]

CMD ["cliquet", "serve", "--host", "0.0.0.0", "--port", "8888", "--workers", "2", "--trusted-proxy", "*"]

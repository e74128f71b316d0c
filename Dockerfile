# The example application, examples/bookmarks, with the configuration config/postgresql.ini.
#
#     docker build -t cliquet .
#     docker run --rm -e CLIQUET_STORAGE_URL=… cliquet cliquet migrate
#     docker run -p 8888:8888 -e CLIQUET_STORAGE_URL=… cliquet
#
# or, with a database and a cache, docker-compose.yml. Variables of the environment win over
# the configuration: CLIQUET_STORAGE_URL over cliquet.storage_url.

FROM python:3.13-slim

ENV PYTHONUNBUFFERED=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app

COPY setup.py pyproject.toml MANIFEST.in README.rst LICENSE ./
COPY cliquet cliquet
# Setuptools 80.9 and later warn at each import of pkg_resources, which Pyramid and Cornice need.
RUN pip install ".[monitoring,postgresql,redis]" waitress "setuptools>=78.1.1,<80.9"

COPY config config
COPY examples examples
# The demo page, at /demo/.
COPY clients/javascript/cliquet.js clients/javascript/
COPY clients/javascript/demo clients/javascript/demo

ENV PYTHONPATH=/app/examples \
    CLIQUET_INI=/app/config/postgresql.ini

# It writes nothing.
USER nobody

EXPOSE 8888

HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8888/v1/__lbheartbeat__', timeout=3)"]

# pserve answers what it has begun, then ends; by SIGTERM, as the first process of a container, it
# wouldn't end at all.
STOPSIGNAL SIGINT

CMD ["pserve", "config/postgresql.ini", "http_port=8888"]

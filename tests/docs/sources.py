"""Names that the package writes and reads, found in its source code."""

import ast
import importlib
import logging
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LEVELS = {"exception": "ERROR"}


@cache
def trees():
    """The name of each module of the package, and its syntax tree."""
    result = {}
    for path in sorted(ROOT.joinpath("cliquet").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        result[name] = ast.parse(path.read_text(encoding="utf-8"))
    return result


@cache
def nodes(*types):
    """The name of the module, and the node, of each node of these types."""
    walked = ((name, node) for name, tree in trees().items() for node in ast.walk(tree))
    return [(name, node) for name, node in walked if isinstance(node, types)]


def log_messages():
    """The logger, the level and the message of each that is written to a logger of Python."""
    messages = set()
    for module, call in nodes(ast.Call):
        match call:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr=method),
                args=[ast.Constant(value=message), *_],
            ) if name.endswith("logger"):
                logger = _python_logger(getattr(importlib.import_module(module), name))
                if logger is not None:
                    level = LEVELS.get(method, method.upper())
                    messages.add((logger.name, level, re.sub(r"%\w", "…", message)))
            case ast.Call(func=ast.Name(id="health_check"), args=[ast.Constant(value=kind), _]):
                logger = _python_logger(importlib.import_module(module).logger)
                messages.add((logger.name, "ERROR", f"The {kind} backend failed"))
    return messages


def _python_logger(logger):
    """Return a logger of Python, or that of a module of the toolkit; None for other ones."""
    return logger if isinstance(logger, logging.Logger) else logger._logger


def pattern_of(node):
    """The pattern of a text in the code, None if it is none or only a variable."""
    match node:
        case ast.Constant(value=str(text)):
            return re.escape(text)
        case ast.JoinedStr(values=parts) if any(isinstance(part, ast.Constant) for part in parts):
            texts = (pattern_of(part) if isinstance(part, ast.Constant) else ".+" for part in parts)
            return "".join(texts)
    return None


def _is_settings(node):
    match node:
        case ast.Name(id="settings") | ast.Attribute(attr="settings"):
            return True
        case ast.Call(func=ast.Attribute(attr="get_settings")):
            return True
    return False


def _loads(call):
    """Return whether a call loads a module, or a name, that a setting contains."""
    match call:
        case ast.Call(
            func=ast.Name(id="load_module" | "load_named"), args=[ast.Name("config"), *_]
        ):
            return True
    return False


def settings_read():
    """The patterns of the keys that are read of the settings, each with its module."""
    keys = set()
    for module, node in nodes(ast.Subscript, ast.Call):
        match node:
            case ast.Subscript(value=value, slice=key) if _is_settings(value):
                keys.add((module, pattern_of(key)))
            case ast.Call(func=ast.Attribute(value=value, attr="get"), args=[key, *_]) if (
                _is_settings(value)
            ):
                keys.add((module, pattern_of(key)))
            case ast.Call(args=[value, key, *_]) if _is_settings(value) or _loads(node):
                keys.add((module, pattern_of(key)))
    return {(module, pattern) for module, pattern in keys if pattern is not None}


def settings_defaults():
    """Return the literal defaults in the code that reads settings, with their module and key."""
    keys = set()
    for module, node in nodes(ast.Call):
        match node:
            case ast.Call(
                func=ast.Attribute(value=value, attr="get"),
                args=[ast.Constant(value=key), ast.Constant(value=default)],
            ) if _is_settings(value):
                keys.add((module, key, default))
            case ast.Call(
                func=ast.Attribute(attr="get"),
                args=[value, ast.Constant(value=key), ast.Constant(value=default)],
            ) if _is_settings(value):
                keys.add((module, key, default))
    return keys

"""Hydra's complaints in nnexp's way: one line that names the thing, the value and the choices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, MissingConfigException, OverrideParseException

from nnexp.config.compose import NO_CHOICE, Composer, unresolved
from nnexp.errors import ConfigError, unknown_setting


def explain(
    error: Exception, overrides: Sequence[str], composer: Composer, how_to_sweep: str = "add -m to sweep them"
) -> ConfigError:
    """Return what a Hydra exception means. The overrides are those that led to it."""
    try:
        return ConfigError(_line(error, overrides, composer, how_to_sweep))
    except ConfigError as own:  # of a component that somebody's package announces
        return own
    except HydraException:  # what the line would name cannot be composed either
        return ConfigError(_first_line(error))


def _line(error: Exception, overrides: Sequence[str], composer: Composer, how_to_sweep: str) -> str:
    text = str(error)
    if isinstance(error, OverrideParseException):
        key, _, value = error.override.partition("=")
        if key in ("sweep.where", "++sweep.where"):  # the first thing that everybody types
            return f"cannot read {error.override!r}: an expression is quoted, as in \"{key}='{value}'\""
        return (
            f"cannot read {error.override!r}: {_first_line(error, after=f'Error parsing override {error.override!r}')}"
        )
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing_choice(error, composer)
    if text.startswith(NO_CHOICE):
        return _no_choice(overrides, composer) or _first_line(error)
    if unknown := re.search(r"Could not override '([^']+)'", text):
        return _unknown_key(getattr(error.__cause__, "full_key", None) or unknown[1], overrides, composer)
    if ambiguous := re.search(r"Ambiguous value for argument '([^=]+)=(.*)'", text):
        key, values = ambiguous.groups()
        instead = "" if composer.choices(key) else f", or write {key}=[{values}] for a list"
        return f"{key}={values} names several values: {how_to_sweep}{instead}"
    return _first_line(error)


def _missing_choice(error: MissingConfigException, composer: Composer) -> str:
    group, _, choice = str(error.missing_cfg_file).rpartition("/")
    choices = composer.choices(group)
    if not choices:
        return _first_line(error)
    return f"{group} {choice!r} is not one of: {', '.join(sorted(choices))}"


def _no_choice(overrides: Sequence[str], composer: Composer) -> str | None:
    """Return the line about the first override that chooses something else than a name of a group."""
    for override in OverridesParser.create(config_loader=composer.loader).parse_overrides(list(overrides)):
        choices = composer.choices(override.key_or_group)
        for value in list(override.sweep_iterator()) if override.is_sweep_override() else [override.value()]:
            if choices and not isinstance(value, str | list | dict):
                return f"{override.key_or_group} {value!r} is not one of: {', '.join(sorted(choices))}"
    return None


def _unknown_key(key: str, overrides: Sequence[str], composer: Composer) -> str:
    """Walk down configs composed of the choices of groups alone, until there is one where the key is unknown."""
    for chosen in _group_choices(overrides, composer):
        found = _where_unknown(key, unresolved(composer.compose(chosen)))
        if found is not None:
            return found
    return f"{key!r} cannot be set"


def _where_unknown(key: str, node: Any) -> str | None:
    walked: list[str] = []
    for part in key.split("."):
        walked.append(part)
        if not isinstance(node, dict):
            return f"{key!r} is not a setting: {'.'.join(walked[:-1])} has none below it"
        if part not in node:
            name = node.get("name") if len(walked) > 1 else None
            line = unknown_setting(".".join(walked), node, name if isinstance(name, str) else None)
            close = get_close_matches(part, list(node), 1) if len(node) > 2 else []
            return f"{line} (did you mean {close[0]}?)" if close else line
        node = node[part]
    return None


def _group_choices(overrides: Sequence[str], composer: Composer) -> Iterator[list[str]]:
    """Yield the overrides that choose of groups, each sweep by its first value, then by each further one."""
    choices: dict[str, list[str]] = {}
    for override in OverridesParser.create(config_loader=composer.loader).parse_overrides(list(overrides)):
        if composer.choices(override.key_or_group) and not override.is_delete():
            key = override.get_key_element()
            if override.is_sweep_override():
                choices[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
            elif not isinstance(override.value(), dict):
                choices[key] = [override.input_line or ""]
    first = {key: lines[0] for key, lines in choices.items()}
    yield list(first.values())
    for key, lines in choices.items():
        yield from (list({**first, key: line}.values()) for line in lines[1:])


def _first_line(error: Exception, after: str = "") -> str:
    lines = str(error).removeprefix(after).splitlines()
    return next((line.strip() for line in lines if line.strip()), type(error).__name__)

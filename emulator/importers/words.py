"""The words of a network that hls4ml writes into C++, where a name could be a program.

What an `.fml` file holds of C++ itself is not looked at: such a file is a program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emulator.model_file import UnreadableModel

_NAME = re.compile(r"[\w.:/@+>-]+", re.ASCII)
_WORDS = re.compile(r"[\w ,.:/@+>=-]*|(a[pc]_)?u?(fixed|int)<[\w, -]*>", re.ASCII)
_WRITTEN = frozenset(("function_cpp", "config_cpp"))
"""C++ that hls4ml's templates have made of the other attributes, or that an `.fml` file brought along."""


def refuse_code(graph: Any, path: Path) -> None:
    """Raise `UnreadableModel` for a name or a setting in an hls4ml ModelGraph that could be read as C++.

    What is imported is compiled and run: a layer called `d",0); system("…` would be a program, and a name with a space
    would be two.
    """
    config = graph.config
    settings = {
        "project": config.get_project_name(),
        "Namespace": config.get_writer_config().get("Namespace") or "nnet",
        "IOType": config.get_config_value("IOType"),
        "PipelineStyle": config.pipeline_style,
        "PipelineInterval": config.pipeline_ii,
    }
    for key, value in settings.items():
        _refuse(str(value), _NAME, f"{path}: {key} {value!r:.80}")
    for node in graph.get_layers():
        for name in (node.name, *(variable.name for variable in node.get_variables())):
            _refuse(name, _NAME, f"{path}: the name {name!r:.80}")
        for key, value in node.attributes.items():
            for text in () if key in _WRITTEN else _texts(value):
                _refuse(text, _WORDS, f"{path}: {key!r:.40} of layer {node.name!r}, {text!r:.80},")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts(key)
            yield from _texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts(each)


def _refuse(text: str, allowed: re.Pattern[str], what: str) -> None:
    if not allowed.fullmatch(text):
        raise UnreadableModel(
            f"{what} would be written into C++ as it is: change it to letters, digits and _ . : / @ + > - only, and "
            "export the model again"
        )

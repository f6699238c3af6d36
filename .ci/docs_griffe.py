"""What mkdocstrings is told about the docstrings of this project."""

import re

import griffe


class ExamplesOfOne(griffe.Extension):
    """Reads a section `Example:` as `Examples:`, the only spelling that griffe shows as code."""

    def on_instance(self, *, obj: griffe.Object, **_kwargs: object) -> None:
        """Renames the section."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"^(\s*)Example:$", r"\1Examples:", obj.docstring.value, flags=re.MULTILINE)

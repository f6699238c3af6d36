"""The file of --language-thresholds: the t of single languages."""

import json
import math

from metaclip_spark.entries.files import JsonObject, decode, read_file
from metaclip_spark.errors import ConfigError, MetadataError, brief
from metaclip_spark.list_thresholds import EntryLists, Threshold
from metaclip_spark.thresholds import check_threshold
from udfs.sources.credentials import without_credentials


def load_language_thresholds(path: str, lists: EntryLists) -> dict[str, Threshold]:
    """Reads the thresholds that single metadata lists are to have.

    Args:
        path: A JSON object: the code of a list to its t, a whole number of at least 1 or "inf".
        lists: The lists that there are.

    Returns:
        Code to threshold, in the order of the codes.

    Raises:
        MetadataError: If the file is missing or is no such object, or names a list twice.
        ConfigError: If a code is of no list, or a threshold is none.
    """
    shown = without_credentials(path)
    text = decode(read_file(path), shown)
    try:
        read = json.loads(text, object_pairs_hook=JsonObject)
    except (ValueError, RecursionError) as error:
        raise MetadataError(f"{shown} is not valid JSON: {error}") from None
    if not isinstance(read, JsonObject) or not read:
        raise MetadataError(f'{shown} must hold a JSON object of language to t, such as {{"de": 5000}}')
    thresholds: dict[str, Threshold] = {}
    for code, value in read:
        lists.check_code(code, f"{shown} names")
        if code in thresholds:
            raise MetadataError(f"{shown} names {brief(code)} twice: give each language one t")
        if not isinstance(value, int | float | str):
            raise ConfigError(
                f"{shown}: the t of {code} must be a whole number, 1 or more, or inf (got {brief(value)})"
            )
        if isinstance(value, float) and math.isinf(value):
            raise ConfigError(f'{shown}: the t of {code} is beyond all numbers: for infinity give "inf"')
        thresholds[code] = check_threshold(value, f"{shown}: the t of {code}")
    return dict(sorted(thresholds.items()))

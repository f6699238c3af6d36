"""The curated set's description for programs: Croissant, schema.org's vocabulary for machine learning, as JSON-LD."""

import json

import pyarrow as pa

from metaclip_spark.errors import counted
from metaclip_spark.reports.pages.data_card import COLUMNS
from metaclip_spark.reports.records import Report
from udfs.schemas import CURATED

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that version 1.0 asks for."""

_FILES = "curated-parquet"


def render_croissant(report: Report) -> str:
    """Renders the description: the curated set as `--export-curated` makes it, beside the data card.

    Who publishes the set adds license, citation, URL and date: only they know them.
    """
    described = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "curated-image-text-pairs",
        "description": f"{counted(report.real_size, 'pair')} of an image's URL and a text, balanced over metadata "
        "entries as in 'Demystifying CLIP Data' (MetaCLIP), made by metaclip-spark "
        f"{report.versions['metaclip-spark']}. Images are not included.",
        "keywords": ["image-text pairs", "balanced", "metaclip-spark"],
        "distribution": [
            {
                "@type": "cr:FileSet",
                "@id": _FILES,
                "name": _FILES,
                "description": "The pairs, in Parquet files.",
                "encodingFormat": "application/x-parquet",
                "includes": "curated/*.parquet",
            }
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "pairs",
                "name": "pairs",
                "description": "One record per pair.",
                "key": {"@id": "pairs/pair_id"},
                "field": [_field(column) for column in CURATED],
            }
        ],
    }
    return f"{json.dumps(described, indent=2, ensure_ascii=False)}\n"


def _field(column: pa.Field) -> dict[str, object]:
    is_list = pa.types.is_list(column.type)
    described = {
        "@type": "cr:Field",
        "@id": f"pairs/{column.name}",
        "name": column.name,
        "description": COLUMNS[column.name],
        "dataType": _data_type(column.type.value_type if is_list else column.type),
        "source": {"fileSet": {"@id": _FILES}, "extract": {"column": column.name}},
    }
    return described | ({"repeated": True} if is_list else {})


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"

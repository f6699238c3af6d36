"""What Spark needs to write tables to object stores safely, and how it packs them, with the reason for each setting.

On S3 a rename is a copy that can be seen half done, so Spark writes tables by S3A's magic committer: multipart uploads
that one request each completes. Without two of Spark's classes Hadoop falls back to a renaming committer in silence;
so the committer's own mark is checked after each write. On EMRFS, GCS and HDFS the platform's committer stands; the
log of the run carries the truth everywhere.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pyspark
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession

from metaclip_spark.errors import ConfigError
from metaclip_spark.stores import google_connector
from metaclip_spark.stores.storage import Storage
from udfs.sources import aws_region, s3_endpoint

S3A_CLASS = "org.apache.hadoop.fs.s3a.S3AFileSystem"
PROTOCOL_CLASS = "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol"
PARQUET_COMMITTER_CLASS = "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter"


@dataclass(frozen=True)
class JarSet:
    """The jars that one Spark line needs for S3A, without the SDK bundle of several hundred megabytes.

    Attributes:
        packages: Maven coordinates.
        excludes: Dependencies that nothing here uses, or that Spark has already.
    """

    packages: tuple[str, ...]
    excludes: tuple[str, ...]


_UNUSED = (
    "com.google.cloud.bigdataoss:gcs-connector",
    "org.apache.hadoop:hadoop-azure",
    "org.apache.hadoop:hadoop-cloud-storage",
    "org.apache.hadoop:hadoop-client-runtime",
    "org.eclipse.jetty:jetty-util",
    "org.eclipse.jetty:jetty-util-ajax",
    "joda-time:joda-time",
    "com.fasterxml.jackson.core:jackson-databind",
    "com.fasterxml.jackson.core:jackson-annotations",
    "com.fasterxml.jackson.dataformat:jackson-dataformat-cbor",
)

JAR_SETS = {
    "4.1.": JarSet(
        (
            "org.apache.hadoop:hadoop-aws:3.4.2",
            "software.amazon.awssdk:s3:2.29.52",
            "software.amazon.awssdk:s3-transfer-manager:2.29.52",
            "software.amazon.awssdk:sts:2.29.52",
            "org.apache.spark:spark-hadoop-cloud_2.13:4.1.2",
        ),
        (
            "software.amazon.awssdk:bundle",
            "org.apache.hadoop:hadoop-huaweicloud",
            "com.squareup.okhttp3:okhttp",
            "com.squareup.okio:okio",
            *_UNUSED,
        ),
    ),
    "3.5.": JarSet(
        (
            "org.apache.hadoop:hadoop-aws:3.3.4",
            "com.amazonaws:aws-java-sdk-s3:1.12.262",
            "com.amazonaws:aws-java-sdk-sts:1.12.262",
            "com.amazonaws:aws-java-sdk-dynamodb:1.12.262",
            "org.apache.spark:spark-hadoop-cloud_2.12:3.5.8",
        ),
        (
            "com.amazonaws:aws-java-sdk-bundle",
            "org.apache.hadoop:hadoop-client-api",
            "org.apache.hadoop:hadoop-openstack",
            "org.apache.hadoop:hadoop-aliyun",
            "org.apache.hadoop:hadoop-azure-datalake",
            "org.apache.httpcomponents:httpclient",
            "org.apache.httpcomponents:httpcore",
            *_UNUSED,
        ),
    ),
}
"""Spark line -> jars that were seen to work together, on Maven Central."""

_MAGIC = {
    "fs.s3a.committer.name": "magic",
    "fs.s3a.committer.magic.enabled": "true",
    "mapreduce.outputcommitter.factory.scheme.s3a": "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory",
    "mapreduce.outputcommitter.factory.scheme.s3": "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory",
}

_PARQUET = {
    # Less time to write than zstd's level 3, Parquet's own choice, for a few more bytes.
    "parquet.compression.codec.zstd.level": "1",
}

_PAGE_CHECKSUMS = {
    # Spark writes a checksum into each page: a page that a disk or a store has changed stops the job that reads it.
    "parquet.page.verify-checksum.enabled": "true",
}

_WITHOUT_CHECKSUM_FILES = {
    # Hadoop leaves a .crc file beside each local file, and polars reads no folder that holds one. Only for the job that
    # writes a table: elsewhere in Hadoop "local" must be the file system with checksums. Without the cache, since that
    # holds the other one.
    "fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
    "fs.file.impl.disable.cache": "true",
}

_FAULTS = {
    # The classic stream opens a body again where it broke off; vectored reads and the newer streams fail. Either
    # setting alone does not help.
    "fs.s3a.input.stream.type": "classic",
    "parquet.hadoop.vectored.io.enabled": "false",
    # SlowDown is answered by waiting: a busy prefix recovers within seconds to minutes.
    "fs.s3a.attempts.maximum": "20",
    "fs.s3a.retry.limit": "10",
    # Hadoop 3.3 deletes the keys of all folders above after each write, which 3.4 does no more: many requests, and a
    # store over a file system refuses to delete the key of a folder that is not empty, which S3A retries for hours.
    "fs.s3a.directory.marker.retention": "keep",
}


def jar_set() -> JarSet:
    """Gives the one of `JAR_SETS` for the Spark that runs here.

    Raises:
        ConfigError: If none was tried with this Spark.
    """
    found = next((jars for line, jars in JAR_SETS.items() if pyspark.__version__.startswith(line)), None)
    if found is None:
        raise ConfigError(
            f"no set of S3 jars is known for Spark {pyspark.__version__}: use one of {', '.join(JAR_SETS)}x, or give "
            "matching hadoop-aws and spark-hadoop-cloud jars by --packages"
        )
    return found


def packages_line() -> str:
    """Gives the options of spark-submit that bring the S3 jars, as one line."""
    jars = jar_set()
    return f"--packages {','.join(jars.packages)} --exclude-packages {','.join(jars.excludes)}"


def package_settings() -> dict[str, str]:
    """Gives the settings that bring the S3 jars to a session that plain python starts."""
    jars = jar_set()
    return {"spark.jars.packages": ",".join(jars.packages), "spark.jars.excludes": ",".join(jars.excludes)}


def prepare_tables(session: SparkSession, storage: Storage, *, allow_rename_committer: bool) -> str:
    """Sets up how a session writes a run's tables, and names the file system's class and the committer in one line.

    Raises:
        ConfigError: If the file system's class is missing, or S3A would commit by renaming.
    """
    context: Any = session.sparkContext
    hadoop = context._jsc.hadoopConfiguration()
    _set_unless_given(session, hadoop, _PAGE_CHECKSUMS)
    if storage.scheme == "s3a" and hadoop.get("fs.s3.impl"):
        # EMR: its own file system stands behind s3, and the platform has set its committer.
        storage.use_scheme("s3")
    if storage.scheme == "s3a":
        _set_unless_given(session, hadoop, {**_server_settings(), **_FAULTS})
    elif storage.scheme == "gs":
        google_connector.name_class(hadoop)
        _set_unless_given(session, hadoop, google_connector.TABLE_SETTINGS)
    name = _file_system_class(context, hadoop, storage)
    if name != S3A_CLASS:
        storage.committer_required = None
        return f"tables: {name}, committed by {_platform_committer(hadoop)}; the run's log tells what counts"
    if hadoop.getClassByNameOrNull(PROTOCOL_CLASS) is None:
        if not allow_rename_committer:
            raise ConfigError(
                f"Spark would write to {storage.root} by renaming, which S3 does as copies that can be seen half done: "
                f"the class {PROTOCOL_CLASS} is missing. Give spark-submit {packages_line()}, or --s3-packages with "
                "plain python; or accept it with --allow-rename-committer"
            )
        return f"tables: {name}, committed by renaming (--allow-rename-committer)"
    _set_unless_given(session, hadoop, _MAGIC)
    session.conf.set("spark.sql.sources.commitProtocolClass", PROTOCOL_CLASS)
    session.conf.set("spark.sql.parquet.output.committer.class", PARQUET_COMMITTER_CLASS)
    storage.committer_required = None if allow_rename_committer else str(hadoop.get("fs.s3a.committer.name"))
    return f"tables: {name}, committed by S3A's {hadoop.get('fs.s3a.committer.name')} committer"


def prepare_compression(session: SparkSession) -> None:
    """Sets how a session that writes a run's tables packs them, unless the user has."""
    context: Any = session.sparkContext
    _set_unless_given(session, context._jsc.hadoopConfiguration(), _PARQUET)


def table_writer(rows: DataFrame, storage: Storage) -> DataFrameWriter:
    """Makes what writes a table of a storage, without files of Hadoop's beside those of the table."""
    context: Any = rows.sparkSession.sparkContext
    if storage.scheme != "file" or context._jsc.hadoopConfiguration().get("fs.file.impl"):
        return rows.write
    return rows.write.options(**_WITHOUT_CHECKSUM_FILES)


def check_committed(storage: Storage, folder: str) -> None:
    """Checks, after a write to S3A, that the committer did it that was asked for.

    Raises:
        ConfigError: If another committer wrote it.
    """
    if storage.committer_required is None:
        return
    found = storage.committer(folder)
    if found != storage.committer_required:
        raise ConfigError(
            f"{storage.location(folder)} was written by {found or 'a renaming committer'}, not by S3A's "
            f"{storage.committer_required} committer, so that readers may have seen it half done: use the same "
            f"Spark and Hadoop on all machines ({packages_line()}), or accept it with --allow-rename-committer"
        )


def warn_of_region(storage: Storage) -> str | None:
    """Warns where the bucket's region is not this machine's: traffic between regions is slow and billed."""
    here = aws_region()
    if storage.uploads is None or here is None:
        return None
    try:
        there = storage.uploads.region()
    except OSError:
        # Not everybody may ask; the run does not depend on it.
        return None
    if there == here:
        return None
    return (
        f"warning: {storage.root} lies in {there}, this machine in {here}: traffic between regions is slow and billed"
    )


def _server_settings() -> dict[str, str]:
    region = aws_region()
    settings = {"fs.s3a.endpoint.region": region} if region else {}
    endpoint = s3_endpoint()
    if endpoint is None:
        return settings
    return {
        "fs.s3a.endpoint": endpoint,
        "fs.s3a.endpoint.region": region or "us-east-1",
        # Servers other than AWS seldom have a host name for each bucket.
        "fs.s3a.path.style.access": "true",
        "fs.s3a.connection.ssl.enabled": str(urlsplit(endpoint).scheme == "https").lower(),
    }


def _set_unless_given(session: SparkSession, hadoop: Any, settings: dict[str, str]) -> None:
    given = {name for name, _ in session.sparkContext.getConf().getAll()}
    for name, value in settings.items():
        if f"spark.hadoop.{name}" not in given:
            hadoop.set(name, value)


def _file_system_class(context: Any, hadoop: Any, storage: Storage) -> str:
    path = context._jvm.org.apache.hadoop.fs.Path(storage.location(""))
    try:
        return str(path.getFileSystem(hadoop).getClass().getName())
    except Exception as error:
        if "ClassNotFound" in str(error) or "No FileSystem for scheme" in str(error):
            raise ConfigError(
                f"Spark has no file system for {storage.scheme}:// here: {_needed(storage.scheme)}"
            ) from None
        first = str(error).strip().splitlines()[1:2] or [repr(error)]
        raise ConfigError(f"Spark cannot reach {storage.root}: {first[0].strip()}: check bucket and rights") from None


def _needed(scheme: str) -> str:
    if scheme in {"s3", "s3a"}:
        return f"give spark-submit {packages_line()}, or --s3-packages with plain python"
    if scheme == "gs":
        return google_connector.MISSING
    return "run where the platform brings it, or add its connector by --packages"


def _platform_committer(hadoop: Any) -> str:
    version = hadoop.get("mapreduce.fileoutputcommitter.algorithm.version") or "1"
    return f"the platform's committer (FileOutputCommitter algorithm {version} or its replacement)"


def refuse_packages_under_submit(*, submitted: bool) -> None:
    """Refuses --s3-packages under spark-submit, which ignores what a session's builder says about packages.

    Raises:
        ConfigError: If so, with the options to give instead.
    """
    if submitted:
        raise ConfigError(
            f"--s3-packages has no effect under spark-submit: give spark-submit itself {packages_line()} "
            "(on EMR and Dataproc give nothing: the jars are there)"
        )

"""Matching texts against a metadata list in this process, without Spark."""

from collections.abc import Iterable, Sequence
from os import PathLike

import pyarrow as pa

from metaclip_spark.config.fields import check_engine, listed
from metaclip_spark.entries import Metadata, as_metadata
from metaclip_spark.errors import ConfigError, MetadataError, SchemaMismatchError, wrong_type
from metaclip_spark.steps.automaton import check_engine_has
from udfs.matching.aho_corasick import CharacterAutomaton
from udfs.matching.engine import MatchEngine
from udfs.matching.token_automaton import TokenAutomaton, build_token_tables
from udfs.pairs.rules import clean_text


class Matcher:
    """Finds metadata entries in texts, as the match step does ("Demystifying CLIP Data", section 3.1).

    An entry occurs in a text where it stands between spaces or separator marks (,.;:?!`), with the word borders
    `script` also where a script is written without spaces; case counts. Building takes about half a second and 34 MB
    for 500,000 entries. One thread at a time may use a matcher.

    Attributes:
        metadata: The metadata list; of a folder of lists one of them (`Metadata.of`).

    Example:
        >>> from metaclip_spark import Matcher, Metadata
        >>> matcher = Matcher(Metadata.from_entries(["dog", "New York", "york"]))
        >>> matcher.match(["a dog in New York.", "hotdog"])
        [['dog', 'New York'], []]
        >>> import pyarrow as pa
        >>> matcher.ids(pa.array(["a dog in New York."])).to_pylist()
        [[0, 1]]
        >>> japanese = Matcher(Metadata.from_entries(["東京", "タワー", "SONY"], word_borders="script"))
        >>> japanese.match(["東京タワーとSONYの広告"])
        [['東京', 'タワー', 'SONY']]
    """

    def __init__(self, metadata: Metadata | str | PathLike[str] | Sequence[str], *, engine: str = "token") -> None:
        """Builds the automaton.

        Args:
            metadata: The metadata list, its file, or its entries.
            engine: "token" (compiled) or "pyahocorasick" (the published way); both find the same entries.

        Raises:
            ConfigError: If there is no such engine, or it does not have the list's word borders.
            MetadataError: If `metadata` is not a metadata list, is several, or the list cannot be used.
        """
        check_engine(engine)
        self.metadata = as_metadata(metadata)
        if self.metadata.lists:
            raise MetadataError(
                f"a Matcher takes a single list: give Metadata.of({self.metadata.lists[0].code!r}), or that of another "
                "language; match_pairs finds the list of each text"
            )
        entries, borders = self.metadata.entries, self.metadata.word_borders
        check_engine_has(borders, engine)
        self._engine: MatchEngine = (
            TokenAutomaton(build_token_tables(entries, self.metadata.digest, word_borders=borders))
            if engine == "token"
            else CharacterAutomaton(entries, word_borders=borders)
        )

    def match(self, texts: Iterable[str | None]) -> list[list[str]]:
        """Finds the entries in each text.

        Args:
            texts: Alternative texts; they are cleaned as those of a page are (white space at the ends, line breaks).
                None is a text without entries.

        Returns:
            For each text its entries, each once, in the order of their ids.

        Raises:
            ConfigError: If `texts` is one string or no list, or holds something else than strings.
        """
        found = listed("texts", texts, "a list of strings, such as ['a dog']")
        for place, text in enumerate(found):
            if text is not None and not isinstance(text, str):
                raise ConfigError(wrong_type(f"the text at place {place}", text, "strings"))
        cleaned = pa.array([None if text is None else clean_text(text) for text in found], pa.string())
        entries = self.metadata.entries
        return [[entries[entry_id] for entry_id in ids] for ids in self.ids(cleaned).to_pylist()]

    def ids(self, texts: pa.Array) -> pa.ListArray:
        """Finds the ids of the entries in each text of an Arrow column.

        Args:
            texts: n strings, cleaned, such as the column `alt_text` of the pool; null is a text without entries.

        Returns:
            n lists of int32: entry ids, sorted and distinct.

        Raises:
            SchemaMismatchError: If `texts` is not an Arrow array, or does not hold strings.
        """
        if not isinstance(texts, pa.Array | pa.ChunkedArray):
            raise SchemaMismatchError(wrong_type("texts", texts, "an Arrow array of strings, such as pa.array(texts)"))
        if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
            raise SchemaMismatchError(f"texts is an array of {texts.type}: it must hold strings")
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        return self._engine.match(texts)

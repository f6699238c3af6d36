"""Bytes to records: WARC, WAT and ARC, damaged or not."""

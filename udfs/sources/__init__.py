"""Bytes wherever they are: local files, HTTPS, S3 and fsspec stores, read with retries and resumed."""

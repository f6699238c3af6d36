"""The benchmark's page and its charts."""

"""What a provider has to publish about a curated set: domains, sources, the summary of training content."""

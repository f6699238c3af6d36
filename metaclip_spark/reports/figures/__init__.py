"""The figures of a report that come from the steps' manifests and the run's log alone."""

"""The figures of a report that come from the steps' manifests, the run's log and a few sums over its tables."""

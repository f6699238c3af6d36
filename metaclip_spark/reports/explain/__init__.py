"""Why a pair is in the curated set or not: every number of its way through the job, computed anew from its text."""

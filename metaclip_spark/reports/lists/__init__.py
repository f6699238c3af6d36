"""What a report shows of several metadata lists."""

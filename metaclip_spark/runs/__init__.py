"""What a run is: its folder, what was committed to it, and how it goes on."""

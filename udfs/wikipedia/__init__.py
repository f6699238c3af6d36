"""Wikipedia's dumps and page views to word counts."""

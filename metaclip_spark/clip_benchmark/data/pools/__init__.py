"""The pools: pairs with pictures, a metadata list, and a test split."""

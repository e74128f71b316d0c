"""Commands installed with the package."""

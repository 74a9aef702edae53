"""The Python that the bundles' JSON configs name: `scripts.networks`, `scripts.losses`, `scripts.engines` and so on."""

__version__ = "0.1.0"

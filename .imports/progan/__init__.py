"""Progressive growing of GANs: prepare pictures, train, export and generate.

The folders pipeline, stages, launch and datasets of the repository are its sub-packages. The
command line is `progan`, or `python -m progan`.
"""

__version__ = "0.1.0"

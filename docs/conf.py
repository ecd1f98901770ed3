"""Sphinx configuration. Builds offline and with every warning an error: ``make docs``."""

from pathlib import Path

from sphinx.util import logging

import numbapool

project = "numbapool"
author = "numbapool developers"
copyright = "numbapool developers"
version = release = numbapool.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}  # autosummary writes .rst
exclude_patterns = ["_build", "gallery"]  # the gallery's scripts; its pages are in generated/gallery

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
# Every public docstring is complete. See numpydoc's validation page for the codes.
numpydoc_validation_checks = {"GL03", "GL08", "PR01", "PR02", "PR03", "RT01", "RT03", "SS01", "EX01"}
numpydoc_validation_exclude = {
    r"^numbapool\.testing\.",
    r"^numbapool\.(set_)?options",
}  # **kw stands for named options

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "generated/gallery",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "generated/backreferences",
    "doc_module": "numbapool",
    "reference_url": {"numbapool": None},  # names in the scripts link to the API pages
    "image_srcset": ["2x"],
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "numbapool"
html_static_path = ["_static"]
html_copy_source = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"index": []}


def setup(app):
    """Warn of public functions that the API page does not list."""
    listed = set((Path(__file__).parent / "api.md").read_text().split())
    for name in sorted({*numbapool.__all__} - listed - {"__version__"}):
        logging.getLogger(__name__).warning("api.md does not list %s", name)

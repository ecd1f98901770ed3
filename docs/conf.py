"""Sphinx configuration. Builds offline and with every warning an error: ``make docs``."""

import numbapool

project = "numbapool"
author = "numbapool developers"
copyright = "numbapool developers"
version = release = numbapool.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}  # autosummary writes .rst
exclude_patterns = ["_build"]

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

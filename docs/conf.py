"""How Sphinx builds these pages: Markdown in, by kind, with the reference read from docstrings."""

import logging
from importlib.metadata import version as version_of

project = "feedback_store"
author = "the feedback_store authors"
copyright = "the feedback_store authors"
version = release = version_of("feedback-store")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
# A kind that has no page of its own yet is no error. `suppress_warnings` cannot say so: Sphinx
# gives this one a subtype and no type.
logging.getLogger("sphinx.sphinx.directives.other").addFilter(
    lambda record: getattr(record, "subtype", None) != "empty_glob"
)

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}

html_theme = "furo"
html_title = f"feedback_store {release}"

"""The stores: one file, or one folder, each."""

import logging

# A library is silent until its application asks: without this, warnings would go to stderr.
logging.getLogger("feedback_store").addHandler(logging.NullHandler())

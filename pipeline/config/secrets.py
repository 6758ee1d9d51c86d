"""Keeps credentials out of configurations, logs and MLflow's parameters."""

import os
import re

SECRET_VARIABLES = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD")
_ANY_USER = re.compile(r"https?://.*@", re.IGNORECASE)
_PASSWORD = re.compile(r"[\w+.-]+://[^@]*:[^@]*@")
_SECRET_OPTION = re.compile(r"[?&][^=&]*(pass|pwd|token|secret|key|sig)[^=&]*=", re.IGNORECASE)
_USER_IN_TEXT = re.compile(r"://[^\s'\"]*@")
_OPTIONS_IN_TEXT = re.compile(r"(https?://[^\s?'\"]*)\?[^\s'\")]*", re.IGNORECASE)


def has_credentials(uri: str) -> bool:
    """Whether a URI names a user or a secret: any user for a server, a password for a database."""
    return bool(_ANY_USER.match(uri) or _PASSWORD.match(uri) or _SECRET_OPTION.search(uri))


def without_secrets(text: str) -> str:
    """A message without the credentials in its URLs and without those of the environment.

    The query of a URL is removed too: storage services put signatures there.
    """
    for variable in SECRET_VARIABLES:
        if value := os.environ.get(variable):
            text = text.replace(value, "***")
    return _OPTIONS_IN_TEXT.sub(r"\1?***", _USER_IN_TEXT.sub("://***@", text))

"""Keeps credentials out of configurations, logs and MLflow's parameters."""

import os
import re
from urllib.parse import unquote

SECRET_VARIABLES = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_PASSWORD")
MASK = "***"
_ANY_USER = re.compile(r"https?://.*@", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^@/:]*:[^@]*@")
_SECRET_WORD = r"(?:pass|pwd|token|secret|key|sig|credential|auth)"
_SECRET_OPTION = re.compile(rf"[?&;][^=&;]*{_SECRET_WORD}[^=&;]*=", re.IGNORECASE)
_SECRET_FRAGMENT = re.compile(rf"#.*{_SECRET_WORD}", re.IGNORECASE)
_USER_IN_TEXT = re.compile(r"://[^\s'\"]*@")
_OPTIONS_IN_TEXT = re.compile(r"(\w://[^\s?#'\"]*[?#])[^\s'\")]*")


def has_credentials(uri: str) -> bool:
    """Whether a URI names a user or a secret: any user for a server, a password for others.

    Secrets in the query or the fragment are recognised by their names, such as X-Amz-Signature.
    """
    if _ANY_USER.search(uri) or _PASSWORD.search(uri):
        return True
    options = unquote(uri.partition("://")[2])
    return bool(_SECRET_OPTION.search(options) or _SECRET_FRAGMENT.search(options))


def without_secrets(text: str) -> str:
    """A message without the credentials in its URLs and without those of the environment.

    Query and fragment of a URL are removed too: storage services put signatures there.
    """
    for variable in SECRET_VARIABLES:
        if value := os.environ.get(variable):
            text = text.replace(value, MASK)
    return _OPTIONS_IN_TEXT.sub(rf"\1{MASK}", _USER_IN_TEXT.sub(f"://{MASK}@", text))

"""SQLite databases of MLflow: a new one appears whole, and one of another version is left alone.

MLflow creates a database table by table, for seconds, and migrates one that lacks tables without
asking; runs that start together would break it. So a new one is created elsewhere and then given
its name, which only the first of them can.
"""

import os
import shlex
import shutil
import sqlite3
import tempfile
import uuid
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from urllib.parse import quote

from progan.pipeline.tracking.queue.destination import TrackingError

PATIENCE_SECONDS = 20.0
"""How long a locked database is waited for; MLflow waits as long"""
LOCKED = "database is locked"


def prepare_database(uri: str) -> None:
    """Create the SQLite database of a URI if it is missing; nothing for other databases.

    Raises TrackingError for a file that the installed MLflow cannot use.
    """
    if not uri.startswith("sqlite:"):
        return
    from sqlalchemy.engine import make_url

    name = make_url(uri).database
    if not name or name == ":memory:":
        return
    file = Path(name)
    if not file.exists():
        _create(file)
    found, wanted = _revision(file), _newest_revision()
    if found is not None and found != wanted:
        raise TrackingError(_other_version(uri, found))


def is_locked(error: Exception) -> bool:
    """Whether an error says that another program keeps a database locked."""
    return LOCKED in str(error)


def _create(file: Path) -> None:
    """Create an empty MLflow database, unless another process does so first."""
    from mlflow.tracking import MlflowClient

    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{uuid.uuid4().hex[:12]}.tmp")
    with tempfile.TemporaryDirectory() as folder:
        MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
        shutil.copyfile(f"{folder}/mlflow.db", temporary)
    try:
        with suppress(FileExistsError):
            os.link(temporary, file)
    finally:
        temporary.unlink()


def _revision(file: Path) -> str | None:
    """The version of a database's schema; None if it has no tables yet."""
    place = f"file:{quote(str(file))}?mode=ro"
    try:
        with closing(sqlite3.connect(place, uri=True, timeout=PATIENCE_SECONDS)) as connection:
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            if "alembic_version" not in tables:
                return "none" if tables else None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error as error:
        raise TrackingError(_unreadable(file, error)) from error
    return str(row[0]) if row else "none"


@cache
def _newest_revision() -> str:
    """The version of the schema that the installed MLflow uses."""
    import mlflow
    from alembic.script import ScriptDirectory

    scripts = Path(mlflow.__file__).parent / "store" / "db_migrations"
    return str(ScriptDirectory(str(scripts)).get_current_head())


@cache
def _known_revisions() -> set[str]:
    import mlflow
    from alembic.script import ScriptDirectory

    scripts = Path(mlflow.__file__).parent / "store" / "db_migrations"
    return {script.revision for script in ScriptDirectory(str(scripts)).walk_revisions()}


def _other_version(uri: str, found: str) -> str:
    if found not in _known_revisions():
        return (
            f"the database {uri} is of a newer MLflow than the installed one, or of another "
            "program: pip install --upgrade mlflow, or choose another: tracking.mlflow=URI"
        )
    return (
        f"the database {uri} is of an older MLflow: copy it, close what uses it, and run: "
        f"mlflow db upgrade {shlex.quote(uri)}"
    )


def _unreadable(file: Path, error: sqlite3.Error) -> str:
    if is_locked(error):
        return locked_message(str(file))
    return f"{file} cannot be read as a database ({error}); choose another: tracking.mlflow=URI"


def locked_message(place: str) -> str:
    """What a user can do about a locked database."""
    return (
        f"the database {place} is locked by another program: close what keeps it open, such as a "
        "database browser or a backup"
    )

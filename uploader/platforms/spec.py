"""What everybody else needs to know of a platform: its names, addresses and keys, and where the rest of it is.

A spec is plain values, since settings and trainings read it. The client, which needs an HTTP library, and the planner,
which needs the journal, are named here and imported by those who deliver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class SavedKey:
    """What a file holds in which a key may have been saved.

    Attributes:
        file: The file, for messages.
        key: The key; None where there is none. Never shown by `repr`.
        fault: Why there is none although the file is there, else None.
    """

    file: Path
    key: str | None = field(default=None, repr=False)
    fault: str | None = None


@dataclass(frozen=True)
class UpstreamReporting:
    """Ultralytics' own callbacks that report a training to a platform. Ours take their place.

    Attributes:
        module: The module that holds them, in its `callbacks`.
        events: Those that report; None for all. The others of the module are left alone.
        always: Whether they are left out of every recorded training, and not only of one that goes to the platform.
    """

    module: str
    events: frozenset[str] | None = None
    always: bool = False


@dataclass(frozen=True)
class PlatformSpec:
    """One kind of platform.

    Attributes:
        name: The name of its API: in journals, and for `attach(platform=...)` and `--platform`.
        title: What people call it.
        client: What makes a client, as `module:name`. Given a base URL, a key, a `Transport` and what else the platform
            reads of the environment, it returns a `Platform` that has sent nothing yet.
        planner: Its `Planning`, as `module:name`.
        url_variable: The environment variable that says where it is.
        key_variable: The environment variable that holds its key.
        default_url: Its public address, "" where it has none. Its key goes there when the environment names no address.
        is_default: Whether runs that chose nothing go to `default_url` when its key is set.
        saved_key: Reads the file in which its key may be saved, given the environment; None where there is none.
        login: How else a person sets its key, for messages; "" where there is no other way.
        fallback_key_of: Name of the platform whose key stands in where its own is missing, else None.
        further_urls: Environment variables with other addresses that it needs, and what they are when they are not set.
        further_variables: Other environment variables that it reads.
        secret_names: Headers and fields whose values are secrets, where their names do not tell, as `token`, `secret`,
            `password`, `api_key` and `authorization` do. `key_variable` is one anyway.
        journal_folder: Folder in a journal's in which it keeps what it has loaded, "" where it keeps nothing.
        model_field: Field of a registration's `environment` that holds the id of the model that a run goes on as.
        trained_model: Returns the id of the platform's model that a trainer of Ultralytics trains, or None; None where
            no trainer knows of any.
        upstream: Ultralytics' own reporting to it, if there is any.
        licenses: Those that a person may have it show of a model.
        formats: Those into which it converts a model.
        arguments: Those that a conversion takes, and the types that the value of each may have.
        tasks: Those for which it takes datasets.
        keeps_model_file: Whether Ultralytics' own reporting knows a run's model by a file in the run's folder, which a
            drain then writes.
    """

    name: str
    title: str
    client: str
    planner: str
    url_variable: str
    key_variable: str
    default_url: str = ""
    is_default: bool = False
    saved_key: Callable[[Mapping[str, str]], SavedKey] | None = None
    login: str = ""
    fallback_key_of: str | None = None
    further_urls: Mapping[str, str] = field(default_factory=dict)
    further_variables: tuple[str, ...] = ()
    secret_names: tuple[str, ...] = ()
    journal_folder: str = ""
    model_field: str = ""
    trained_model: Callable[[object], str | None] | None = None
    upstream: UpstreamReporting | None = None
    licenses: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()
    arguments: Mapping[str, tuple[type, ...]] = field(default_factory=dict)
    tasks: tuple[str, ...] = ()
    keeps_model_file: bool = False

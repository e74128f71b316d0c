"""Names that Cliquet 3.1 had deprecated; they warn when they are used."""

from __future__ import annotations

import warnings
from typing import Any

from cliquet.resource.model import ShareableModel
from cliquet.resource.shareable import ShareableResource
from cliquet.resource.viewset import ShareableViewSet


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} is deprecated: use {new}", DeprecationWarning, stacklevel=3)


class ProtectedModel(ShareableModel):
    """The deprecated name of :class:`~cliquet.resource.model.ShareableModel`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _warn("ProtectedModel", "ShareableModel")
        super().__init__(*args, **kwargs)


class ProtectedViewSet(ShareableViewSet):
    """The deprecated name of :class:`~cliquet.resource.viewset.ShareableViewSet`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _warn("ProtectedViewSet", "ShareableViewSet")
        super().__init__(*args, **kwargs)


class ProtectedResource(ShareableResource):
    """The deprecated name of :class:`~cliquet.resource.shareable.ShareableResource`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _warn("ProtectedResource", "ShareableResource")
        super().__init__(*args, **kwargs)

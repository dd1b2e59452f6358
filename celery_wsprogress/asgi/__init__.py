"""Progress from the user's own ASGI server: another edge of the hub, beside the sidecar's.

:mod:`.application` is the ASGI application, :mod:`.service` what it serves from.
"""

"""Clients that are sent to by a coroutine: server-sent events, and all of the ASGI application.

:mod:`.channel` is what such a client is reached by, in the sidecar and in the ASGI application.
"""

"""Operations that no Celery task owns.

They run in any process: a web application, a script, a notebook, or a task that shows a part of
itself as an operation of its own. The registry of the process (:mod:`.registry`) starts an
operation and finds it by its id; its handle (:mod:`.handle`) ends it; the publisher of the process
(:mod:`.process_publisher`) writes its events. Built on these are :func:`.operation.operation`, the
form to prefer, and the names for code that works with ids:
``ws_manager`` (:mod:`.manager`), ``StreamingMixin`` (:mod:`.mixin`), ``ProgressTracker`` and the
callbacks (:mod:`.callbacks`).
"""

"""Operations that no Celery task owns.

They run in whatever process their code runs in: a web application, a script, a notebook, or a task
that shows a part of itself as an operation of its own. An operation is started and ended by its
handle (:mod:`.handle`), found by its id in the registry of the process (:mod:`.registry`), and
written by the publisher of the process (:mod:`.process_publisher`). Upon these stand
:func:`.operation.operation`, the form to prefer, and the names for those who work with ids:
``ws_manager`` (:mod:`.manager`), ``StreamingMixin`` (:mod:`.mixin`), ``ProgressTracker`` and the
callbacks (:mod:`.callbacks`).
"""

"""Operations that no Celery task owns.

They run in whatever process their code runs in: a web application, a script, a notebook, a task
that wants to show a part of itself on its own. One is begun and ended by a :mod:`.life`, found
by its id in the process's :mod:`.register`, and written by the process's :mod:`.outlet`. On these
stand :func:`.scope.operation`, the form to prefer, and the names of those who work with ids:
``ws_manager`` (:mod:`.by_id`), ``StreamingMixin`` (:mod:`.mixin`), ``ProgressTracker`` and the
callbacks (:mod:`.callbacks`).

Nothing here imports Celery, makes a network call or waits for one.
"""

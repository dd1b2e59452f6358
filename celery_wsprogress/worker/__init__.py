"""What runs in the processes of tasks and of their callers.

Three writers speak about one operation, and nothing orders them: the process that publishes
the task (:mod:`.caller`), the worker's main process (:mod:`.parent`) and the process or thread
that runs the task (:mod:`.child`). Celery's signals (:mod:`.signals`) wake all three; what a
task itself reports goes through the tracker of its run (:mod:`.tracking`). The events wait in
the process's buffer (:mod:`.buffer`) until its one flusher thread (:mod:`.publisher`) writes
them to the broker.
"""

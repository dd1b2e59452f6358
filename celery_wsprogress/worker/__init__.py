"""The side that publishes: code in the processes of tasks and of their callers.

Three processes write events of one operation, in no order among them: the process that publishes
the task (:mod:`.signals.caller`), the main process of the worker (:mod:`.signals.main_process`) and
the process or thread that runs the task (:mod:`.signals.task_process`). Celery's signals call all
three (:mod:`.signals.handlers`). The task's own reports go through the tracker of its run
(:mod:`.context`, :mod:`.tracker`). Events wait in the queue of their process until its one flusher
thread writes them to the broker (:mod:`.publishing`).
"""

"""What Python 3.8 to 3.11 took out of the standard library and polyswarm-client 2.13 still calls.

Python imports a module of this name at start when it is on PYTHONPATH, so that the installed client stays as it was
published. Nothing in here knows of PolySwarm.
"""
import asyncio
import asyncio.streams
import collections
import collections.abc
import functools
import inspect
import types
import warnings


def supply(owner, name, value):
    """Sets a name that this Python no longer has."""
    if not hasattr(owner, name):
        setattr(owner, name, value)


def without_loop(function):
    """Takes the argument `loop`, which went away in 3.10, and forgets it."""
    @functools.wraps(function)
    def call(*args, loop=None, **kwargs):
        return function(*args, **kwargs)
    return call


# Abstract classes lived in `collections` until 3.10.
for name in collections.abc.__all__:
    supply(collections, name, getattr(collections.abc, name))

# `inspect.getargspec` went away in 3.11; parsimonious 0.8 wants the first two of its fields.
ArgSpec = collections.namedtuple('ArgSpec', 'args varargs keywords defaults')
supply(inspect, 'getargspec', lambda function: ArgSpec(*inspect.getfullargspec(function)[:4]))

# The decorator of coroutines written as generators went away in 3.11.
supply(asyncio, 'coroutine', lambda function: function if inspect.iscoroutinefunction(function) else types.coroutine(function))

# Moved to `asyncio` itself in 3.8.
for name in ('IncompleteReadError', 'LimitOverrunError'):
    supply(asyncio.streams, name, getattr(asyncio, name))

# `Task.all_tasks` and `Task.current_task` went away in 3.9. The type is written in C and takes no new attributes: a
# subclass has them, and every real task still counts as an instance of it.
if not hasattr(asyncio.Task, 'all_tasks'):
    real_task = asyncio.Task

    class AnyTask(type(real_task)):
        def __instancecheck__(cls, value):
            return isinstance(value, real_task)

        def __subclasscheck__(cls, value):
            return issubclass(value, real_task)

    class Task(real_task, metaclass=AnyTask):
        all_tasks = staticmethod(lambda loop=None: asyncio.all_tasks(loop))
        current_task = staticmethod(lambda loop=None: asyncio.current_task(loop))

    asyncio.Task = Task

# The argument `loop`, of classes and of functions.
for kind in (asyncio.Lock, asyncio.Event, asyncio.Condition, asyncio.Semaphore, asyncio.BoundedSemaphore, asyncio.Queue):
    kind.__init__ = without_loop(kind.__init__)
for name in ('sleep', 'wait_for', 'gather', 'shield'):
    if 'loop' not in inspect.signature(getattr(asyncio, name)).parameters:
        call = without_loop(getattr(asyncio, name))
        setattr(asyncio, name, call)
        setattr(asyncio.tasks, name, call)

# `asyncio.wait` takes no bare coroutines since 3.11.
real_wait = asyncio.wait


@functools.wraps(real_wait)
async def wait(awaitables, *, loop=None, timeout=None, return_when=asyncio.ALL_COMPLETED):
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    return await real_wait(tasks, timeout=timeout, return_when=return_when)


asyncio.wait = wait
asyncio.tasks.wait = wait

warnings.filterwarnings('ignore', category=DeprecationWarning)

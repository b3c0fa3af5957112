"""Runs on the plain interpreter and on the virtual board; both must print the same. Times are multiples of 40 ms apart,
so that the real clock of a busy machine does not change the order.
"""

# ruff: noqa: UP041 - on MicroPython it is another name than TimeoutError
import asyncio


async def sleeper(name, pause_ms):
    await asyncio.sleep_ms(pause_ms)
    print("slept", name)


async def sleep_order():
    tasks = [asyncio.create_task(sleeper(n, 40)) for n in range(6)]
    tasks += [asyncio.create_task(sleeper(10 + n, 120 - 80 * (n % 2))) for n in range(4)]
    for task in tasks:
        await task


async def ping(name):
    for turn in range(3):
        print("turn", name, turn)
        await asyncio.sleep_ms(0)
    return name


async def gathering():
    print(await asyncio.gather(ping("a"), ping("b"), ping("c")))
    print(await asyncio.gather(ping("d"), failing(), return_exceptions=True))
    try:
        await asyncio.gather(ping("e"), failing())
    except ValueError as error:
        print("gather raised", error)


async def failing():
    await asyncio.sleep_ms(0)
    raise ValueError("failed")


async def exceptions():
    task = asyncio.create_task(failing())
    await asyncio.sleep_ms(40)
    print("done", task.done())
    for _ in range(2):
        try:
            await task
        except ValueError as error:
            print("caught", error)


async def waiter(event, name):
    await event.wait()
    print("woke", name)


async def events():
    event = asyncio.Event()
    tasks = [asyncio.create_task(waiter(event, n)) for n in range(5)]
    await asyncio.sleep_ms(40)
    tasks[2].cancel()
    event.set()
    for task in tasks:
        try:
            await task
        except asyncio.CancelledError:
            print("cancelled")
    await event.wait()
    event.clear()
    print("set", event.is_set())


async def endless(name):
    try:
        while True:
            await asyncio.sleep_ms(40)
    except asyncio.CancelledError:
        print("ends", name)
        raise
    finally:
        print("finally", name)


async def outer(task):
    await task


async def stubborn():
    try:
        await asyncio.sleep_ms(4000)
    except asyncio.CancelledError:
        print("stays")
    await asyncio.sleep_ms(40)
    return "stayed"


async def cancelling():
    task = asyncio.create_task(endless("inner"))
    wrapper = asyncio.create_task(outer(task))
    await asyncio.sleep_ms(20)
    print(wrapper.cancel())
    try:
        await wrapper
    except asyncio.CancelledError:
        print("wrapper cancelled", task.done(), wrapper.done())
    print(task.cancel(), task.cancel())
    task = asyncio.create_task(stubborn())
    await asyncio.sleep_ms(0)
    task.cancel()
    print(await task, task.cancel())
    never_ran = asyncio.create_task(ping("never"))
    never_ran.cancel()
    try:
        await never_ran
    except asyncio.CancelledError:
        print("never ran")
    try:
        asyncio.current_task().cancel()
    except RuntimeError as error:
        print(error)


async def timeouts():
    event = asyncio.Event()
    try:
        await asyncio.wait_for_ms(event.wait(), 80)
    except asyncio.TimeoutError:
        print("timeout")
    print(await asyncio.wait_for_ms(ping("in time"), 4000))
    try:
        await asyncio.wait_for_ms(failing(), 4000)
    except ValueError as error:
        print("through", error)
    asyncio.create_task(setting(event, 40))
    print(await asyncio.wait_for_ms(event.wait(), 4000))
    try:
        await asyncio.wait_for_ms(endless("slow"), 100)
    except asyncio.TimeoutError:
        print("slow timed out")


async def setting(event, pause_ms):
    await asyncio.sleep_ms(pause_ms)
    event.set()


async def critical(lock, name):
    async with lock:
        print("in", name)
        await asyncio.sleep_ms(40)
        print("out", name)


async def locking():
    lock = asyncio.Lock()
    tasks = [asyncio.create_task(critical(lock, n)) for n in range(3)]
    await asyncio.sleep_ms(0)
    tasks[1].cancel()
    for task in tasks:
        try:
            await task
        except asyncio.CancelledError:
            print("lock cancelled")
    print(lock.locked())


async def flagging():
    flag = asyncio.ThreadSafeFlag()
    flag.set()
    await flag.wait()
    print("flag was set before")
    asyncio.create_task(setting(flag, 40))
    await flag.wait()
    print("flag was set later")
    try:
        await asyncio.wait_for_ms(flag.wait(), 80)
    except asyncio.TimeoutError:
        print("flag was cleared")


async def reusing():
    task = asyncio.create_task(ping("twice"))
    first, second = asyncio.create_task(outer(task)), asyncio.create_task(outer(task))
    await first
    await second
    print(task.done(), await task)
    asyncio.create_task(failing())
    await asyncio.sleep_ms(40)


async def main():
    asyncio.get_event_loop().set_exception_handler(lambda loop, context: print("unseen", context["exception"]))
    for part in (sleep_order, gathering, exceptions, events, cancelling, timeouts, locking, flagging, reusing):
        print("-", part.__name__)
        await part()


asyncio.run(main())

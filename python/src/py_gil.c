/*
 * py_gil.c - who holds the interpreter's lock.
 *
 * Threads of the library's pools get a thread state at their first call of Python and keep it until they end, so that
 * thread-local objects and greenlets of a thread live as long as the thread.
 * Easy to get wrong: a value may be released by any thread at any time, also while the interpreter shuts down; then
 * nothing of Python may be touched.
 */
#include "py_core.h"

_Thread_local bool hp_held;
static _Thread_local bool has_state; /* made by the first call of Python on a thread of the library's */

/* The thread state that the first call of Python made: counted once by its making, once here. */
static void end_thread(void)
{
    if (!has_state || !Py_IsInitialized()) return;
    has_state = false;
    (void)PyGILState_Ensure();
    PyGILState_Release(PyGILState_LOCKED);
    PyGILState_Release(PyGILState_UNLOCKED);
}

hp_gil hp_gil_take(void)
{
    if (hp_held) return HP_GIL_HAD;
    const bool is_new = !PyGILState_GetThisThreadState();
    const PyGILState_STATE state = PyGILState_Ensure();
    hp_held = true;
    if (!is_new) return state == PyGILState_LOCKED ? HP_GIL_NESTED : HP_GIL_TAKEN;
    has_state = true;
    return HP_GIL_FIRST;
}

void hp_gil_give(hp_gil taken)
{
    if (taken == HP_GIL_HAD) return;
    hp_held = false;
    if (taken == HP_GIL_FIRST)
        (void)PyEval_SaveThread(); /* the state stays for the next call */
    else
        PyGILState_Release(taken == HP_GIL_NESTED ? PyGILState_LOCKED : PyGILState_UNLOCKED);
}

static void *leave(void)
{
    if (!hp_held) return NULL;
    hp_held = false;
    return PyEval_SaveThread();
}

static void enter(void *left)
{
    PyEval_RestoreThread(left);
    hp_held = true;
}

int hp_gil_init(void)
{
    ht_blocking_set(leave, enter, end_thread);
    return 0;
}

/*
 * call_list.c - the lists that hand calls on: doubly linked through the calls, so moving one never fails.
 *
 * Invariant: call->list is the list that holds the call, or NULL. Thread rule: that of the list.
 */
#include "net_int.h"

/* Puts the call in front of `next`, NULL: at the end. */
static void link_before(hti_call_list *list, hti_call *call, hti_call *next)
{
    HT_ASSERT(!call->list);
    call->list = list;
    call->next = next;
    call->prev = next ? next->prev : list->last;
    if (call->prev)
        call->prev->next = call;
    else
        list->first = call;
    if (next)
        next->prev = call;
    else
        list->last = call;
}

void hti_call_append(hti_call_list *list, hti_call *call) { link_before(list, call, NULL); }

void hti_call_prepend(hti_call_list *list, hti_call *call) { link_before(list, call, list->first); }

void hti_call_insert_due(hti_call_list *list, hti_call *call)
{
    /* From the end: a new retry is mostly the last one due. */
    hti_call *next = NULL;
    for (hti_call *at = list->last; at && at->due_ns > call->due_ns; at = at->prev) next = at;
    link_before(list, call, next);
}

void hti_call_unlink(hti_call *call)
{
    hti_call_list *list = call->list;
    if (!list) return;
    if (call->prev)
        call->prev->next = call->next;
    else
        list->first = call->next;
    if (call->next)
        call->next->prev = call->prev;
    else
        list->last = call->prev;
    call->next = call->prev = NULL;
    call->list = NULL;
}

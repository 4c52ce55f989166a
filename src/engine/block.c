/*
 * block.c - memory that another process has written: counted, so that values may look into it.
 *
 * A block is mapped read-only and unmapped with its last holder; what it says may be looked at by any thread. Its link
 * is one of the holders of a numbered block (wire.c), so one count of 1 means that no message and no value needs it.
 */
#include "wire.h"

#include <string.h>

ht_status hti_block_receive(int fd, size_t len, hti_block **out, ht_error *err)
{
    hti_block *block = HTI_NEW(hti_block);
    *out = NULL;
    if (!block) {
        hti_descriptor_close(fd);
        return HTI_NO_MEMORY(err);
    }
    const ht_status status = hti_shared_memory_receive(fd, len, &block->memory, err);
    if (status != HT_OK) {
        hti_free(block);
        return status;
    }
    hti_shared_memory_seclude(&block->memory);
    block->n_holders = 1;
    *out = block;
    return HT_OK;
}

hti_block *hti_block_hold(hti_block *block)
{
    if (block) (void)__atomic_add_fetch(&block->n_holders, 1, __ATOMIC_RELAXED);
    return block;
}

void hti_block_drop(hti_block *block)
{
    if (!block || __atomic_sub_fetch(&block->n_holders, 1, __ATOMIC_ACQ_REL) > 0) return;
    hti_shared_memory_release(&block->memory);
    hti_free(block);
}

const void *hti_block_data(const hti_block *block) { return block->memory.data; }

bool hti_block_is_idle(const hti_block *block) { return __atomic_load_n(&block->n_holders, __ATOMIC_ACQUIRE) == 1; }

/* ---- bodies that outlive their call ---- */

void hti_kept_init(hti_kept *kept)
{
    kept->body = (hti_body){0};
    hti_buffer_init(&kept->copy);
}

void hti_kept_take(hti_kept *kept, const hti_body *body)
{
    hti_kept_clear(kept);
    kept->body = *body;
    if (hti_block_hold(body->block)) return;
    hti_buffer_append(&kept->copy, body->data, body->len);
    kept->body.data = hti_buffer_view(&kept->copy).data;
}

ht_status hti_kept_status(const hti_kept *kept, ht_error *err) { return hti_buffer_status(&kept->copy, err); }

void hti_kept_clear(hti_kept *kept)
{
    hti_block_drop(kept->body.block);
    kept->body = (hti_body){0};
    hti_buffer_clear(&kept->copy);
}

void hti_kept_deinit(hti_kept *kept)
{
    hti_kept_clear(kept);
    hti_buffer_deinit(&kept->copy);
}

/*
 * gpu.c - how many GPUs this process may use, and their names for CUDA_VISIBLE_DEVICES.
 *
 * HT_GPUS=N says it (tests, other makers' devices). Else CUDA_VISIBLE_DEVICES lists them, and where that is not set the
 * driver's device files do: /dev/nvidia0, /dev/nvidia1, ... Read anew at each call: a child's environment differs.
 */
#include "os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ht_status count_file(void *ud, const char *name, ht_error *err)
{
    static const char lead[] = "nvidia";
    const char *digits = name + sizeof lead - 1;
    (void)err;
    if (strncmp(name, lead, sizeof lead - 1) != 0 || !*digits) return HT_OK;
    for (const char *c = digits; *c; c++)
        if (*c < '0' || *c > '9') return HT_OK;
    ++*(size_t *)ud;
    return HT_OK;
}

static size_t count_listed(const char *list)
{
    size_t n = *list != '\0';
    for (; *list; list++) n += *list == ',';
    return n;
}

size_t hti_gpu_count(void)
{
    const char *told = getenv("HT_GPUS"), *listed = getenv("CUDA_VISIBLE_DEVICES");
    size_t n = 0;
    if (told) n = (size_t)strtoul(told, NULL, 10);
    if (listed) n = told ? HTI_MIN(n, count_listed(listed)) : count_listed(listed);
    if (!told && !listed && hti_list_dir("/dev", count_file, &n, NULL) != HT_OK) n = 0;
    return HTI_MIN(n, (size_t)HTI_MAX_GPUS);
}

void hti_gpu_name(size_t device, char *text, size_t cap)
{
    const char *listed = getenv("CUDA_VISIBLE_DEVICES");
    for (size_t i = 0; listed && i < device; i++) {
        listed = strchr(listed, ',');
        if (listed) listed++;
    }
    if (listed)
        (void)snprintf(text, cap, "%.*s", (int)strcspn(listed, ","), listed);
    else
        (void)snprintf(text, cap, "%zu", device);
}

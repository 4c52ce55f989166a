/*
 * machine.c - CPU features, clock, memory, shared libraries.
 *
 * Easy to get wrong: a CPU that has AVX-512 or AMX is not enough, the system must save the registers
 * (XCR0), and Linux hands out AMX tile state only to a process that asked (arch_prctl).
 */
#include "os.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

static const char *const cpu_names[] = {"scalar", "avx2", "avx512", "amx"};
static hti_cpu cpu_level;
static char cpu_model[64];
static pthread_once_t cpu_once = PTHREAD_ONCE_INIT;

#if defined(__x86_64__)
enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

static uint64_t saved_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool has(uint32_t word, unsigned bit) { return word >> bit & 1; }

static hti_cpu detect(void)
{
    uint32_t a, b, c, d, b7, c7, d7;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, 27) || !has(c, 28) || !has(c, 12) || !has(c, 29))
        return HTI_CPU_SCALAR;
    if (!__get_cpuid_count(7, 0, &a, &b7, &c7, &d7)) return HTI_CPU_SCALAR;
    const uint64_t state = saved_state();
    if ((state & 0x6) != 0x6 || !has(b7, 5)) return HTI_CPU_SCALAR;
    const bool avx512 =
        (state & 0xE6) == 0xE6 && has(b7, 16) && has(b7, 17) && has(b7, 30) && has(b7, 31) && has(c7, 11);
    if (!avx512) return HTI_CPU_AVX2;
    const bool amx = (state & 0x60000) == 0x60000 && has(d7, 22) && has(d7, 24) && has(d7, 25);
    if (!amx || syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) != 0) return HTI_CPU_AVX512;
    return HTI_CPU_AMX;
}

static void read_model(void)
{
    uint32_t words[12];
    if ((uint32_t)__get_cpuid_max(0x80000000, NULL) < 0x80000004u) return;
    for (uint32_t i = 0; i < 3; i++)
        __cpuid(0x80000002 + i, words[4 * i], words[4 * i + 1], words[4 * i + 2], words[4 * i + 3]);
    memcpy(cpu_model, words, sizeof words);
}
#else
static hti_cpu detect(void) { return HTI_CPU_SCALAR; }
static void read_model(void) {}
#endif

static void decide_cpu(void)
{
    cpu_level = detect();
    read_model();
    const char *wanted = getenv("HT_CPU");
    for (size_t i = 0; wanted && i < HTI_LEN(cpu_names); i++)
        if (strcmp(wanted, cpu_names[i]) == 0 && (hti_cpu)i < cpu_level) cpu_level = (hti_cpu)i;
}

hti_cpu hti_cpu_level(void)
{
    (void)pthread_once(&cpu_once, decide_cpu);
    return cpu_level;
}

const char *ht_cpu_name(void) { return cpu_names[hti_cpu_level()]; }

const char *hti_cpu_model(void)
{
    (void)hti_cpu_level();
    return cpu_model;
}

size_t hti_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    const int n = CPU_COUNT(&set);
    return n > 0 ? (size_t)n : 1;
}

uint64_t hti_clock_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t hti_peak_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

hti_library *hti_library_open(const char *const *names, size_t n_names)
{
    for (size_t i = 0; i < n_names; i++) {
        void *handle = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (handle) return (hti_library *)handle;
    }
    return NULL;
}

bool hti_library_symbol(hti_library *library, const char *name, void *fn)
{
    void *address = dlsym((void *)library, name);
    memcpy(fn, &address, sizeof address);
    return address != NULL;
}

/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * A plugin for QEMU's user-mode emulation that counts the instructions an ARM guest executes, on AArch64 by class. It is
 * loaded into QEMU and under QEMU's licence, unlike the rest of edgeship, of which nothing is linked with it (NOTICE).
 *
 * The guest marks places by a system call that does nothing: sched_get_priority_max(MARK + n), an invalid policy. At each
 * mark one line of JSON with all counters so far is written to the file of the argument out=FILE. The counters are not
 * atomic: they are exact for a guest whose other threads sleep between two marks.
 *
 * Encodings: Arm Architecture Reference Manual for A-profile, DDI 0487, section C4.1.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* QEMU's plugin interface, version 1, as far as it is used here; distributions do not package its header. */
typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct plugin_info {
    const char *target_name;
    struct { int min, cur; } version;
    bool system_emulation;
};
enum plugin_op { ADD_U64 };
typedef void (*on_translation)(plugin_id, struct qemu_plugin_tb *);
typedef void (*on_system_call)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                               uint64_t, uint64_t);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, on_translation);
void qemu_plugin_register_vcpu_syscall_cb(plugin_id, on_system_call);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, enum plugin_op, void *, uint64_t);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);

#define EXPORT __attribute__((visibility("default")))
#define MARK 0x45444700u
#define CALL_AARCH64 125 /* sched_get_priority_max */
#define CALL_ARM 159

EXPORT int qemu_plugin_version = 1;

enum { TOTAL, MEMORY, SIMD, FUSED, FUSED_HALF, WIDENING, DOT, MATRIX, CLASSES };
static const char *const NAMES[CLASSES] = {"total",      "memory",   "simd", "fused",
                                           "fused_half", "widening", "dot",  "matrix"};
static uint64_t counts[CLASSES];
static FILE *out;
static int64_t call;
static int known; /* classes that are told apart: on 32-bit ARM none, since a word does not show which of its two sets it is of */

static const struct {
    uint32_t mask, value;
    int class;
} PATTERNS[] = {
    {0x0A000000, 0x08000000, MEMORY},     /* loads and stores, SIMD ones too */
    {0x0E000000, 0x0E000000, SIMD},       /* data processing: floating point and Advanced SIMD */
    {0xBFA0FC00, 0x0E20CC00, FUSED},      /* FMLA, vector, single and double */
    {0xBF80F400, 0x0F801000, FUSED},      /* FMLA, by element */
    {0xBFE0FC00, 0x0E400C00, FUSED_HALF}, /* FMLA, vector, half */
    {0xBFC0F400, 0x0F001000, FUSED_HALF}, /* FMLA, by element, half */
    {0x9F20FC00, 0x0E208000, WIDENING},   /* SMLAL, UMLAL */
    {0x9F20FC00, 0x0E20C000, WIDENING},   /* SMULL, UMULL */
    {0x9F00F400, 0x0F002000, WIDENING},   /* SMLAL, UMLAL, by element */
    {0x9F00F400, 0x0F00A000, WIDENING},   /* SMULL, UMULL, by element */
    {0x9FE0FC00, 0x0E809400, DOT},        /* SDOT, UDOT */
    {0xBFE0FC00, 0x0E809C00, DOT},        /* USDOT */
    {0x9FC0F400, 0x0F80E000, DOT},        /* SDOT, UDOT, by element */
    {0xDFE0FC00, 0x4E80A400, MATRIX},     /* SMMLA, UMMLA */
    {0xFFE0FC00, 0x4E80AC00, MATRIX},     /* USMMLA */
    {0xFFE0FC00, 0x6E40EC00, MATRIX},     /* BFMMLA */
};

static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    uint64_t found[CLASSES] = {0};
    (void)id;
    found[TOTAL] = qemu_plugin_tb_n_insns(block);
    for (size_t i = 0; known > 1 && i < found[TOTAL]; i++) {
        uint32_t word;
        memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, i)), sizeof word);
        for (size_t p = 0; p < sizeof PATTERNS / sizeof *PATTERNS; p++)
            if ((word & PATTERNS[p].mask) == PATTERNS[p].value) found[PATTERNS[p].class]++;
    }
    for (int c = 0; c < known; c++)
        if (found[c]) qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &counts[c], found[c]);
}

static void called(plugin_id id, unsigned cpu, int64_t number, uint64_t first, uint64_t a2, uint64_t a3, uint64_t a4,
                   uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    (void)id, (void)cpu, (void)a2, (void)a3, (void)a4, (void)a5, (void)a6, (void)a7, (void)a8;
    if (number != call || ((uint32_t)first & 0xFFFFFF00u) != MARK) return;
    fprintf(out, "{\"mark\": %u", (unsigned)first & 0xFFu);
    for (int c = 0; c < known; c++) fprintf(out, ", \"%s\": %llu", NAMES[c], (unsigned long long)counts[c]);
    fputs("}\n", out);
    fflush(out);
}

EXPORT int qemu_plugin_install(plugin_id id, const struct plugin_info *info, int argc, char **argv) {
    const char *file = NULL;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "out=", 4)) file = argv[i] + 4;
    bool wide = !strcmp(info->target_name, "aarch64");
    if (!file || (!wide && strcmp(info->target_name, "arm"))) {
        fputs("count: needs out=FILE and an ARM guest\n", stderr);
        return 1;
    }
    call = wide ? CALL_AARCH64 : CALL_ARM;
    known = wide ? CLASSES : 1;
    if (!(out = fopen(file, "w"))) {
        perror(file);
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}

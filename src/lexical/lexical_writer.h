/*
 * lexical_writer.h - writes an inverter's content as one segment file.
 */
#ifndef HTI_LEXICAL_LEXICAL_WRITER_H
#define HTI_LEXICAL_LEXICAL_WRITER_H

#include "inverter.h"
#include "lexical_int.h"

/*
 * Writes the whole segment into an empty file; the caller closes it. `info` gets every count but
 * size_bytes covers the finished file. On failure the file's content is worthless.
 */
HT_CHECKED ht_status hti_lexical_write(hti_file *file, const hti_inverter *inverter, const char *analyzer,
                                       uint64_t fingerprint, ht_lexical_info *info, ht_error *err);

#endif

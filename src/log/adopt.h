/*
 * Which journal files are adopted as extents when they are sealed (log/extent.h, ADOPTED), and which are copied.
 *
 * It pays where files are written fast: nothing is read or written again. A file is adopted when most of it are batches
 * of partitions that have much in it, so that readers of one partition pass over little else, and little of it is dead
 * from the beginning; and when its blocks are large, since the files that take its place are new ones then, which is
 * dear for small blocks (log/journal.c). When the disk is full nothing is: room is what sealing is done for.
 *
 * A file's batches are held back until all of them are known. Then they go on to the writer of extents: those of large
 * partitions stay where they are, others are to be copied, as all are of a file that is not adopted. One thread.
 */
#ifndef KP_LOG_ADOPT_H
#define KP_LOG_ADOPT_H

#include "log/extent_write.h"
#include "log/internal.h"

/* A file of the stretch that is sealed. */
struct kp_adopt_file {
    uint64_t number;
    struct kp_journal_end start; /* what its first block follows */
    bool adopted;
    size_t copied;     /* batches to be copied */
    size_t pick_first; /* the first of them in picks, if it is adopted */
};

struct kp_adopt {
    struct kp_log *log;
    const struct kp_topics *current; /* borrowed: what is gone now */
    struct kp_extents_writer *writer;
    bool off; /* none is */

    struct kp_buf files;   /* out: of struct kp_adopt_file, in order */
    struct kp_buf picks;   /* out: of struct kp_extents_batch: copied out of adopted files */
    struct kp_buf pending; /* of struct kp_extents_batch: of the file that is walked */
    uint64_t blocks;       /* in it, with batches */
    uint64_t last_block;
    size_t passed; /* of its batches went on before its end */
    bool unfit;    /* one of its batches cannot be checked there, or they are too many */
};

void kp_adopt_finish(struct kp_adopt *adopt);
/* A batch, in order; its place and block are set. head: its first bytes. */
void kp_adopt_add(struct kp_adopt *adopt, struct kp_extents_batch *batch, const uint8_t *head);
/* Behind the batches so far is a hole (log/hole.h): the file is not adopted. */
void kp_adopt_hole(struct kp_adopt *adopt);
/* The batches so far were those of a file. */
void kp_adopt_file_done(struct kp_adopt *adopt, uint64_t number, const struct kp_journal_end *start);
/*
 * Copies what is to be copied of an adopted file. *ret_wrong: why the batch in the block at *ret_block cannot be, else
 * NULL.
 */
KP_MUST enum kp_code kp_adopt_put(struct kp_adopt *adopt, const struct kp_adopt_file *file, void *put_arg,
                                  uint64_t *ret_block, const char **ret_wrong, struct kp_error *err);
static inline size_t kp_adopt_file_count(const struct kp_adopt *adopt)
{
    return adopt->files.len / sizeof(struct kp_adopt_file);
}
static inline const struct kp_adopt_file *kp_adopt_file_get(const struct kp_adopt *adopt, size_t i)
{
    return (const struct kp_adopt_file *)(const void *)adopt->files.data + i;
}

#endif

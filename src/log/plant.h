/*
 * Well-known bugs of logs, planted on purpose: a test sets one and must see the simulation catch it. KP_PLANT_NONE
 * everywhere else; each is asked for on a cold path only.
 */
#ifndef KP_LOG_PLANT_H
#define KP_LOG_PLANT_H

enum kp_log_plant {
    KP_PLANT_NONE,
    KP_PLANT_ACK_BEFORE_SYNC,  /* a block is acknowledged when it is written */
    KP_PLANT_RETRY_SYNC,       /* a failed sync is tried again, and believed */
    KP_PLANT_NO_DIR_SYNC,      /* a new file's name is not made durable */
    KP_PLANT_NO_RECOVERY_SYNC, /* blocks found by recovery are believed to be durable */
    KP_PLANT_CUT_EARLY,        /* recovery cuts the last whole block */
    KP_PLANT_PARTIAL_GROUP,    /* recovery keeps the beginning of a group */
    KP_PLANT_STALE_LEFT,       /* what was cut stays on disk */
    KP_PLANT_STALE_TAKEN,      /* a whole block is believed wherever and whenever it was written */
    KP_PLANT_RECYCLE_EARLY,    /* sealed files are recycled while readers are still in them */
    KP_PLANT_RECYCLE_FIRST,    /* sealed files are recycled before the record that says so is durable */
    KP_PLANT_EXTENT_UNSYNCED,  /* extents are believed to be durable when they are written */
    KP_PLANT_CRC_UNCHECKED,    /* a block is believed without looking at its entries' checksum */
    KP_PLANT_OFFSETS_REUSED,   /* after a restart a partition's last offset is given again */
    KP_PLANT_GOES_ON,          /* a failed write is taken for a full disk: the log goes on */
    KP_PLANT_CLOCK_BACK,       /* log time follows the clock when it goes back */
    KP_PLANT_VOUCHES_EARLY,    /* a block says of itself that it is durable */
    KP_PLANT_RENUMBERED_EARLY, /* a recycled file says its new number before its old name is gone for certain */
    KP_PLANT_NAMES_UNSYNCED,   /* extents count before their names are durable */
    KP_PLANT_REMOVED_FIRST,    /* merged extents are removed before the record that says so is durable */
    KP_PLANT_REMOVED_EARLY,    /* merged extents are removed while readers are still in them */
    KP_PLANT_MERGED_STATE,     /* a merged set has the state of its first part, not of its last */
    KP_PLANT_TRIM_FORGOTTEN,   /* what is sealed forgets what was trimmed */
    KP_PLANT_SKIP_FORGOTTEN,   /* what is sealed forgets at which offset a partition goes on */
    KP_PLANT_TRIM_WIDE,        /* a batch of which the beginning is trimmed is left out of extents */
    KP_PLANT_SNAPSHOT_GAPS,    /* a recovery snapshot forgets that something was trimmed */
    KP_PLANT_ADOPTED_SHARED,   /* an adopted file is used again when one of its partitions is gone */
    KP_PLANT_ADOPTED_UNNAMED,  /* a start removes adopted files that have their old name still */
    /* what whole instances show: of compaction, of history columns, of a decision beside sinks */
    KP_PLANT_COMPACT_ALL,      /* of a key not even the last record stays */
    KP_PLANT_TOMBSTONES_EARLY, /* a tombstone goes while what it deleted is there */
    KP_PLANT_COLUMNS_KEPT,     /* history columns keep what has gone from the log */
    KP_PLANT_SINKS_UNSETTLED,  /* records go before sinks have written what they changed */
    /* what only a flipped bit shows */
    KP_PLANT_COLUMN_UNCHECKED,   /* a chunk of history columns is believed without its checksum */
    KP_PLANT_ITEM_UNCHECKED,     /* a batch in an extent is believed without its checksum */
    KP_PLANT_SNAPSHOT_UNCHECKED, /* a recovery snapshot is believed without its checksum */
    KP_PLANT_ROTTEN_CUT,         /* what has rotted is taken for torn, and cut */
    KP_PLANT_COUNT
};

extern enum kp_log_plant kp_log_planted;

#endif

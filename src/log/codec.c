/*
 * Kafka's codecs: gzip, snappy (raw, and the framing of snappy-java), lz4 frames, zstd.
 *
 * Decompression grows its output in the arena by doubling, never past `limit`, so that a small hostile input cannot
 * take more memory than it may: every codec asks room() before it writes.
 */
#include "log/codec.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "base/limits.h"

enum { RATIO_MAX = 4096, RATIO_FREE_BYTES = 1 << 20, SNAPPY_FRAME_HEADER_BYTES = 16 };

struct output {
    struct kp_arena *arena;
    uint8_t *data;
    size_t len, cap, limit;
    enum kp_codec codec;
};

const char *kp_codec_name(enum kp_codec codec)
{
    static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    return (unsigned)codec < KP_COUNT(names) ? names[codec] : "unknown";
}

static enum kp_code too_big(const struct output *out, struct kp_error *err)
{
    kp_fail(err, KP_LIMIT, "54000", "bytes decompress (%s) to more than %zu", kp_codec_name(out->codec), out->limit);
    return kp_error_hint(err, "Send less at a time.");
}

static enum kp_code malformed(const struct output *out, struct kp_error *err)
{
    return kp_fail(err, KP_INVALID, NULL, "bytes do not decompress: they are not valid %s", kp_codec_name(out->codec));
}

/* Makes room for at least one more byte; at least `want` of them if that is within the limit. */
static enum kp_code room(struct output *out, size_t want, struct kp_error *err)
{
    if (out->cap - out->len >= want)
        return KP_OK;
    if (out->len >= out->limit || want > out->limit - out->len)
        return too_big(out, err);
    size_t cap = KP_MAX(out->cap * 2, out->len + want);
    cap = KP_MIN(cap, out->limit);
    uint8_t *data = kp_arena_alloc(out->arena, cap);
    if (out->len)
        memcpy(data, out->data, out->len);
    out->data = data;
    out->cap = cap;
    return KP_OK;
}

static enum kp_code gunzip_into(z_stream *stream, struct output *out, struct kp_error *err)
{
    for (;;) {
        KP_TRY(room(out, 1, err));
        stream->next_out = out->data + out->len;
        stream->avail_out = (uInt)(out->cap - out->len);
        int result = inflate(stream, Z_NO_FLUSH);
        out->len = out->cap - stream->avail_out;
        if (result == Z_STREAM_END && stream->avail_in == 0)
            return KP_OK;
        if (result == Z_STREAM_END && inflateReset(stream) == Z_OK) /* members may follow each other */
            continue;
        if (result != Z_OK || (stream->avail_in == 0 && stream->avail_out != 0))
            return malformed(out, err);
    }
}

static enum kp_code gunzip(const uint8_t *bytes, size_t len, struct output *out, struct kp_error *err)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)len};
    if (inflateInit2(&stream, 15 + 32) != Z_OK)
        return kp_fail(err, KP_BUDGET, NULL, "no memory to decompress gzip");
    enum kp_code code = gunzip_into(&stream, out, err);
    inflateEnd(&stream);
    return code;
}

static enum kp_code unsnappy_raw(const uint8_t *bytes, size_t len, struct output *out, struct kp_error *err)
{
    size_t size;
    if (snappy_uncompressed_length((const char *)bytes, len, &size) != SNAPPY_OK)
        return malformed(out, err);
    KP_TRY(room(out, KP_MAX(size, (size_t)1), err));
    size_t got = out->cap - out->len;
    if (snappy_uncompress((const char *)bytes, len, (char *)out->data + out->len, &got) != SNAPPY_OK)
        return malformed(out, err);
    out->len += got;
    return KP_OK;
}

/* snappy-java: magic, two versions, then pieces of (be32 length, raw snappy). */
static enum kp_code unsnappy(const uint8_t *bytes, size_t len, struct output *out, struct kp_error *err)
{
    static const uint8_t magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};
    if (len < SNAPPY_FRAME_HEADER_BYTES || memcmp(bytes, magic, sizeof magic) != 0)
        return unsnappy_raw(bytes, len, out, err);
    const uint8_t *at = bytes + SNAPPY_FRAME_HEADER_BYTES, *end = bytes + len;
    while (at < end) {
        if (end - at < 4)
            return malformed(out, err);
        uint32_t piece = kp_load_be32(at);
        at += 4;
        if (piece > (size_t)(end - at))
            return malformed(out, err);
        KP_TRY(unsnappy_raw(at, piece, out, err));
        at += piece;
    }
    return KP_OK;
}

static enum kp_code unlz4_into(LZ4F_dctx *context, const uint8_t *bytes, size_t len, struct output *out,
                               struct kp_error *err)
{
    for (size_t done = 0, hint = 1;;) {
        if (done == len && hint == 0)
            return KP_OK;
        KP_TRY(room(out, 1, err));
        size_t wrote = out->cap - out->len, took = len - done;
        hint = LZ4F_decompress(context, out->data + out->len, &wrote, bytes + done, &took, NULL);
        if (LZ4F_isError(hint) || (took == 0 && wrote == 0 && hint != 0))
            return malformed(out, err);
        out->len += wrote;
        done += took;
    }
}

static enum kp_code unlz4(const uint8_t *bytes, size_t len, struct output *out, struct kp_error *err)
{
    LZ4F_dctx *context;
    if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
        return kp_fail(err, KP_BUDGET, NULL, "no memory to decompress lz4");
    enum kp_code code = unlz4_into(context, bytes, len, out, err);
    LZ4F_freeDecompressionContext(context);
    return code;
}

static enum kp_code unzstd_into(ZSTD_DStream *stream, const uint8_t *bytes, size_t len, struct output *out,
                                struct kp_error *err)
{
    ZSTD_inBuffer in = {bytes, len, 0};
    unsigned long long size = ZSTD_getFrameContentSize(bytes, len);
    if (size == ZSTD_CONTENTSIZE_ERROR)
        return malformed(out, err);
    if (size != ZSTD_CONTENTSIZE_UNKNOWN && size > out->limit)
        return too_big(out, err);
    if (size != ZSTD_CONTENTSIZE_UNKNOWN && size > 0)
        KP_TRY(room(out, (size_t)size, err));
    for (size_t hint = 1;;) {
        if (in.pos == in.size && hint == 0)
            return KP_OK;
        if (out->cap == out->len && hint != 0)
            KP_TRY(room(out, 1, err));
        ZSTD_outBuffer piece = {out->data, out->cap, out->len};
        size_t before = in.pos;
        hint = ZSTD_decompressStream(stream, &piece, &in);
        if (ZSTD_isError(hint) || (hint != 0 && in.pos == before && piece.pos == out->len))
            return malformed(out, err);
        out->len = piece.pos;
    }
}

static enum kp_code unzstd(const uint8_t *bytes, size_t len, struct output *out, struct kp_error *err)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    if (!stream)
        return kp_fail(err, KP_BUDGET, NULL, "no memory to decompress zstd");
    ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, 26); /* a hostile window may not take more than 64 MiB */
    enum kp_code code = unzstd_into(stream, bytes, len, out, err);
    ZSTD_freeDStream(stream);
    return code;
}

enum kp_code kp_codec_decompress(enum kp_codec codec, const uint8_t *bytes, size_t len, struct kp_arena *arena,
                                 const uint8_t **ret_bytes, size_t *ret_len, struct kp_error *err)
{
    struct output out = {.arena = arena, .codec = codec};
    out.limit = KP_MIN((size_t)KP_RECORD_BATCH_BYTES_MAX, RATIO_FREE_BYTES + len * RATIO_MAX);
    if (codec == KP_CODEC_GZIP || codec == KP_CODEC_LZ4) /* the others know their size */
        KP_TRY(room(&out, KP_MIN(len * 4 + 64, out.limit), err));
    switch (codec) {
    case KP_CODEC_GZIP:
        KP_TRY(gunzip(bytes, len, &out, err));
        break;
    case KP_CODEC_SNAPPY:
        KP_TRY(unsnappy(bytes, len, &out, err));
        break;
    case KP_CODEC_LZ4:
        KP_TRY(unlz4(bytes, len, &out, err));
        break;
    case KP_CODEC_ZSTD:
        KP_TRY(unzstd(bytes, len, &out, err));
        break;
    default:
        return kp_fail(err, KP_UNSUPPORTED, NULL, "unknown compression codec %d", (int)codec);
    }
    *ret_bytes = out.data;
    *ret_len = out.len;
    return KP_OK;
}

static size_t gzip_into(const uint8_t *bytes, size_t len, uint8_t *to, size_t room_bytes)
{
    z_stream stream = {.next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)len};
    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    stream.next_out = to;
    stream.avail_out = (uInt)room_bytes;
    size_t wrote = deflate(&stream, Z_FINISH) == Z_STREAM_END ? stream.total_out : 0;
    deflateEnd(&stream);
    return wrote;
}

enum kp_code kp_codec_compress(enum kp_codec codec, const uint8_t *bytes, size_t len, struct kp_buf *out,
                               struct kp_error *err)
{
    size_t most, wrote = 0;
    switch (codec) {
    case KP_CODEC_GZIP:
        most = compressBound((uLong)len) + 32;
        wrote = gzip_into(bytes, len, kp_buf_reserve(out, most), most);
        break;
    case KP_CODEC_SNAPPY:
        wrote = snappy_max_compressed_length(len);
        if (snappy_compress((const char *)bytes, len, (char *)kp_buf_reserve(out, wrote), &wrote) != SNAPPY_OK)
            wrote = 0;
        break;
    case KP_CODEC_LZ4:
        most = LZ4F_compressFrameBound(len, NULL);
        wrote = LZ4F_compressFrame(kp_buf_reserve(out, most), most, bytes, len, NULL);
        if (LZ4F_isError(wrote))
            wrote = 0;
        break;
    case KP_CODEC_ZSTD:
        most = ZSTD_compressBound(len);
        wrote = ZSTD_compress(kp_buf_reserve(out, most), most, bytes, len, 3);
        if (ZSTD_isError(wrote))
            wrote = 0;
        break;
    default:
        return kp_fail(err, KP_UNSUPPORTED, NULL, "unknown compression codec %d", (int)codec);
    }
    if (!wrote)
        return kp_fail(err, KP_INVALID, NULL, "cannot compress %zu bytes with %s", len, kp_codec_name(codec));
    out->len += wrote;
    return KP_OK;
}

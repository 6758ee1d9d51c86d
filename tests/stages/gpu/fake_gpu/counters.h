/* What the fake device counts; cudart.c lists the names that Python reads. */
#include <stdatomic.h>

extern atomic_long fc_launch;
extern atomic_long fc_gemm;
extern atomic_long fc_conv;
extern atomic_long fc_sync_stream;
extern atomic_long fc_sync_dev;
extern atomic_long fc_sync_event;
extern atomic_long fc_event_query;
extern atomic_long fc_memcpy_sync;
extern atomic_long fc_h2d;
extern atomic_long fc_d2h;
extern atomic_long fc_d2d;
extern atomic_long fc_h2d_bytes;
extern atomic_long fc_d2h_bytes;
extern atomic_long fc_d2d_bytes;
extern atomic_long fc_memset;
extern atomic_long fc_malloc;
extern atomic_long fc_free;
extern atomic_long fc_hostalloc;
extern atomic_long fc_event_record;
extern atomic_long fc_wait_event;
extern atomic_long fc_nccl;
extern atomic_long fc_d2h_pageable;
extern atomic_long fc_h2d_pageable;
extern atomic_long fc_find;
extern atomic_long fc_malloc_bytes;
extern atomic_long fc_ptrattr;
